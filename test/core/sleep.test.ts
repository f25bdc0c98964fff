import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sleep } from '../../src/core/sleep.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const watch = (promise: Promise<void>) => {
  const seen: { end?: ['resolved'] | ['rejected', unknown] } = {};
  promise.then(
    () => {
      seen.end = ['resolved'];
    },
    (reason: unknown) => {
      seen.end = ['rejected', reason];
    },
  );
  return seen;
};

describe('sleep', () => {
  test.each([0, 1, 250, 2 ** 31 + 5])('waits %d ms, never less, and leaves nothing behind', async (delay) => {
    const { signal } = new AbortController();
    const seen = watch(sleep(delay, signal));
    if (delay > 0) await vi.advanceTimersByTimeAsync(delay - 1);
    expect(seen.end).toBe(undefined);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.end).toEqual(['resolved']);
    expect([getEventListeners(signal, 'abort').length, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test.each([null, 0, '', false, new Error('x')])(
    'an abort with %o ends it in that turn, with the reason itself',
    async (reason) => {
      const controller = new AbortController();
      const seen = watch(sleep(10_000, controller.signal));
      await vi.advanceTimersByTimeAsync(100);
      controller.abort(reason);
      await Promise.resolve();
      expect(seen.end).toEqual(['rejected', reason]);
      expect([getEventListeners(controller.signal, 'abort').length, vi.getTimerCount()]).toEqual([0, 0]);
    },
  );

  test('with a signal that has aborted it never begins', async () => {
    const reason = new Error('before');
    const signal = AbortSignal.abort(reason);
    const seen = watch(sleep(10_000, signal));
    await Promise.resolve();
    expect(seen.end).toEqual(['rejected', reason]);
    expect([getEventListeners(signal, 'abort').length, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test('Infinity has no timer and waits for the abort alone', async () => {
    const controller = new AbortController();
    const seen = watch(sleep(Number.POSITIVE_INFINITY, controller.signal));
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(2 ** 40);
    expect(seen.end).toBe(undefined);
    controller.abort('now');
    await Promise.resolve();
    expect(seen.end).toEqual(['rejected', 'now']);
  });

  test('without a signal it just waits', async () => {
    const seen = watch(sleep(5, undefined));
    await vi.advanceTimersByTimeAsync(5);
    expect(seen.end).toEqual(['resolved']);
  });
});
