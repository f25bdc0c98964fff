import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a fixture on the source in a process of its own, where an unhandled rejection is the end. */
async function run(fixture: string): Promise<Record<string, number>> {
  const path = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  const args = ['--unhandled-rejections=strict', '--expose-gc', '--import', 'tsx', path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 });
  return JSON.parse(stdout) as Record<string, number>;
}

// COAL-49: memoizee 5bcc5a4: per-entry timers keep the process alive.
test('neither a ttl of one hour nor a hung load keeps the process alive', { timeout: 60_000 }, async () => {
  const { exitMs } = await run('exit');
  expect(exitMs).toBeLessThan(100);
});

// COAL-17: cacheable#637, node-lru-cache#233: a failed background refresh is an unhandled rejection and ends the process.
test('no failure that nobody waits for is "unhandled"', { timeout: 60_000 }, async () => {
  expect(await run('unhandled')).toEqual({ failures: 4, timeouts: 1, orphaned: 2 });
});

// COAL-46: inflight#18, dataloader#194, query-core: growth without bound.
test('10^5 keys of their own leave the heap flat, and untouched entries are given back', {
  timeout: 60_000,
}, async () => {
  const { growth, perEntry, leftPerEntry } = await run('memory');
  expect(growth).toBeLessThan(400_000);
  expect(perEntry).toBeLessThan(200);
  expect(leftPerEntry).toBeLessThan(5);
});
