import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, chunkAllSettled } from '../../src/batch/index.js';
import { finish, Gauge, never, statuses, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the window', () => {
  test('starts as much as it may inside the call, five by default', async () => {
    const gauge = new Gauge();
    const running = batchAllSettled(upTo(9), () => gauge.around(() => wait(1)));
    expect(gauge.now).toBe(5);
    await finish(running);
    expect(gauge.max).toBe(5);
  });

  test('keeps a delay between two starts, repeats included', async () => {
    const starts: number[] = [];
    const begin = performance.now();
    const work = (n: number, { attempt }: { attempt: number }) => {
      starts.push(performance.now() - begin);
      if (n === 0 && attempt === 1) throw new Error('again');
    };
    const retry = { baseDelay: 1, jitter: 'none' } as const;
    await finish(batchAllSettled([0, 1, 2], work, { delay: 10, retry }));
    // The repeat was due at 1, and goes before the source.
    expect(starts).toEqual([0, 10, 20, 30]);
  });

  test('a delay does not hold the lanes: calls overlap', async () => {
    const gauge = new Gauge();
    await finish(batchAllSettled(upTo(6), () => gauge.around(() => wait(35)), { delay: 10 }));
    expect(gauge.max).toBe(4);
  });

  test('a batch without a timeout waits for its work', async () => {
    const settled = vi.fn();
    void batchAllSettled([0, 1], (n) => (n === 0 ? never() : n)).then(settled);
    await vi.advanceTimersByTimeAsync(1e9);
    expect(settled).not.toHaveBeenCalled();
  });

  test('the work is called without a receiver', async () => {
    const seen: unknown[] = [];
    const record = function (this: unknown): void {
      seen.push(this);
    };
    await batchAllSettled([1], record);
    await chunkAllSettled(
      [1],
      function (this: unknown, chunk) {
        seen.push(this);
        return chunk;
      },
      { size: 1 },
    );
    expect(seen).toEqual([undefined, undefined]);
  });

  test('the context tells the place and the attempt, and may be destructured', async () => {
    const work = (_: string, { index, attempt, signal }: { index: number; attempt: number; signal: AbortSignal }) => [
      index,
      attempt,
      signal.aborted,
    ];
    expect((await batchAllSettled(['a', 'b'], work)).values).toEqual([
      [0, 1, false],
      [1, 1, false],
    ]);
  });

  test('results are dense and frozen when the promise resolves: what comes later changes nothing', async () => {
    const control = new AbortController();
    const releases: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => releases.push(resolve));
    const running = batchAllSettled(upTo(5), work, { concurrency: 2, signal: control.signal });
    control.abort('stop');
    const report = await running;
    const copy = structuredClone(report.results);
    for (const release of releases) release();
    await turns();
    expect(report.results).toEqual(copy);
    expect(statuses(report)).toBe('sssss');
    expect(releases).toHaveLength(2);
  });
});

describe('odd work', () => {
  test('lazy promises are started, thenables adopted, even if their `then` throws', async () => {
    class Lazy extends Promise<number> {
      // biome-ignore lint/suspicious/noThenProperty: a lazy promise is what is tested.
      override then(...handlers: Parameters<Promise<number>['then']>): never {
        return Promise.resolve(7).then(...handlers) as never;
      }
    }
    const throwing = (reason: string) => () => {
      throw reason;
    };
    const odd: readonly (() => unknown)[] = [
      () => new Lazy(() => {}),
      () => Object.defineProperty({}, 'then', { get: throwing('getter') }),
      () => Object.defineProperty(Promise.resolve(1), 'constructor', { get: throwing('constructor') }),
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        then: (yes: (value: number) => void, no: (reason: unknown) => void) => {
          yes(8);
          no('late');
          throw 'later';
        },
      }),
    ];
    const report = await batchAllSettled(odd, (make) => make());
    expect(statuses(report)).toBe('frrf');
    expect(report.values).toEqual([7, 8]);
    expect(report.errors.map(({ reason }) => reason)).toEqual(['getter', 'constructor']);
  });

  test.each([undefined, null, 0, '', false, Number.NaN])('a rejection with %s is a rejection', async (reason) => {
    for (const work of [
      () => Promise.reject(reason),
      () => {
        throw reason;
      },
    ]) {
      const report = await batchAllSettled([1], work);
      expect(report.results).toEqual([{ status: 'rejected', reason, item: 1, index: 0, attempts: 1 }]);
      expect(report.ok).toBe(false);
    }
  });

  test('errors pass by identity', async () => {
    const error = Object.freeze(new Error('mine'));
    const report = await finish(batchAllSettled([1], () => Promise.reject(error), { retry: {} }));
    expect(report.errors[0]?.reason).toBe(error);
  });
});
