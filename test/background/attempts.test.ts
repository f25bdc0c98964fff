import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import { deferred, never, outcomeOf, settle, silenceConsole, watchUnhandled } from './helpers.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const rules = { baseDelay: 100, factor: 1, jitter: 'none' } as const;

describe('timeout', () => {
  test('fails the task and aborts its signal with a TimeoutError; the work holds its place until it ends', async () => {
    const told: unknown[] = [];
    const group = new BackgroundTasks({ name: 'mail', concurrency: 1, onError: (error) => told.push(error) });
    const work = deferred();
    let signal: AbortSignal | undefined;
    const handle = group.run(
      (context) => {
        ({ signal } = context);
        return work.promise;
      },
      { timeout: 1_000 },
    );
    const next = vi.fn();
    group.run(next);
    await vi.advanceTimersByTimeAsync(999);
    expect(await outcomeOf(handle)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    const outcome = await handle.done;
    expect(outcome).toMatchObject({
      status: 'rejected',
      attempts: 1,
      reason: { code: 'TIMEOUT', source: 'mail', timeout: 1_000, option: 'timeout' },
    });
    expect(told).toEqual([signal?.reason]);
    expect(told[0]).toBeInstanceOf(TimeoutError);
    expect([group.running, group.queued, vi.getTimerCount()]).toEqual([1, 1, 0]);
    work.resolve('late');
    await settle();
    expect(next).toHaveBeenCalledTimes(1);
    expect(group.getMetrics()).toMatchObject({ fulfilled: 1, failed: 1 });
  });

  test('leaves no timer behind when the work ends, fails, or is cancelled first', async () => {
    silenceConsole();
    const group = new BackgroundTasks();
    const works = [deferred(), deferred(), deferred()];
    const handles = works.map(({ promise }) => group.run(() => promise, { timeout: 60_000 }));
    await settle();
    expect(vi.getTimerCount()).toBe(1);
    works[0]?.resolve(1);
    works[1]?.reject(1);
    handles[2]?.cancel();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('runs from the entry, not from the submission, and may be Infinity or beyond what timers keep', async () => {
    silenceConsole();
    const group = new BackgroundTasks({ concurrency: 1 });
    const first = deferred();
    group.run(() => first.promise, { timeout: Number.POSITIVE_INFINITY });
    const waits = group.run(never, { timeout: 100 });
    const long = group.run(never, { timeout: 2 ** 31 + 1_000 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcomeOf(waits)).toBe('pending');
    first.resolve(undefined);
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcomeOf(waits)).toMatchObject({ status: 'rejected' });
    expect(await outcomeOf(long)).toBe('pending');
  });
});

describe('retry', () => {
  test('repeats a failed attempt with a context of its own, and tells only of the end', async () => {
    const onError = vi.fn();
    const group = new BackgroundTasks({ onError });
    const attempts: number[] = [];
    const signals = new Set<AbortSignal>();
    const handle = group.run(
      ({ attempt, signal }) => {
        attempts.push(attempt);
        signals.add(signal);
        if (attempt < 3) throw new Error(`${attempt}`);
      },
      { retry: { ...rules, maxAttempts: 3 } },
    );
    await vi.advanceTimersByTimeAsync(200);
    expect(await handle.done).toEqual({ status: 'fulfilled', attempts: 3 });
    expect([attempts, signals.size]).toEqual([[1, 2, 3], 3]);
    expect(onError).not.toHaveBeenCalled();
  });

  test('tells the last error itself and how many attempts there were', async () => {
    const told: unknown[] = [];
    const group = new BackgroundTasks();
    const errors = [new Error('a'), new Error('b')];
    const handle = group.run(({ attempt }) => Promise.reject(errors[attempt - 1]), {
      name: 'job',
      retry: { ...rules, maxAttempts: 2 },
      onError: (error, task) => told.push([error, task]),
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await handle.done).toEqual({ status: 'rejected', reason: errors[1], attempts: 2 });
    expect(told).toEqual([[errors[1], { name: 'job', attempts: 2 }]]);
  });

  test('the timeout is that of one attempt, and a timed-out one counts as failed', async () => {
    const group = new BackgroundTasks();
    const reasons: unknown[] = [];
    const handle = group.run(
      ({ attempt, signal }) => {
        if (attempt === 3) return 'third';
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reasons.push((signal.reason as Error).name);
            reject(signal.reason);
          });
        });
      },
      { timeout: 50, retry: { ...rules, maxAttempts: 3 } },
    );
    await vi.advanceTimersByTimeAsync(300);
    expect(await outcomeOf(handle)).toEqual({ status: 'fulfilled', attempts: 3 });
    expect(reasons).toEqual(['TimeoutError', 'TimeoutError']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('the place is free only when no attempt runs any more, the overdue ones included', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const works = [deferred(), deferred()];
    const handle = group.run(({ attempt }) => works[attempt - 1]?.promise, {
      timeout: 50,
      retry: { ...rules, maxAttempts: 2 },
    });
    const next = vi.fn();
    group.run(next);
    await vi.advanceTimersByTimeAsync(160);
    works[1]?.resolve('second');
    expect(await handle.done).toEqual({ status: 'fulfilled', attempts: 2 });
    await settle();
    expect([group.running, next.mock.calls.length]).toEqual([1, 0]);
    works[0]?.reject(new Error('late: dropped'));
    await settle();
    expect(next).toHaveBeenCalledTimes(1);
  });

  test('the place is kept during the wait for the next attempt', async () => {
    const group = new BackgroundTasks({ concurrency: 1, onError: () => {} });
    group.run(() => Promise.reject(new Error('down')), { retry: { ...rules, maxAttempts: 3 } });
    const next = vi.fn();
    group.run(next);
    await vi.advanceTimersByTimeAsync(199);
    expect([group.running, group.queued, next.mock.calls.length]).toEqual([1, 1, 0]);
    await vi.advanceTimersByTimeAsync(1);
    expect(next).toHaveBeenCalledTimes(1);
  });

  test('a failed attempt takes its timeout with it', async () => {
    const group = new BackgroundTasks();
    const { done } = group.run(({ attempt }) => (attempt === 1 ? Promise.reject(new Error('down')) : 'up'), {
      timeout: 60_000,
      retry: rules,
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await done).toEqual({ status: 'fulfilled', attempts: 2 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a cancel during the wait ends it at once and leaves no timer', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const task = vi.fn(() => Promise.reject(new Error('down')));
    const handle = group.run(task, { retry: { ...rules, baseDelay: 10_000 } });
    await settle();
    expect([task.mock.calls.length, vi.getTimerCount()]).toEqual([1, 1]);
    handle.cancel('stop');
    expect(await handle.done).toEqual({ status: 'cancelled', reason: 'stop', attempts: 1 });
    await settle();
    expect([group.running, vi.getTimerCount()]).toEqual([0, 0]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(task).toHaveBeenCalledTimes(1);
  });

  test('a cancel at any moment: no attempt begins after it', async () => {
    for (let moment = 0; moment < 40; moment++) {
      const group = new BackgroundTasks();
      let cancelled = false;
      let late = 0;
      const handle = group.run(
        async () => {
          if (cancelled) late++;
          throw new Error('down');
        },
        { retry: { ...rules, baseDelay: 0, maxAttempts: Number.POSITIVE_INFINITY } },
      );
      // Each step lets the clock or the microtasks go on by one.
      for (let i = 0; i < moment; i++) {
        if (i % 5 === 4) vi.advanceTimersByTime(1);
        else await Promise.resolve();
      }
      handle.cancel();
      cancelled = true;
      await vi.advanceTimersByTimeAsync(50);
      expect(late).toBe(0);
      expect([group.running, vi.getTimerCount()]).toEqual([0, 0]);
    }
  });

  test('bad rules are the outcome, and a predicate that throws too', async () => {
    vi.useRealTimers();
    const unhandled = watchUnhandled();
    const told: unknown[] = [];
    const group = new BackgroundTasks({ onError: (error) => told.push(error) });
    const bad = group.run(() => {}, { retry: { maxAttempts: 0 } });
    expect(await bad.done).toMatchObject({ status: 'rejected', attempts: 0, reason: expect.any(RangeError) });
    const fault = new Error('predicate');
    const throws = group.run(() => Promise.reject(1), {
      retry: {
        shouldRetry: () => {
          throw fault;
        },
      },
    });
    expect(await throws.done).toEqual({ status: 'rejected', reason: fault, attempts: 1 });
    expect(told).toHaveLength(2);
    expect(await unhandled()).toEqual([]);
  });

  test('rules are read at the call: whoever changes them later changes nothing', async () => {
    const group = new BackgroundTasks({ onError: () => {} });
    const retry = { ...rules, maxAttempts: 2 };
    const task = vi.fn(() => Promise.reject(new Error('down')));
    group.run(task, { retry });
    retry.maxAttempts = 50;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(task).toHaveBeenCalledTimes(2);
  });
});
