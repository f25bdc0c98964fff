import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, chunkAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import type { Executor, SignalOptions, Task } from '../../src/core/types.js';
import { PromisePool } from '../../src/pool/index.js';
import { finish, Gauge, never, oneByOne, statuses, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An executor that does what a test says. */
function executor(execute: (task: Task<unknown>, options?: SignalOptions) => unknown): Executor {
  return { execute } as Executor;
}
const context = { signal: new AbortController().signal };

describe('through a PromisePool', () => {
  test('every call is one of its tasks, as many at once as it has slots', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    const gauge = new Gauge();
    const work = () => gauge.around(() => wait(5));
    const report = await finish(batchAllSettled(upTo(20), work, { pool }));
    expect(report.stats).toMatchObject({ calls: 20, peakInFlight: 3 });
    expect(pool.getMetrics()).toMatchObject({ calls: 20, fulfilled: 20, peakRunning: 3, peakQueued: 0 });
    expect(gauge.max).toBe(3);
  });

  test('two batches share its slots; what waits in it is not in flight', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const gauge = new Gauge();
    const work = () => gauge.around(() => wait(5));
    const [one, two] = await finish(
      Promise.all([
        batchAllSettled(upTo(10), work, { pool, concurrency: 5 }),
        chunkAllSettled(upTo(10), (chunk) => work().then(() => chunk), { pool, size: 2 }),
      ]),
    );
    expect(gauge.max).toBe(2);
    expect(one.ok && two.ok).toBe(true);
    expect(one.stats.peakInFlight + two.stats.peakInFlight).toBeLessThanOrEqual(4);
    expect(one.stats.peakInFlight).toBeLessThanOrEqual(2);
  });

  test('a limit that grows or shrinks is followed', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const peaks: number[] = [];
    const gauge = new Gauge();
    const work = (n: number) =>
      gauge.around(async () => {
        peaks.push(gauge.now);
        await wait(10);
        if (n === 5) (pool as { concurrency: number }).concurrency = 4;
      });
    await finish(batchAllSettled(oneByOne(upTo(30)), work, { pool }));
    expect(Math.max(...peaks.slice(0, 6))).toBe(1);
    expect(Math.max(...peaks)).toBe(4);
  });

  test('the timeout runs from the entry of the work, not from the queue', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const report = await finish(batchAllSettled(upTo(5), () => wait(40), { pool, concurrency: 5, timeout: 50 }));
    expect(report.ok).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a timeout settles the item; slot and lane are given up one more timeout later', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const gauge = new Gauge();
    const signals: AbortSignal[] = [];
    const work = (ms: number, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return gauge.around(() => wait(ms));
    };
    const running = batchAllSettled([500, 5], work, { pool, timeout: 50 });
    await vi.advanceTimersByTimeAsync(50);
    expect(signals[0]?.reason).toMatchObject({ code: 'TIMEOUT', source: 'batch' });
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, aborted: 1 });
    const report = await finish(running);
    expect(gauge.max).toBe(2);
    expect(statuses(report)).toBe('rf');
    expect(report.stats).toMatchObject({ abandoned: 1, durationMs: 105 });
    expect(pool.getMetrics()).toMatchObject({ running: 0, overdue: 0 });
  });

  // What waited in the pool behind work that never ended had no deadline of its own, and the batch never ended.
  test('a batch ends even if everything hangs', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const report = await finish(batchAllSettled(upTo(4), never, { pool, timeout: 50 }));
    expect(statuses(report)).toBe('rrrr');
    expect(report.stats.abandoned).toBe(3);
  });

  test('its own timeout settles the item; the lane is given up one more such timeout later', async () => {
    const pool = new PromisePool({ concurrency: 2, timeout: 20, abortGrace: 0 });
    const starts: number[] = [];
    const begin = performance.now();
    const gauge = new Gauge();
    const work = () => {
      starts.push(performance.now() - begin);
      return gauge.around(() => wait(100));
    };
    const report = await finish(batchAllSettled(upTo(4), work, { pool, concurrency: 2 }));
    expect(report.errors.map(({ reason }) => reason)).toMatchObject(
      upTo(4).map(() => ({ code: 'TIMEOUT', source: 'pool' })),
    );
    expect(starts).toEqual([0, 0, 40, 40]);
    expect(gauge.max).toBe(4);
    expect(report.stats).toMatchObject({ abandoned: 2, peakInFlight: 2, durationMs: 60 });
    // The work's own.
    expect(vi.getTimerCount()).toBe(4);
  });

  test('its own timeout, heeded: the lane is free when the work ends', async () => {
    const pool = new PromisePool({ concurrency: 1, timeout: 20, abortGrace: 0 });
    const starts: number[] = [];
    const begin = performance.now();
    const work = () => {
      starts.push(performance.now() - begin);
      return wait(25);
    };
    const report = await finish(batchAllSettled(upTo(2), work, { pool }));
    expect(starts).toEqual([0, 25]);
    expect(report.stats).toMatchObject({ abandoned: 0 });
    // The work's own.
    expect(vi.getTimerCount()).toBe(1);
  });

  test('its refusals are outcomes: never sent, never repeated by default', async () => {
    const pool = new PromisePool({ concurrency: 1, maxQueue: 1 });
    const work = vi.fn(() => wait(5));
    const report = await finish(batchAllSettled(upTo(4), work, { pool, concurrency: 4, retry: {} }));
    expect(report.errors).toMatchObject([{ index: 2, attempts: 0, reason: { code: 'QUEUE_FULL' } }, { index: 3 }]);
    expect(report.stats).toMatchObject({ calls: 2, retries: 0 });
    expect(work).toHaveBeenCalledTimes(2);
  });

  test('a refused chunk is not halved: it never ran', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    void pool.close();
    const report = await chunkAllSettled(upTo(8), (chunk) => chunk, { size: 4, pool, onChunkError: 'split' });
    expect(report.stats).toMatchObject({ calls: 0, splits: 0, rejected: 8 });
  });

  test('a repeat gives its slot back while it waits', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const order: string[] = [];
    const work = (n: number, { attempt }: { attempt: number }) => {
      order.push(`${n}/${attempt}`);
      if (n === 0 && attempt === 1) throw new Error('again');
    };
    await finish(batchAllSettled([0, 1, 2], work, { pool, retry: { baseDelay: 10, jitter: 'none' } }));
    expect(order).toEqual(['0/1', '1/1', '2/1', '0/2']);
  });

  test('an abort takes what waits out of its queue and aborts what runs', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const control = new AbortController();
    const seen: unknown[] = [];
    const work = (_: number, { signal }: { signal: AbortSignal }) => {
      signal.addEventListener('abort', () => seen.push(signal.reason));
      return never();
    };
    const running = batchAllSettled(upTo(3), work, { pool, concurrency: 3, signal: control.signal });
    await turns();
    expect(pool.queued).toBe(2);
    control.abort('stop');
    const report = await running;
    expect(seen).toEqual(['stop']);
    expect(report.results.map(({ status, attempts }) => [status, attempts])).toEqual([
      ['skipped', 1],
      ['skipped', 0],
      ['skipped', 0],
    ]);
    expect(pool.queued).toBe(0);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
  });

  test("the pool's own close reaches the signal of the work", async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const work = (_: number, { signal }: { signal: AbortSignal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    for (const timeout of [undefined, 9_999]) {
      const own = new PromisePool({ concurrency: 1 });
      const running = batchAllSettled([1], work, { pool: own, timeout });
      await turns();
      await own.close({ grace: 0, reason: 'closing' });
      expect((await running).errors[0]?.reason).toBe('closing');
      expect(vi.getTimerCount()).toBe(0);
    }
    expect(pool.running).toBe(0);
  });

  test('gather goes through it too', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const gauge = new Gauge();
    const task = () => gauge.around(() => wait(1));
    const report = await finish(gatherAllSettled({ a: task, b: task, c: task }, { pool }));
    expect(report.ok).toBe(true);
    expect(gauge.max).toBe(1);
    expect(pool.getMetrics().calls).toBe(3);
  });
});

describe('through any other executor', () => {
  test('without a `concurrency` the default holds', async () => {
    for (const concurrency of [undefined, Number.NaN, 0, '3']) {
      const gauge = new Gauge();
      const pool = Object.assign(
        executor((task) => task(context)),
        { concurrency },
      );
      await finish(batchAllSettled(upTo(9), () => gauge.around(() => wait(1)), { pool }));
      expect(gauge.max).toBe(5);
    }
  });

  test.each([
    [
      'throws',
      () => {
        throw 'refused';
      },
      'r',
      0,
    ],
    ['rejects without running the task', () => Promise.reject('refused'), 'r', 0],
    ['answers without running the task', () => 'cached', 'f', 0],
    ['gives no context', (task: Task<unknown>) => (task as () => unknown)(), 'f', 1],
    ['runs it later', (task: Task<unknown>) => Promise.resolve().then(() => task(context)), 'f', 1],
    ['answers something else', (task: Task<unknown>) => Promise.resolve(task(context)).then(() => 'else'), 'f', 1],
  ])('one that %s', async (_, execute, expected, attempts) => {
    const report = await batchAllSettled([1], (n) => n, { pool: executor(execute) });
    expect(statuses(report)).toBe(expected);
    expect(report.results[0]?.attempts).toBe(attempts);
  });

  test('one that repeats the task: each entry is a call and an attempt; the lane is one', async () => {
    const pool = executor(async (task) => {
      for (let i = 0; ; i++) {
        try {
          return await task(context);
        } catch (error) {
          if (i === 2) throw error;
          await wait(100);
        }
      }
    });
    const gauge = new Gauge();
    const attempts: number[] = [];
    const work = (n: number, { attempt }: { attempt: number }) =>
      gauge.around(async () => {
        if (n === 0) attempts.push(attempt);
        await wait(10);
        if (n === 0 && attempt < 3) throw new Error('again');
      });
    // The waits between the entries are no part of the timeout.
    const report = await finish(batchAllSettled([0, 1, 2], work, { pool, concurrency: 1, timeout: 50 }));
    expect(report.ok).toBe(true);
    expect(attempts).toEqual([1, 2, 3]);
    expect(report.results.map((result) => result.attempts)).toEqual([3, 1, 1]);
    expect(report.stats).toMatchObject({ calls: 5, retries: 0 });
    expect(gauge.max).toBe(1);
  });

  test('one that answers early: the lane is held until the work ends', async () => {
    const gauge = new Gauge();
    const pool = executor((task) => {
      void task(context);
      return Promise.reject('early');
    });
    const report = await finish(batchAllSettled(upTo(6), () => gauge.around(() => wait(10)), { pool, concurrency: 2 }));
    expect(statuses(report)).toBe('rrrrrr');
    expect(gauge.max).toBe(2);
  });

  test('one that answers early: the work still hears of the abort of the batch', async () => {
    const control = new AbortController();
    const seen: unknown[] = [];
    const pool = executor((task) => {
      void task(context);
      return 'early';
    });
    const work = (_: number, { signal }: { signal: AbortSignal }) => {
      signal.addEventListener('abort', () => seen.push(signal.reason));
      return never();
    };
    const running = batchAllSettled([1, 2], work, { pool, concurrency: 1, signal: control.signal });
    await turns();
    control.abort('x');
    expect(statuses(await running)).toBe('fs');
    expect(seen).toEqual(['x']);
  });

  test('one that answers early and whose work hangs: with a timeout the lane is given up', async () => {
    const pool = executor((task) => {
      void task(context);
      return 'early';
    });
    const report = await finish(batchAllSettled(upTo(3), never, { pool, concurrency: 1, timeout: 10 }));
    expect(statuses(report)).toBe('fff');
    expect(report.stats).toMatchObject({ abandoned: 2, durationMs: 40 });
  });

  test('one that never answers though the work has ended: an abort ends the batch', async () => {
    const pool = executor((task) => {
      void task(context);
      return never();
    });
    const control = new AbortController();
    const running = batchAllSettled([1], (n) => n, { pool, signal: control.signal });
    await turns();
    control.abort('enough');
    expect(statuses(await running)).toBe('s');
  });

  test('one that never answers a timeout though the work has ended: the lane is given up', async () => {
    const pool = executor((task) => {
      void task(context);
      return never();
    });
    const starts: number[] = [];
    const begin = performance.now();
    const work = () => {
      starts.push(performance.now() - begin);
      return wait(15);
    };
    const report = await finish(batchAllSettled([1, 2], work, { pool, concurrency: 1, timeout: 10 }));
    expect(statuses(report)).toBe('rr');
    expect(starts).toEqual([0, 20]);
    expect(report.stats).toMatchObject({ abandoned: 1, peakInFlight: 1 });
  });

  test('one that repeats what still runs: the time is that of the last entry', async () => {
    const pool = executor(async (task) => {
      void task(context);
      await wait(30);
      return task(context);
    });
    const work = (_: number, { attempt }: { attempt: number }) => (attempt === 1 ? never() : wait(40));
    const report = await finish(batchAllSettled([1], work, { pool, timeout: 50 }));
    expect(report).toMatchObject({ ok: true, stats: { durationMs: 70, calls: 2 } });
  });

  test('one that hands over an aborted signal', async () => {
    const pool = executor((task) => task({ signal: AbortSignal.abort('gone') }));
    const report = await batchAllSettled([1], (_, { signal }) => [signal.aborted, signal.reason], { pool });
    expect(report.values).toEqual([[true, 'gone']]);
  });

  test('one that comes too late finds the door closed: nothing runs after the end', async () => {
    const late: (() => unknown)[] = [];
    const pool = executor((task) => {
      late.push(() => task(context));
      return never();
    });
    const control = new AbortController();
    const work = vi.fn();
    const running = batchAllSettled([1, 2], work, { pool, signal: control.signal });
    control.abort('stop');
    const report = await running;
    for (const enter of late) expect(enter).toThrow(expect.objectContaining({ code: 'CLOSED', source: 'batch' }));
    expect(work).not.toHaveBeenCalled();
    expect(report.stats.calls).toBe(0);
  });

  test('one that runs an old task again while the lane has a new one does not run it', async () => {
    const tasks: Task<unknown>[] = [];
    const pool = executor((task) => {
      tasks.push(task);
      return task(context);
    });
    const work = vi.fn((n: number) => wait(n));
    const running = batchAllSettled([1, 9], work, { pool, concurrency: 1 });
    await vi.advanceTimersByTimeAsync(2);
    expect(() => tasks[0]?.(context)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    await finish(running);
    expect(work).toHaveBeenCalledTimes(2);
  });

  test('a signal of its own that lives long keeps no listener', async () => {
    const control = new AbortController();
    const pool = executor((task) => task({ signal: control.signal }));
    const work = (n: number, { signal }: { signal: AbortSignal }) => {
      expect(signal.aborted).toBe(false);
      return n === 0 ? never() : wait(n);
    };
    const report = await finish(batchAllSettled(upTo(9), work, { pool, timeout: 50 }));
    expect(statuses(report)).toBe('rffffffff');
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);

    const contexts: { signal: AbortSignal }[] = [];
    await batchAllSettled([1], (_, kept) => contexts.push(kept), { pool });
    expect(contexts[0]?.signal.aborted).toBe(false);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
  });

  test('it is told of the timeout by the signal it was given', async () => {
    const reasons: unknown[] = [];
    const pool = executor((task, options) => {
      options?.signal?.addEventListener('abort', () => reasons.push(options.signal?.reason));
      return task(context);
    });
    await finish(batchAllSettled([1], never, { pool, timeout: 5 }));
    expect(reasons).toMatchObject([{ code: 'TIMEOUT' }]);
  });
});
