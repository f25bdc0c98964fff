import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { batchAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import { RetryBudget } from '../../src/limits/index.js';
import {
  type AttemptContext,
  getRetryInfo,
  type RetryHooks,
  RetryPolicy,
  type RetryPolicyOptions,
  retryWithBackoff,
} from '../../src/retry/index.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const steady = { jitter: 'none' } as const;
const keep = (call: Promise<unknown>) =>
  call.then(
    (value) => ({ value }),
    (thrown: unknown) => ({ thrown }),
  );
async function ended(call: Promise<unknown>): Promise<{ value?: unknown; thrown?: unknown }> {
  const outcome = keep(call);
  await vi.runAllTimersAsync();
  return outcome;
}
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const failing =
  (times: number, ...errors: unknown[]) =>
  ({ attempt }: { readonly attempt: number }) => {
    if (attempt <= times) throw errors.length === 0 ? new Error('transient') : errors[0];
    return 'value';
  };

describe('execute', () => {
  // The same calls by the function and by a policy: what they say must not differ.
  const ways: [string, (fn: (context: AttemptContext) => unknown) => Promise<unknown>][] = [
    ['retryWithBackoff', (fn) => retryWithBackoff(fn, steady)],
    ['a policy', (fn) => new RetryPolicy(steady).execute(fn)],
    ['a policy under a signal', (fn) => new RetryPolicy(steady).execute(fn, { signal: new AbortController().signal })],
    ['a policy with timeouts', (fn) => new RetryPolicy({ ...steady, totalTimeout: 1e6 }).execute(fn)],
    ['a policy with hooks', (fn) => new RetryPolicy({ ...steady, hooks: { onRetry: () => {} } }).execute(fn)],
  ];
  it.each(ways)('%s: values, waits, errors and what is known of them', async (_name, run) => {
    expect(await ended(run(() => 'value'))).toEqual({ value: 'value' });
    expect(await ended(run(failing(2)))).toEqual({ value: 'value' });
    for (const error of [undefined, null, 0, '', 'text', Object.freeze(new Error('x'))]) {
      expect(await ended(run(failing(9, error)))).toEqual({ thrown: error });
    }
    const error = new Error('x');
    await ended(run(failing(9, error)));
    expect(getRetryInfo(error)).toEqual({
      attempts: 3,
      elapsedMs: 300,
      delayedMs: 300,
      reason: 'exhausted',
      errors: [error, error, error],
    });
    const gone = new Error('gone');
    const stopping = vi.fn(({ stop }: AttemptContext) => Promise.reject(new Error('wrapped', { cause: stop(gone) })));
    await ended(run(stopping));
    expect(stopping).toHaveBeenCalledTimes(1);
    // Stopped by the first attempt, thrown by the second.
    const later = vi.fn(({ attempt, stop }: AttemptContext) => {
      if (attempt === 1) stop(0);
      return Promise.reject(attempt === 1 ? 'x' : 0);
    });
    expect(await ended(run(later))).toEqual({ thrown: 0 });
    expect(later).toHaveBeenCalledTimes(2);
  });

  it('timeouts of a call stand in the place of the policy’s', async () => {
    const policy = new RetryPolicy({ ...steady, name: 'search', maxAttempts: 1, attemptTimeout: 50 });
    const hang = () => new Promise(() => {});
    expect(await ended(policy.execute(hang))).toMatchObject({
      thrown: { option: 'attemptTimeout', timeout: 50, source: 'search' },
    });
    expect(await ended(policy.execute(hang, { attemptTimeout: 70 }))).toMatchObject({ thrown: { timeout: 70 } });
    expect(await ended(policy.execute(hang, { attemptTimeout: undefined, totalTimeout: 30 }))).toMatchObject({
      thrown: { option: 'totalTimeout', timeout: 30 },
    });
    const slow = policy.execute(() => wait(500), { attemptTimeout: Number.POSITIVE_INFINITY });
    expect(await ended(slow)).toEqual({ value: undefined });
  });

  it('elapsedMs counts from the call where anybody can ask for the time, else from the first failure', async () => {
    const error = new Error('x');
    const slow = async () => {
      await wait(1_000);
      throw error;
    };
    const elapsed = async (call: Promise<unknown>) => {
      await ended(call);
      return getRetryInfo(error)?.elapsedMs;
    };
    const one = { maxAttempts: 1 };
    expect(await elapsed(retryWithBackoff(slow, one))).toBe(1_000);
    expect(await elapsed(new RetryPolicy({ ...one, hooks: {} }).execute(slow))).toBe(1_000);
    expect(await elapsed(new RetryPolicy({ ...one, shouldRetry: () => true }).execute(slow))).toBe(1_000);
    expect(await elapsed(new RetryPolicy({ ...one, totalTimeout: 1e6 }).execute(slow))).toBe(1_000);
    expect(await elapsed(new RetryPolicy(one).execute(slow, {}))).toBe(1_000);
    expect(await elapsed(new RetryPolicy(one).execute(slow))).toBe(0);
  });

  it('inside itself is an inner retry: what it gave up on is not retried again', async () => {
    const policy = new RetryPolicy({ ...steady, shouldRetry: () => true });
    const request = vi.fn(() => Promise.reject(new Error('down')));
    await ended(policy.execute(() => policy.execute(request)));
    expect(request).toHaveBeenCalledTimes(3);
  });

  it('a batch under the policy, inside a call or a batch of the same policy, too', async () => {
    const policy = new RetryPolicy({ ...steady, shouldRetry: () => true });
    const request = vi.fn(() => Promise.reject(new Error('down')));
    const inner = async () => {
      const { errors } = await batchAllSettled([1], request, { retry: policy });
      throw new Error('batch', { cause: errors[0]?.reason });
    };
    await ended(policy.execute(inner));
    expect(request).toHaveBeenCalledTimes(3);
    await ended(batchAllSettled([1], inner, { retry: policy }));
    expect(request).toHaveBeenCalledTimes(6);
  });

  it.each<[unknown, unknown, string]>([
    [5, undefined, 'Expected `fn` to be a function, got `5`'],
    [() => 1, null, 'Expected `options` to be an object, got `null`'],
    [() => 1, { signal: {} }, 'Expected `signal` to be an AbortSignal, got `an object`'],
    [() => 1, { totalTimeout: Number.NaN }, 'Expected `totalTimeout` to be a number >= 0 or Infinity, got `NaN`'],
  ])('rejects for bad arguments, and counts no call: %o, %o', async (fn, options, message) => {
    const policy = new RetryPolicy();
    await expect(policy.execute(fn as () => unknown, options as undefined)).rejects.toThrow(message);
    expect(policy.getMetrics().calls).toBe(0);
  });

  it.each<[unknown, string]>([
    [null, 'Expected `options` to be an object, got `null`'],
    [{ name: 5 }, 'Expected `name` to be a string, got `5`'],
    [{ maxAttempts: 0 }, 'Expected `maxAttempts` to be an integer >= 1 or Infinity, got `0`'],
    [{ attemptTimeout: -1 }, 'Expected `attemptTimeout` to be a number >= 0 or Infinity, got `-1`'],
    [{ budget: {} }, 'Expected `budget` to be a RetryBudget, got `an object`'],
    [{ hooks: { onRetry: 5 } }, 'Expected `hooks.onRetry` to be a function, got `5`'],
  ])('the constructor throws: %o', (options, message) => {
    expect(() => new RetryPolicy(options as RetryPolicyOptions)).toThrow(message);
  });
});

describe('metrics', () => {
  it('tell of calls, attempts, waits and why calls gave up; plain and safe for JSON', async () => {
    const budget = new RetryBudget({ burst: 5, ratio: 0, minPerSecond: 0 });
    const policy = new RetryPolicy({ ...steady, name: 'search', budget });
    await ended(policy.execute(() => 1));
    await ended(policy.execute(failing(1)));
    await ended(policy.execute(failing(2)));
    await ended(policy.execute(failing(9)));
    await ended(policy.execute(failing(9)));
    await ended(policy.execute(failing(9, { status: 404 })));
    await ended(policy.execute(failing(9), { totalTimeout: 50 }));
    await ended(policy.execute(failing(9), { signal: AbortSignal.abort() }));
    const busy = { status: 429, headers: { 'retry-after': '86400' } };
    await ended(policy.execute(failing(9, busy)));
    const metrics = policy.getMetrics();
    expect(metrics).toEqual({
      kind: 'retry',
      name: 'search',
      calls: 9,
      attempts: 13,
      retries: 5,
      fulfilled: 3,
      recovered: 2,
      gaveUp: { exhausted: 1, 'not-retryable': 1, budget: 1, deadline: 1, aborted: 1, 'hint-too-long': 1 },
      abandoned: 0,
      delayMs: {
        samples: 5,
        mean: 140,
        p50: expect.closeTo(100, -1),
        p90: expect.closeTo(200, -1),
        p99: expect.closeTo(200, -1),
        max: 200,
      },
    });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  });

  it('are right while calls run', async () => {
    const policy = new RetryPolicy({ ...steady });
    const call = policy.execute(async ({ attempt }) => {
      await wait(10);
      if (attempt === 1) throw new Error('transient');
    });
    expect(policy.getMetrics()).toMatchObject({ calls: 1, attempts: 1, retries: 0, fulfilled: 0 });
    await vi.advanceTimersByTimeAsync(60);
    expect(policy.getMetrics()).toMatchObject({ attempts: 1, retries: 0, delayMs: { samples: 0 } });
    await vi.advanceTimersByTimeAsync(50);
    expect(policy.getMetrics()).toMatchObject({ attempts: 2, retries: 1, delayMs: { samples: 1 } });
    await vi.runAllTimersAsync();
    await call;
    expect(policy.getMetrics()).toMatchObject({ calls: 1, fulfilled: 1, recovered: 1 });
  });

  it('count attempts that ran on after a timeout or an abort; what they do later is swallowed', async () => {
    const policy = new RetryPolicy({ ...steady, maxAttempts: 2, attemptTimeout: 50 });
    const late = () => new Promise((_, reject) => setTimeout(reject, 500, new Error('late')));
    await ended(policy.execute(late));
    expect(policy.getMetrics().abandoned).toBe(2);
    const controller = new AbortController();
    const call = keep(policy.execute(late, { signal: controller.signal }));
    controller.abort('why');
    expect(await call).toEqual({ thrown: 'why' });
    await vi.runAllTimersAsync();
    expect(policy.getMetrics().abandoned).toBe(3);
    await ended(policy.execute(() => 1));
    await ended(policy.execute(failing(1)));
    expect(policy.getMetrics().abandoned).toBe(3);
  });
});

describe('hooks', () => {
  it('of the construction and of subscriptions are told of all calls, under the policy’s name', async () => {
    const told: unknown[] = [];
    const policy = new RetryPolicy({ ...steady, name: 'search', hooks: { onRetry: ({ name }) => told.push(name) } });
    const end = policy.subscribe({ onGiveUp: ({ info }) => told.push(info.reason) });
    await ended(policy.execute(failing(9)));
    end();
    await ended(policy.execute(failing(9)));
    expect(told).toEqual(['search', 'search', 'exhausted', 'search', 'search']);
  });

  it('that throw or reject, each of them, change nothing and are shown once', async () => {
    const complain = vi.spyOn(console, 'error').mockImplementation(() => {});
    const bomb = () => {
      throw new Error('bomb');
    };
    const run = async (hooks: RetryHooks | undefined) => {
      const policy = new RetryPolicy({ ...steady, hooks });
      const outcomes: unknown[] = [];
      for (const fn of [failing(0), failing(1), failing(9, 'x'), failing(9, { status: 404 })]) {
        outcomes.push(await ended(policy.execute(fn)));
        outcomes.push(await ended(policy.execute(fn, { totalTimeout: 150 })));
      }
      return [outcomes, policy.getMetrics()];
    };
    const quiet = await run(undefined);
    expect(complain).not.toHaveBeenCalled();
    expect(await run({ onRetry: bomb, onGiveUp: bomb })).toEqual(quiet);
    expect(complain).toHaveBeenCalledTimes(1);
    expect(
      await run({ onRetry: (async () => bomb()) as () => void, onGiveUp: (async () => bomb()) as () => void }),
    ).toEqual(quiet);
    expect(complain).toHaveBeenCalledTimes(3);
  });
});

describe('as `retry` of others', () => {
  it('of a batch: each item is a call; rules, hooks and counters hold', async () => {
    const onRetry = vi.fn();
    const onGiveUp = vi.fn();
    const policy = new RetryPolicy({ ...steady, name: 'p', maxAttempts: 2, hooks: { onRetry, onGiveUp } });
    const work = (n: number, { attempt }: { readonly attempt: number }) => failing(n)({ attempt });
    const { value } = await ended(batchAllSettled([0, 1, 2], work, { retry: policy }));
    expect(value).toMatchObject({ stats: { fulfilled: 2, rejected: 1, retries: 2 } });
    expect(onRetry).toHaveBeenCalledTimes(2);
    expect(onGiveUp).toHaveBeenCalledTimes(1);
    expect(onRetry.mock.calls[0]?.[0]).toMatchObject({ name: 'p', attempt: 1, delayMs: 100 });
    expect(policy.getMetrics()).toMatchObject({
      calls: 3,
      attempts: 5,
      retries: 2,
      fulfilled: 2,
      recovered: 1,
      gaveUp: { exhausted: 1 },
    });
  });

  it('of a batch: its attemptTimeout is the default of `timeout`, its totalTimeout bounds the waits', async () => {
    const policy = new RetryPolicy({ ...steady, maxAttempts: 9, attemptTimeout: 50, totalTimeout: 400 });
    const work = vi.fn(() => new Promise(() => {}));
    const { value } = await ended(batchAllSettled([1], work, { retry: policy }));
    expect(value).toMatchObject({ errors: [{ attempts: 2, reason: { timeout: 50 } }] });
    expect(policy.getMetrics().gaveUp.deadline).toBe(1);
    await ended(batchAllSettled([1], work, { retry: policy, timeout: 70 }));
    expect(work).toHaveBeenCalledTimes(4);
  });

  it('of gatherAllSettled', async () => {
    const policy = new RetryPolicy(steady);
    let calls = 0;
    const { value } = await ended(
      gatherAllSettled({ a: () => (++calls < 3 ? Promise.reject(new Error('x')) : 'a') }, { retry: policy }),
    );
    expect(value).toMatchObject({ ok: true });
    expect(policy.getMetrics()).toMatchObject({ calls: 1, retries: 2, recovered: 1 });
  });

  it('of a background task: its timeouts hold there too', async () => {
    const policy = new RetryPolicy({ ...steady, maxAttempts: 2, attemptTimeout: 50 });
    const background = new BackgroundTasks({ onError: () => {} });
    const signals: AbortSignal[] = [];
    const hang = ({ signal }: { readonly signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const handle = background.run(hang, { retry: policy });
    await vi.runAllTimersAsync();
    expect(await handle.done).toMatchObject({
      status: 'rejected',
      attempts: 2,
      reason: { option: 'timeout', timeout: 50 },
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(policy.getMetrics()).toMatchObject({ calls: 1, attempts: 2, gaveUp: { exhausted: 1 }, abandoned: 0 });
  });

  it('of a background task: a totalTimeout inside an attempt aborts it', async () => {
    const policy = new RetryPolicy({ totalTimeout: 50 });
    const background = new BackgroundTasks({ onError: () => {} });
    let signal: AbortSignal | undefined;
    const handle = background.run(
      (context) => {
        signal = context.signal;
        return wait(200);
      },
      { retry: policy },
    );
    await vi.advanceTimersByTimeAsync(50);
    expect(await handle.done).toMatchObject({ status: 'rejected', reason: { option: 'totalTimeout' } });
    expect(signal?.reason).toMatchObject({ option: 'totalTimeout' });
    await vi.runAllTimersAsync();
  });

  it('of a background task: cancelling it is an abort', async () => {
    const policy = new RetryPolicy({ ...steady, budget: new RetryBudget({ burst: 3, minPerSecond: 0 }) });
    const handle = new BackgroundTasks().run(() => Promise.reject(new Error('x')), { retry: policy });
    await vi.advanceTimersByTimeAsync(50);
    handle.cancel('why');
    expect(await handle.done).toMatchObject({ status: 'cancelled', attempts: 1 });
    await vi.runAllTimersAsync();
    expect(policy.getMetrics()).toMatchObject({ gaveUp: { aborted: 1 }, retries: 0 });
  });
});

it('a thousand calls on one signal leave neither listeners nor timers', async () => {
  const { signal } = new AbortController();
  const policy = new RetryPolicy({ attemptTimeout: 1_000, totalTimeout: 60_000 });
  const calls = Array.from({ length: 1_000 }, (_, i) => keep(policy.execute(failing(i % 4), { signal })));
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  await vi.runAllTimersAsync();
  await Promise.all(calls);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(policy.getMetrics()).toMatchObject({ calls: 1_000, fulfilled: 750, gaveUp: { exhausted: 250 } });
});
