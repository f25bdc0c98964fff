import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BatchProgress, batchAllSettled, chunkAllSettled } from '../../src/batch/index.js';
import { finish, never, statuses, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('abort', () => {
  test.each([undefined, null, 0, '', new Error('why')])(
    'with the reason %s: skipped with it, and told by it',
    async (reason) => {
      const control = new AbortController();
      const seen: unknown[] = [];
      const work = (n: number, { signal }: { signal: AbortSignal }) => {
        if (n === 0) return 'done';
        signal.addEventListener('abort', () => seen.push(signal.reason));
        return never();
      };
      const running = batchAllSettled([0, 1, 2, 3], work, { concurrency: 2, signal: control.signal });
      await turns();
      control.abort(reason);
      const report = await running;
      const why = control.signal.reason;
      expect(statuses(report)).toBe('fsss');
      expect(report.results.slice(1)).toEqual([
        { status: 'skipped', reason: why, item: 1, index: 1, attempts: 1 },
        { status: 'skipped', reason: why, item: 2, index: 2, attempts: 1 },
        { status: 'skipped', reason: why, item: 3, index: 3, attempts: 0 },
      ]);
      expect(seen).toEqual([why, why]);
      expect(report).toMatchObject({
        ok: false,
        aborted: true,
        stats: { skipped: 3, fulfilled: 1, total: 4, failureRate: 0 },
      });
    },
  );

  test('before the start: all of an array is skipped, nothing runs', async () => {
    const work = vi.fn();
    const report = await batchAllSettled(upTo(3), work, { signal: AbortSignal.abort('no') });
    expect(work).not.toHaveBeenCalled();
    expect(statuses(report)).toBe('sss');
    expect(report.stats).toMatchObject({ calls: 0, peakInFlight: 0 });
  });

  test('after the end: nothing', async () => {
    const control = new AbortController();
    const report = await batchAllSettled([1], (n) => n, { signal: control.signal });
    control.abort();
    expect(report.ok).toBe(true);
  });

  test.each([
    ['by the work, synchronously', (control: AbortController) => control.abort('x')],
    [
      'by the work, then it throws',
      (control: AbortController) => {
        control.abort('x');
        throw new Error('mine');
      },
    ],
    [
      'by the work, then it rejects',
      async (control: AbortController) => {
        control.abort('x');
        throw new Error('mine');
      },
    ],
  ])('%s: that item is skipped too', async (_, act) => {
    const control = new AbortController();
    const work = vi.fn((n: number) => (n === 1 ? act(control) : n));
    const report = await batchAllSettled(upTo(4), work, { concurrency: 1, signal: control.signal });
    expect(statuses(report)).toBe('fsss');
    expect(work).toHaveBeenCalledTimes(2);
    expect(report.results[1]).toMatchObject({ attempts: 1, reason: 'x' });
  });

  test('by onProgress in the middle of a chunk: the answer that is there still counts', async () => {
    const control = new AbortController();
    const onProgress = vi.fn(({ fulfilled }: BatchProgress) => {
      if (fulfilled === 1) control.abort('x');
    });
    const report = await chunkAllSettled(upTo(6), (chunk) => chunk, {
      size: 3,
      concurrency: 1,
      signal: control.signal,
      onProgress,
    });
    expect(statuses(report)).toBe('fffsss');
    expect(onProgress).toHaveBeenCalledTimes(3);
    expect(report.aborted).toBe(true);
  });

  test('by the last onProgress: all is done, so nothing is aborted', async () => {
    const control = new AbortController();
    const onProgress = ({ fulfilled }: BatchProgress) => {
      if (fulfilled === 2) control.abort('x');
    };
    const report = await batchAllSettled([1, 2], (n) => n, { signal: control.signal, onProgress });
    expect(report).toMatchObject({ ok: true, aborted: false });
  });

  test('during a wait for a repeat and during a delay: at once, no timer left', async () => {
    const control = new AbortController();
    const fail = () => Promise.reject(new Error('down'));
    const options = {
      delay: 50,
      signal: control.signal,
      timeout: 9_999,
      retry: { baseDelay: 10_000, jitter: 'none' },
    } as const;
    const running = batchAllSettled([1, 2], fail, options);
    await turns();
    expect(vi.getTimerCount()).toBe(1);
    control.abort('x');
    const report = await running;
    expect(report.results).toMatchObject([
      { status: 'skipped', attempts: 1 },
      { status: 'skipped', attempts: 0 },
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('while the predicate of the retry is asked', async () => {
    const control = new AbortController();
    const running = batchAllSettled([1], () => Promise.reject(new Error('down')), {
      retry: { shouldRetry: never },
      signal: control.signal,
    });
    await turns();
    control.abort('x');
    expect(statuses(await running)).toBe('s');
  });

  test.each([undefined, { shouldRetry: () => true }])(
    'what fails because of it is skipped even if the work heard of it first (retry: %j)',
    async (retry) => {
      const control = new AbortController();
      const { signal } = control;
      let fail!: (reason: unknown) => void;
      signal.addEventListener('abort', () => fail(signal.reason));
      const work = () => new Promise((_, reject) => (fail = reject));
      const running = batchAllSettled([1], work, { signal, retry });
      // As where a platform dispatches the event with no script below it: microtasks run between two listeners.
      Object.defineProperty(signal, 'aborted', { get: () => true });
      Object.defineProperty(signal, 'reason', { get: () => 'x', configurable: true });
      fail('x');
      await turns();
      control.abort('x');
      expect(statuses(await running)).toBe('s');
    },
  );

  test('what is decided after it is skipped even if the decision comes before we hear of it', async () => {
    const control = new AbortController();
    const { signal } = control;
    const decisions: ((again: boolean) => void)[] = [];
    const shouldRetry = () => new Promise<boolean>((resolve) => decisions.push(resolve));
    const options = { signal, retry: { shouldRetry } };
    const down = () => Promise.reject(new Error('down'));
    const running = [
      batchAllSettled([1], down, options),
      chunkAllSettled([1], down, { ...options, size: 1 }),
      chunkAllSettled([1], (_, { fail }) => [fail('no')], { ...options, size: 1 }),
    ];
    await turns();
    expect(decisions).toHaveLength(3);
    Object.defineProperty(signal, 'aborted', { get: () => true });
    for (const decide of decisions) decide(false);
    await turns();
    control.abort('x');
    expect((await Promise.all(running)).map(statuses)).toEqual(['s', 's', 's']);
  });

  test('a signal shared by many batches has one listener, and none in the end', async () => {
    const control = new AbortController();
    const { signal } = control;
    const running = upTo(100).map((n) =>
      batchAllSettled([n], () => (n < 50 ? wait(n) : never()), { signal, timeout: 50 }),
    );
    expect(listeners(signal)).toBe(1);
    await finish(Promise.all(running));
    expect(listeners(signal)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a context that is read after its call has ended says nothing and listens to nothing', async () => {
    const control = new AbortController();
    const contexts: { signal: AbortSignal }[] = [];
    await batchAllSettled([1], (_, context) => contexts.push(context), { signal: control.signal });
    expect(contexts[0]?.signal.aborted).toBe(false);
    expect(listeners(control.signal)).toBe(0);
  });
});
