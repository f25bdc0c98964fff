import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AttemptContext, getRetryInfo, retryWithBackoff } from '../../src/retry/index.js';

/*
 * Bugs of other libraries, each as a test. Those that concern one function alone stand beside it: RETRY-10, -11, -13, -16, -17 and
 * -19 in limits/backoff.test.ts, RETRY-20 in limits/retry-after.test.ts, RETRY-05, -14, -31, -38 and -40 (memory, processes) in
 * process.test.ts, RETRY-07, -35 and -37 as far as budgets are concerned in budget.test.ts.
 */

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const steady = { jitter: 'none' } as const;
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;
const keep = (call: Promise<unknown>) =>
  call.then(
    () => 'fulfilled',
    (error: unknown) => error,
  );
const hinted = (seconds: number) =>
  Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': String(seconds) } });

describe('aborts', () => {
  // RETRY-01, p-retry#97: an AbortError thrown by the function because the signal had fired was slept on.
  it('one inside the function, which then throws, ends the call without a wait', async () => {
    const controller = new AbortController();
    const fn = vi.fn(() => {
      controller.abort();
      throw controller.signal.reason;
    });
    const call = keep(retryWithBackoff(fn, { signal: controller.signal, baseDelay: 10_000, shouldRetry: () => true }));
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(await call).toBe(controller.signal.reason);
    expect(fn).toHaveBeenCalledTimes(1);
  });

  // RETRY-02, p-retry#71; RETRY-43, rtk#5409, commitpulse#1130, openclaude#611: listeners stay after success.
  it('a thousand calls on one signal leave no listener, and never have more than one', async () => {
    const { signal } = new AbortController();
    const calls = Array.from({ length: 1_000 }, (_, i) =>
      keep(
        retryWithBackoff(
          ({ attempt }) => {
            if (attempt <= i % 3) throw new Error('transient');
          },
          { signal, totalTimeout: 60_000 },
        ),
      ),
    );
    expect(listeners(signal)).toBe(1);
    await vi.runAllTimersAsync();
    await Promise.all(calls);
    expect(listeners(signal)).toBe(0);
  });

  // RETRY-04, openai-node#2580, #2581, vercel/ai#7656: a wait that the server asked for was slept out.
  it('one in a wait that the server asked for ends the call at once', async () => {
    const controller = new AbortController();
    const call = keep(retryWithBackoff(() => Promise.reject(hinted(3)), { signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(100);
    controller.abort('why');
    expect(vi.getTimerCount()).toBe(0);
    expect(await call).toBe('why');
  });

  // RETRY-07, smithy-typescript#1887: waiting for a token of a limiter could not be aborted.
  it('one while the function waits for something of its own ends the call, and the function can know', async () => {
    const controller = new AbortController();
    const slot = vi.fn((signal: AbortSignal) => new Promise((_, reject) => signal.addEventListener('abort', reject)));
    const call = keep(retryWithBackoff(({ signal }) => slot(signal), { signal: controller.signal }));
    controller.abort('why');
    expect(await call).toBe('why');
    expect(slot.mock.calls[0]?.[0].reason).toBe('why');
  });

  // RETRY-08, tenacity#186, #529, harbor#1223: a predicate that says yes to everything retried cancellation too.
  it('is never retried, even if the predicate says yes to everything', async () => {
    const controller = new AbortController();
    const fn = vi.fn(
      ({ signal }: AttemptContext) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const shouldRetry = vi.fn(() => true);
    const call = keep(retryWithBackoff(fn, { signal: controller.signal, shouldRetry, maxAttempts: 99 }));
    await vi.advanceTimersByTimeAsync(10);
    controller.abort('why');
    await vi.runAllTimersAsync();
    expect(await call).toBe('why');
    expect(fn).toHaveBeenCalledTimes(1);
    expect(shouldRetry).not.toHaveBeenCalled();
  });

  // RETRY-41, honker#67: listeners that are added one by one are quadratic.
  it('forty thousand calls waiting on one signal share one listener, and all end with it', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const begun = process.hrtime.bigint();
    const calls = Array.from({ length: 40_000 }, () => keep(retryWithBackoff(() => new Promise(() => {}), { signal })));
    expect(listeners(signal)).toBe(1);
    controller.abort('why');
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['why']));
    // Adding them one by one takes more than 6 s.
    expect(Number(process.hrtime.bigint() - begun) / 1e6).toBeLessThan(3_000);
  });
});

describe('waits', () => {
  // RETRY-10, -13, -14: an exponent that overflows turned waits into a loop without any; Infinity attempts are legal.
  it('of two thousand attempts all stay within the cap, and none is 0 or 1 ms', async () => {
    const delays: number[] = [];
    const call = retryWithBackoff(
      ({ attempt }) => {
        if (attempt <= 2_000) throw new Error('transient');
        return attempt;
      },
      {
        maxAttempts: Number.POSITIVE_INFINITY,
        jitter: 'equal',
        baseDelay: 100,
        maxDelay: 5_000,
        hooks: { onRetry: ({ delayMs }) => void delays.push(delayMs) },
      },
    );
    await vi.runAllTimersAsync();
    expect(await call).toBe(2_001);
    expect(delays).toHaveLength(2_000);
    for (const delay of delays.slice(6)) expect(delay >= 2_500 && delay <= 5_000).toBe(true);
  });

  // RETRY-22, ky#603, #390, openai-python#3799: a hint that is too long was cut, ignored or taken for 0.
  it.each([
    ['the deadline', 86_400, { totalTimeout: 5_000 }],
    ['60 s, without a deadline', 86_400, {}],
    ['what a number holds', '9'.repeat(400) as unknown as number, {}],
  ])('a hint beyond %s gives up at once, and says so', async (_name, seconds, options) => {
    const error = hinted(seconds);
    const fn = vi.fn(() => Promise.reject(error));
    const call = keep(retryWithBackoff(fn, options));
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(await call).toBe(error);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(getRetryInfo(error)?.reason).toBe('hint-too-long');
  });

  // RETRY-25, elps#346: what was left of the time was slept out though the wait could not end in it.
  it('one that cannot end before the deadline is not begun', async () => {
    const error = new Error('transient');
    const call = keep(
      retryWithBackoff(() => Promise.reject(error), { ...steady, baseDelay: 1_000, totalTimeout: 100 }),
    );
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(await call).toBe(error);
    expect(getRetryInfo(error)).toMatchObject({ reason: 'deadline', elapsedMs: 0 });
  });
});

describe('timeouts', () => {
  const hang = () => new Promise(() => {});

  // RETRY-23, axios-retry#21, #24, #84, #97, #150, retry-axios#138: one timeout meant the attempt or the whole, by a flag.
  it.each([
    [{ attemptTimeout: 50 }, 'attemptTimeout', 50 + 100 + 50 + 200 + 50, 3],
    [{ totalTimeout: 220 }, 'totalTimeout', 220, 1],
    [{ attemptTimeout: 50, totalTimeout: 180 }, 'totalTimeout', 180, 2],
    [{ attemptTimeout: 50, totalTimeout: 390 }, 'attemptTimeout', 50 + 100 + 50, 2],
    [{ attemptTimeout: 50, totalTimeout: 50 }, 'totalTimeout', 50, 1],
  ])('%o: the attempt and the whole have one each', async (options, option, elapsedMs, attempts) => {
    const call = keep(retryWithBackoff(hang, { ...steady, ...options }));
    await vi.runAllTimersAsync();
    const error = await call;
    expect(error).toMatchObject({ code: 'TIMEOUT', option });
    expect(getRetryInfo(error)).toMatchObject({ elapsedMs, attempts });
  });

  // RETRY-23: a timeout of 0 or less meant none.
  it.each(['attemptTimeout', 'totalTimeout'] as const)(
    'a %s of 0 is no time, not no limit; below 0 is an error',
    async (option) => {
      const call = keep(retryWithBackoff(hang, { maxAttempts: 1, [option]: 0 }));
      await vi.runAllTimersAsync();
      expect(await call).toMatchObject({ option, timeout: 0 });
      expect(await keep(retryWithBackoff(hang, { [option]: -1 }))).toBeInstanceOf(RangeError);
    },
  );
});

describe('errors', () => {
  // RETRY-26, cenkalti/backoff#181, #182: after a cancellation nobody knew what had failed before it.
  it('what failed before an abort or a timeout is known', async () => {
    const last = new Error('last');
    const fn = ({ attempt }: AttemptContext) => Promise.reject(attempt === 2 ? last : new Error('earlier'));
    const controller = new AbortController();
    const call = keep(retryWithBackoff(fn, { ...steady, signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(150);
    controller.abort();
    const reason = await call;
    expect(reason).toBe(controller.signal.reason);
    expect(getRetryInfo(reason)).toMatchObject({ reason: 'aborted', attempts: 2 });
    expect(getRetryInfo(reason)?.errors.at(-1)).toBe(last);
  });

  // RETRY-28, tenacity#24, #544, #123: a wrapper breaks `instanceof` and `code` at every call site.
  it('the error that is caught is the one that was thrown', async () => {
    const thrown = Object.freeze(Object.assign(new RangeError('x'), { code: 'E_MINE' }));
    const call = keep(retryWithBackoff(() => Promise.reject(thrown)));
    await vi.runAllTimersAsync();
    expect(await call).toBe(thrown);
    expect(getRetryInfo(thrown)).toMatchObject({ attempts: 3, reason: 'exhausted' });
  });

  // RETRY-29, p-retry#37, #41, #43, #51, #68, #72, undici#2095: TypeErrors were banned, but for messages of some browsers.
  it('no kind of error is banned: a TypeError is retried', async () => {
    for (const rules of [{}, { shouldRetry: () => true }]) {
      const fn = vi.fn(() => {
        throw new TypeError('x is not a function');
      });
      const call = keep(retryWithBackoff(fn, rules));
      await vi.runAllTimersAsync();
      expect(await call).toBeInstanceOf(TypeError);
      expect(fn).toHaveBeenCalledTimes(3);
    }
  });
});

describe('attempts', () => {
  // RETRY-31, @lifeomic/attempt: synchronous throws were not retried, plain values a TypeError.
  it('may throw or return without a promise', async () => {
    const call = retryWithBackoff(({ attempt }) => {
      if (attempt === 1) throw new Error('sync');
      return 'plain';
    });
    await vi.runAllTimersAsync();
    expect(await call).toBe('plain');
  });

  // RETRY-31, @lifeomic/attempt: the late failure of an attempt that had timed out began further ones, five instead of one.
  it('that end after their timeout begin no others', async () => {
    const fn = vi.fn(() => new Promise((_, reject) => setTimeout(reject, 200, new Error('late'))));
    const call = keep(retryWithBackoff(fn, { ...steady, maxAttempts: 2, attemptTimeout: 50 }));
    await vi.runAllTimersAsync();
    expect(await call).toMatchObject({ option: 'attemptTimeout' });
    expect(fn).toHaveBeenCalledTimes(2);
  });

  // RETRY-32, async-retry: after `bail` and a throw, four zombie attempts followed.
  it('that stop are the last', async () => {
    const gone = new Error('gone');
    const fn = vi.fn(({ stop }: AttemptContext) => {
      stop(gone);
      throw gone;
    });
    const call = keep(retryWithBackoff(fn, { shouldRetry: () => true, maxAttempts: 9 }));
    await vi.runAllTimersAsync();
    expect(await call).toBe(gone);
    expect(fn).toHaveBeenCalledTimes(1);
  });

  // RETRY-35, aws-sdk-js-v3#4754, #4755: state of one request was shared, so that no later call was ever retried.
  it('are counted for each call, also if calls share their options', async () => {
    const options = { ...steady, signal: new AbortController().signal, hooks: { onRetry: () => {} } };
    const fns = Array.from({ length: 5 }, () => vi.fn(() => Promise.reject(new Error('transient'))));
    const calls = fns.map((fn) => keep(retryWithBackoff(fn, options)));
    await vi.runAllTimersAsync();
    await Promise.all(calls);
    for (const fn of fns) expect(fn).toHaveBeenCalledTimes(3);
  });
});

// RETRY-34: nanobot#2760, #2759 (12 requests instead of 4), code_puppy#317 (45 instead of 15), jido_action#96: stacked retries.
describe('stacked retries', () => {
  const stacked = [
    ['throws it on', (call: Promise<unknown>) => call],
    [
      'wraps it',
      (call: Promise<unknown>) => call.catch((cause: unknown) => Promise.reject(new Error('wrapped', { cause }))),
    ],
  ] as const;

  it.each(stacked)('do not multiply where the function in between %s', async (_name, between) => {
    for (const rules of [{}, { baseDelay: 0 }, { shouldRetry: () => true }, { maxAttempts: 1 }]) {
      const request = vi.fn(() => Promise.reject(new Error('down')));
      const inner = () => between(retryWithBackoff(request, rules));
      const call = keep(
        retryWithBackoff(() => retryWithBackoff(inner, { shouldRetry: () => true }), { shouldRetry: () => true }),
      );
      await vi.runAllTimersAsync();
      expect(await call).toBeInstanceOf(Error);
      expect(request).toHaveBeenCalledTimes(rules.maxAttempts ?? 3);
    }
  });

  it('tell of the outermost call', async () => {
    const error = new Error('down');
    const call = keep(retryWithBackoff(() => retryWithBackoff(() => Promise.reject(error), steady), {}));
    await vi.runAllTimersAsync();
    await call;
    expect(getRetryInfo(error)).toEqual({
      attempts: 1,
      elapsedMs: 300,
      delayedMs: 0,
      reason: 'not-retryable',
      errors: [error],
    });
  });

  it('do not multiply where the inner one is a load that others began: its end is what counts', async () => {
    const request = vi.fn(() => Promise.reject(new Error('down')));
    const flight = retryWithBackoff(request, steady);
    const calls = [1, 2].map(() => keep(retryWithBackoff(() => flight)));
    await vi.runAllTimersAsync();
    await Promise.all(calls);
    expect(request).toHaveBeenCalledTimes(3);
  });

  it('still retry what another call gave up on before: an error may be an object that is kept', async () => {
    const kept = new Error('kept');
    const once = vi.fn(() => Promise.reject(kept));
    await keep(retryWithBackoff(once, { maxAttempts: 1 }));
    const again = vi.fn(() => Promise.reject(kept));
    const call = keep(retryWithBackoff(again));
    await vi.runAllTimersAsync();
    await call;
    expect(again).toHaveBeenCalledTimes(3);
  });

  it('are not what callers beside one another are, who share a failure: one that gives up does not end the other', async () => {
    const { signal } = new AbortController();
    for (const [one, other] of [
      [{}, {}],
      [{ signal }, { signal }],
      [{ signal }, {}],
      [{}, { signal }],
    ]) {
      const shared = new Promise((_, reject) => setTimeout(reject, 10, new Error('shared')));
      const first = keep(retryWithBackoff(() => shared, { ...one, maxAttempts: 1 }));
      const second = retryWithBackoff(({ attempt }) => (attempt === 1 ? shared : 'value'), other);
      await vi.runAllTimersAsync();
      expect(await first).toBeInstanceOf(Error);
      expect(await second).toBe('value');
    }
  });
});
