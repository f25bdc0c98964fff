import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const file = fileURLToPath(new URL('./fixtures/unhandled.ts', import.meta.url));

// POOL-32: ignored promises of a clear or close; POOL-52, POOL-76: late rejections, and timers that hold the process.
test('nothing that is cleared, closed or left behind is unhandled or keeps the process up', {
  timeout: 60_000,
}, async () => {
  const flags = ['--import', 'tsx', '--unhandled-rejections=strict'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file], { timeout: 30_000 });
  expect(stdout).toBe('alive\n');
});
