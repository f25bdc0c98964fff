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

// COAL-49: per-entry timers keep the process alive.
test('neither a ttl of one hour nor a silent upstream keeps the process alive', { timeout: 60_000 }, async () => {
  const { exitMs } = await run('stream-exit');
  expect(exitMs).toBeLessThan(100);
});

test('no failure that nobody waits for is "unhandled", however and whenever readers leave', {
  timeout: 60_000,
}, async () => {
  expect(await run('stream-unhandled')).toEqual({ inFlight: 0, reports: 2 });
});

// POOL-74, COAL-46: growth without bound.
test('a stream of 10^6 chunks leaves the heap flat, and one that nobody can join keeps only what is to be read', {
  timeout: 60_000,
}, async () => {
  const { growth, whileShared, whenForgotten, whenEnded } = await run('stream-memory');
  expect(growth).toBeLessThan(400_000);
  expect(whileShared).toBe(0);
  expect(whenForgotten).toBeGreaterThanOrEqual(6);
  expect(whenEnded).toBeGreaterThanOrEqual(4);
});
