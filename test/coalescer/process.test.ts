import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a fixture on the source in a process of its own, where an unhandled rejection is the end. */
async function run(fixture: string): Promise<unknown> {
  const path = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  const args = ['--unhandled-rejections=strict', '--expose-gc', '--import', 'tsx', path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 });
  return JSON.parse(stdout);
}

// COAL-49: memoizee 5bcc5a4: per-entry timers keep the process alive.
test('neither a ttl of one hour nor a hung load keeps the process alive', { timeout: 60_000 }, async () => {
  const { exitMs } = (await run('exit')) as { exitMs: number };
  expect(exitMs).toBeLessThan(100);
});

// COAL-17: cacheable#637, node-lru-cache#233, node-cached#16: a failed background refresh is an unhandled rejection and ends the process.
test('no failure that nobody waits for is "unhandled", and hooks hear of each', { timeout: 60_000 }, async () => {
  expect(await run('unhandled')).toEqual({
    failures: 4,
    timeouts: 1,
    orphaned: 2,
    told: [
      'ahead miss rejected',
      'detached miss aborted',
      'handled miss rejected',
      'hung miss timeout',
      'left miss aborted',
      'stale miss fulfilled',
      'stale refresh rejected',
      'thrown miss rejected',
    ],
  });
});

// COAL-46: inflight#18, dataloader#194, query-core: growth without bound.
test('a million keys, and a hundred thousand who left one load, leave the heap flat', {
  timeout: 60_000,
}, async () => {
  const seen = (await run('memory')) as Record<string, number>;
  expect(seen).toMatchObject({ entries: 1_000, evicted: 999_000, left: 0 });
  expect(seen.most).toBeLessThan(3_000);
  for (const growth of ['boundedGrowth', 'briefGrowth', 'joinGrowth']) expect(seen[growth]).toBeLessThan(400_000);
  expect(seen.perEntry).toBeLessThan(160);
  expect(seen.leftPerEntry).toBeLessThan(5);
});
