import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BatchProgress, batchAllSettled } from '../../src/batch/index.js';
import { finish, oneByOne, rejection, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('progress and report', () => {
  test('progress is told after each item, state first', async () => {
    const seen: BatchProgress[] = [];
    const work = async (n: number) => {
      await wait(10);
      if (n === 2) throw new Error('two');
    };
    await finish(batchAllSettled([1, 2, 3], work, { concurrency: 1, onProgress: (progress) => seen.push(progress) }));
    expect(seen).toEqual([
      { total: 3, fulfilled: 1, rejected: 0, inFlight: 0, perSecond: 100, remainingMs: 20 },
      { total: 3, fulfilled: 1, rejected: 1, inFlight: 0, perSecond: 100, remainingMs: 10 },
      { total: 3, fulfilled: 2, rejected: 1, inFlight: 0, perSecond: 100, remainingMs: 0 },
    ]);
  });

  test('without a total nothing is foretold, nor before any time has passed', async () => {
    const seen: BatchProgress[] = [];
    const onProgress = (progress: BatchProgress) => seen.push(progress);
    await finish(batchAllSettled(oneByOne([1]), () => wait(10), { onProgress }));
    await batchAllSettled([1, 2], (n) => n, { onProgress });
    expect(seen).toMatchObject([
      { total: undefined, perSecond: 100, remainingMs: undefined },
      { total: 2, perSecond: 0, remainingMs: undefined },
      { total: 2, perSecond: 0, remainingMs: 0 },
    ]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('hook');
      },
    ],
    ['rejects', () => Promise.reject(new Error('hook'))],
  ])('one that %s changes nothing and is shown once', async (_, onProgress) => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const report = await batchAllSettled(upTo(9), (n) => n, { onProgress });
    await turns();
    expect(report.unwrap()).toEqual(upTo(9));
    expect(shown).toHaveBeenCalledTimes(1);
    expect(shown.mock.calls[0]?.[0]).toContain('`batch`');
    shown.mockRestore();
  });

  test('the clock is read at the start and the end only, unless somebody asks', async () => {
    const clock = vi.spyOn(performance, 'now');
    await batchAllSettled(upTo(1_000), (n) => n);
    expect(clock).toHaveBeenCalledTimes(2);
    expect(vi.getTimerCount()).toBe(0);
    clock.mockRestore();
  });

  test('no signal is made unless the work looks at it', async () => {
    const made = vi.spyOn(globalThis, 'AbortController');
    await batchAllSettled(upTo(100), (n) => n, { signal: new AbortController().signal });
    expect(made).toHaveBeenCalledTimes(1);
    made.mockRestore();
  });

  test('the stats', async () => {
    const report = await finish(
      batchAllSettled(
        [1, 2, 3, 4],
        async (n) => {
          await wait(500);
          if (n === 4) throw new Error('four');
        },
        { concurrency: 2 },
      ),
    );
    expect(report.stats).toEqual({
      total: 4,
      fulfilled: 3,
      rejected: 1,
      skipped: 0,
      calls: 4,
      retries: 0,
      splits: 0,
      peakInFlight: 2,
      abandoned: 0,
      durationMs: 1_000,
      perSecond: 4,
      failureRate: 0.25,
    });
  });

  test('unwrap gives the values or throws all reasons, and may be detached', async () => {
    const { unwrap } = await batchAllSettled([1, 2], (n) => n);
    expect(unwrap()).toEqual([1, 2]);

    const control = new AbortController();
    const failing = await batchAllSettled(
      upTo(5),
      (n) => {
        if (n === 3) control.abort('stop');
        return n === 1 ? Promise.reject('one') : n;
      },
      { concurrency: 1, signal: control.signal },
    );
    const error = await rejection(Promise.resolve().then(failing.unwrap));
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toEqual(['one', 'stop']);
    expect((error as Error).message).toBe('1 of 5 items failed; aborted');
  });
});
