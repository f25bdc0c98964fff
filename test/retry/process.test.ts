import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

async function runFixture(name: string): Promise<string> {
  const file = fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url));
  const flags = ['--import', 'tsx', '--unhandled-rejections=strict', '--expose-gc'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file], { timeout: 60_000 });
  return stdout;
}

describe('in a process of its own', { timeout: 90_000 }, () => {
  // RETRY-05, nodejs/undici#5675: the timer of the backoff was not cancelled by an abort and kept the process alive.
  // RETRY-38, p-timeout#42, #36, #43, #46: timers and listeners are left, late rejections are unhandled.
  it('nothing that was aborted or timed out keeps it alive or crashes it', async () => {
    const begun = performance.now();
    const ofPolicy = ['`retry` exceeded its `attemptTimeout` of 5 ms', 'fails', 'leaves'];
    expect(JSON.parse(await runFixture('abandoned'))).toEqual([
      'in a wait',
      'before',
      'in an attempt',
      '`retry` exceeded its `attemptTimeout` of 5 ms',
      '`retry` exceeded its `totalTimeout` of 5 ms',
      'fails',
      ...ofPolicy,
      ...ofPolicy,
    ]);
    expect(performance.now() - begun).toBeLessThan(30_000);
  });

  // RETRY-31, @lifeomic/attempt: promises that adopt one another hold 110 MiB after 400,000 attempts.
  // RETRY-14, node-retry#84, #77, #5, p-retry#58: `retries: Infinity` builds an endless array.
  // RETRY-40, nodejs/node#54614, #55351, #48951, #62367: what listens to a long-lived signal is never freed.
  it('memory grows neither with the attempts of a call nor with the calls on a signal', async () => {
    const { perCall, perSignal, listeners } = JSON.parse(await runFixture('memory')) as Record<string, number>;
    expect(perCall).toBeLessThan(2_000_000);
    expect(perSignal).toBeLessThan(2_000_000);
    expect(listeners).toBe(0);
  });
});
