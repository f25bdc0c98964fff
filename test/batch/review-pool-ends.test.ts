import { expect, onTestFinished, test, vi } from 'vitest';
import { batchAllSettled, streamSettled } from '../../src/batch/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { Upstream } from '../../src/upstream/index.js';

const hangsOnTheFirstTwo = (item: number): unknown => (item <= 2 ? new Promise(() => {}) : item);

test.each([
  ['a pool', () => new PromisePool({ concurrency: 2, timeout: 30, abortGrace: 30 })],
  ['an upstream', () => new Upstream({ name: 'u', timeout: 30, pool: { concurrency: 2 } })],
])('a batch through %s with a timeout of its own ends when that has given the slots up', async (_what, makePool) => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let hasEnded = false;
  const batch = batchAllSettled([1, 2, 3, 4], hangsOnTheFirstTwo, { pool: makePool() });
  void batch.then(() => {
    hasEnded = true;
  });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(hasEnded).toBe(true);
});

test('leaving a stream takes its calls out of the queue of the pool', async () => {
  const pool = new PromisePool({ concurrency: 1 });
  let end = (): void => {};
  const work = (item: number): unknown =>
    item === 1
      ? item
      : new Promise<void>((resolve) => {
          end = resolve;
        });
  const items = [1, 2, 3, 4, 5, 6];
  for await (const _ of streamSettled(items, work, { pool, concurrency: 5 })) break;
  expect(pool.queued).toBe(0);
  end();
  await pool.close();
  expect(pool.getMetrics().failed).toBe(0);
});
