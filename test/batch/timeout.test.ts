import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BatchProgress, batchAllSettled, chunkAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import { finish, Gauge, never, statuses, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('timeout', () => {
  test('work that heeds the abort frees its lane at once', async () => {
    const starts: number[] = [];
    const begin = performance.now();
    const work = (n: number, { signal }: { signal: AbortSignal }) => {
      starts.push(performance.now() - begin);
      if (n > 0) return n;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const report = await finish(batchAllSettled([0, 1], work, { concurrency: 1, timeout: 40 }));
    expect(starts).toEqual([0, 40]);
    expect(report.stats.abandoned).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('work that ends between the two timeouts frees its lane then; its outcome stays', async () => {
    const starts: number[] = [];
    const begin = performance.now();
    const work = (ms: number) => {
      starts.push(performance.now() - begin);
      return wait(ms);
    };
    const report = await finish(batchAllSettled([60, 5], work, { concurrency: 1, timeout: 40 }));
    expect(starts).toEqual([0, 60]);
    expect(statuses(report)).toBe('rf');
    expect(report.stats).toMatchObject({ abandoned: 0, peakInFlight: 1 });
  });

  test('the report does not wait for what is overdue', async () => {
    const report = await finish(batchAllSettled([1], never, { timeout: 40 }));
    expect(report.stats).toMatchObject({ durationMs: 40, abandoned: 0, rejected: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a batch in which everything hangs ends', async () => {
    const report = await finish(batchAllSettled(upTo(10), never, { concurrency: 2, timeout: 10 }));
    expect(statuses(report)).toBe('rrrrrrrrrr');
    expect(report.stats).toMatchObject({ abandoned: 8, peakInFlight: 2, durationMs: 90 });
  });

  test('a lane that was given up is not given back when its work ends after all', async () => {
    const gauge = new Gauge();
    const work = (ms: number) => gauge.around(() => wait(ms));
    const report = await finish(
      batchAllSettled([100, 5, 5, 5, 100, 5, 5, 5, 5, 5], work, { concurrency: 2, timeout: 20 }),
    );
    expect(report.stats).toMatchObject({ abandoned: 2, peakInFlight: 2 });
    // Two lanes and the two that were lost.
    expect(gauge.max).toBeLessThanOrEqual(4);
    await finish(wait(200));
    expect(gauge.now).toBe(0);
  });

  test('work that was given up is no longer in flight, and leaves only once', async () => {
    const inFlight: number[] = [];
    const times = [100, ...upTo(20).map(() => 9)];
    const onProgress = (progress: BatchProgress) => inFlight.push(progress.inFlight);
    const report = await finish(batchAllSettled(times, wait, { concurrency: 1, timeout: 20, onProgress }));
    // The first is told of while its work still runs.
    expect(inFlight).toEqual([1, ...upTo(20).map(() => 0)]);
    expect(report.stats).toMatchObject({ abandoned: 1, peakInFlight: 1 });
  });

  test('what falls due while an aborted batch waits for its source changes no number', async () => {
    const control = new AbortController();
    async function* source(): AsyncGenerator<number> {
      try {
        for (;;) yield 1;
      } finally {
        await wait(30);
      }
    }
    const running = batchAllSettled(source(), never, { concurrency: 1, timeout: 40, signal: control.signal });
    await vi.advanceTimersByTimeAsync(60);
    control.abort('x');
    const report = await finish(running);
    expect(statuses(report)).toBe('r');
    expect(report.stats).toMatchObject({ abandoned: 0, durationMs: 60 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('one that fires inside the code of the source does not call it again', async () => {
    function* source(): Generator<number> {
      yield 0;
      vi.advanceTimersByTime(50);
      yield 1;
    }
    const work = (n: number) => (n === 0 ? never() : n);
    const report = await finish(batchAllSettled(source(), work, { concurrency: 3, timeout: 50 }));
    expect('inputError' in report).toBe(false);
    expect(statuses(report)).toBe('rf');
  });

  test('it is a failed attempt, and is repeated while the first still runs', async () => {
    const work = (_: number, { attempt }: { attempt: number }) => (attempt === 1 ? never() : 'second');
    const retry = { baseDelay: 5, jitter: 'none' } as const;
    const report = await finish(batchAllSettled([1], work, { concurrency: 2, timeout: 30, retry }));
    expect(report.unwrap()).toEqual(['second']);
    expect(report.stats).toMatchObject({ durationMs: 35, calls: 2, retries: 1, abandoned: 0 });
  });

  test('a late rejection of what was timed out is swallowed', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    let fail!: (reason: unknown) => void;
    const report = await finish(
      batchAllSettled([1], () => new Promise((_, reject) => (fail = reject)), { timeout: 5 }),
    );
    fail(new Error('late'));
    vi.useRealTimers();
    await wait(5);
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(report.errors[0]?.reason).toMatchObject({ code: 'TIMEOUT' });
  });

  test('0 is a timeout, and beyond 2^31 ms it is kept', async () => {
    expect(statuses(await finish(batchAllSettled([1, 2], never, { timeout: 0 })))).toBe('rr');
    const begin = performance.now();
    const report = await finish(batchAllSettled([1], never, { timeout: 2 ** 32 }), 2 ** 33);
    expect(performance.now() - begin).toBe(2 ** 32);
    expect(statuses(report)).toBe('r');
  });

  test('chunks and gather have it too', async () => {
    const chunked = await finish(
      chunkAllSettled(upTo(4), (c, { offset }) => (offset === 0 ? never() : c), { size: 2, timeout: 5 }),
    );
    expect(statuses(chunked)).toBe('rrff');
    const gathered = await finish(gatherAllSettled({ slow: never, fast: () => 1 }, { timeout: 5 }));
    expect(gathered.values).toEqual({ fast: 1 });
    expect(gathered.errors.slow).toMatchObject({ code: 'TIMEOUT', option: 'timeout', timeout: 5 });
  });
});
