import { getEventListeners } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { batchAllSettled, streamSettled } from '../../src/batch/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import type { Executor, SignalOptions, Task } from '../../src/core/types.js';
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

test.each([
  ['fulfils', (item: number) => item, [1, 2, 3, 4]],
  ['fails', () => Promise.reject({ status: 400 }), [3, 4]],
])('an upstream repeats what hangs on, and the repeat %s: the lane is given up too', async (_what, repeat, values) => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const retry = { maxAttempts: 2, baseDelay: 100, jitter: 'none' } as const;
  const pool = new Upstream({ name: 'u', timeout: 30, pool: { concurrency: 2 }, retry });
  const work = (item: number, { attempt }: { attempt: number }): unknown => {
    if (item > 2) return item;
    return attempt === 1 ? new Promise(() => {}) : repeat(item);
  };
  const ended = vi.fn();
  void batchAllSettled([1, 2, 3, 4], work, { pool, concurrency: 2 }).then(ended);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ended).toHaveBeenCalledWith(
    expect.objectContaining({ values, stats: expect.objectContaining({ abandoned: 2, calls: 6 }) }),
  );
});

test('an executor gives the work up by its signal and answers with another error: the lane is given up too', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const starts: number[] = [];
  const begin = performance.now();
  const pool = {
    execute: (task: Task<unknown>) => {
      starts.push(performance.now() - begin);
      const control = new AbortController();
      void task(control);
      control.abort(new TimeoutError({ source: 'other', timeout: 10, option: 'timeout' }));
      throw 'other';
    },
  } as Executor;
  void batchAllSettled([1, 2, 3], () => new Promise(() => {}), { pool, concurrency: 1 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(starts).toEqual([0, 10, 20]);
  expect(vi.getTimerCount()).toBe(0);
});

test('an upstream behind an executor that gives a context of its own: the lane is given up by the answer', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const upstream = new Upstream({ name: 'u', timeout: 30, pool: { concurrency: 2 } });
  const pool = {
    execute: (task: Task<unknown>) => upstream.execute(() => task({ signal: new AbortController().signal })),
  } as Executor;
  const ended = vi.fn();
  void batchAllSettled([1, 2, 3, 4], hangsOnTheFirstTwo, { pool, concurrency: 2 }).then(ended);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ended).toHaveBeenCalledTimes(1);
});

test('a batch with a timeout too: its own counts for the lane', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const pool = new PromisePool({ concurrency: 1, timeout: 20, abortGrace: 0 });
  const starts: number[] = [];
  const begin = performance.now();
  const work = () => {
    starts.push(performance.now() - begin);
    return new Promise(() => {});
  };
  void batchAllSettled([1, 2], work, { pool, timeout: 50 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(starts).toEqual([0, 100]);
  expect(vi.getTimerCount()).toBe(0);
});

test('an abort by a timeout of somebody else leaves no timer', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const control = new AbortController();
  const pool = new PromisePool({ concurrency: 1, abortGrace: 0 });
  const batch = batchAllSettled([1, 2], () => new Promise(() => {}), { pool, signal: control.signal });
  await vi.advanceTimersByTimeAsync(10);
  control.abort(new TimeoutError({ source: 'outer', timeout: 10_000, option: 'timeout' }));
  expect((await batch).aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(10);
  expect(vi.getTimerCount()).toBe(0);
});

test('a timeout that was not heeded at once says nothing of the next call in the lane', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const starts: [number, number][] = [];
  const begin = performance.now();
  const work = (item: number) => {
    starts.push([item, performance.now() - begin]);
    return new Promise<void>((resolve) => setTimeout(resolve, 50));
  };
  let calls = 0;
  const pool = {
    execute: (task: Task<unknown>) => {
      const control = new AbortController();
      const first = task(control);
      if (++calls > 1) return 'early';
      control.abort(new TimeoutError({ source: 'other', timeout: 10, option: 'timeout' }));
      return Promise.all([first, task({ signal: new AbortController().signal })]);
    },
  } as Executor;
  void batchAllSettled([1, 2, 3], work, { pool, concurrency: 1 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(starts).toEqual([
    [1, 0],
    [1, 0],
    [2, 50],
    [3, 100],
  ]);
});

test('a stream through a pool follows the signal of its caller, and leaves nothing on it', async () => {
  const pool = new PromisePool({ concurrency: 1 });
  const control = new AbortController();
  const work = (item: number): unknown => (item === 1 ? item : new Promise(() => {}));
  const seen: unknown[] = [];
  for await (const result of streamSettled([1, 2, 3, 4], work, { pool, concurrency: 3, signal: control.signal })) {
    seen.push(result.status === 'skipped' ? result.reason : result.status);
    control.abort('enough');
  }
  expect(seen).toEqual(['fulfilled', 'enough', 'enough', 'enough']);
  expect(pool.queued).toBe(0);
  expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);

  const aborted = streamSettled([1], work, { pool, signal: control.signal });
  expect(await aborted.next()).toMatchObject({ value: { status: 'skipped', reason: 'enough' } });

  const other = new AbortController();
  const more = { pool: new PromisePool({ concurrency: 2 }), signal: other.signal };
  for await (const _ of streamSettled([1, 2], work, more)) {
    expect(getEventListeners(other.signal, 'abort')).toHaveLength(1);
    break;
  }
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(0);
  for await (const { status } of streamSettled([1, 1, 1], work, { ...more, pool: new PromisePool({ concurrency: 1 }) }))
    expect(status).toBe('fulfilled');
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(0);
});

test('an executor of another make hears of the leaving by a real signal, one for the stream', async () => {
  const signals = new Set<AbortSignal | undefined>();
  const pool = {
    execute: async <T>(task: Task<T>, options?: SignalOptions) => {
      signals.add(options?.signal);
      return task({ signal: new AbortController().signal });
    },
  } as Executor;
  const work = (item: number): unknown => (item === 1 ? item : new Promise(() => {}));
  for await (const _ of streamSettled([1, 2, 3], work, { pool, concurrency: 3 })) {
    for (const signal of signals) expect(signal?.aborted).toBe(false);
    break;
  }
  expect(signals.size).toBe(1);
  for (const signal of signals) {
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(signal?.aborted).toBe(true);
  }
});
