import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, TimeoutError } from '../../src/core/errors.js';
import {
  type AttemptContext,
  getRetryInfo,
  type RetryHooks,
  type RetryOptions,
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
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

/** Lets all timers run and returns what the call threw. */
async function thrownBy(call: Promise<unknown>): Promise<unknown> {
  const thrown = call.then(
    () => {
      throw new Error('it did not throw');
    },
    (error: unknown) => error,
  );
  await vi.runAllTimersAsync();
  return thrown;
}

/** Fails `times` times, then succeeds. */
function failing(times: number, ...errors: unknown[]) {
  const error = errors.length === 0 ? new Error('transient') : errors[0];
  return vi.fn(({ attempt }: AttemptContext) => {
    if (attempt <= times) throw error;
    return 'value';
  });
}

describe('a call that succeeds', () => {
  it.each([
    ['a value', () => 'value'],
    ['a promise', async () => 'value'],
    // biome-ignore lint/suspicious/noThenProperty: that is what it is.
    ['a thenable', () => ({ then: (resolve: (value: string) => void) => resolve('value') }) as PromiseLike<string>],
  ])('takes %s, with and without limits', async (_name, fn) => {
    expect(await retryWithBackoff(fn)).toBe('value');
    expect(
      await retryWithBackoff(fn, { signal: new AbortController().signal, attemptTimeout: 5, totalTimeout: 5 }),
    ).toBe('value');
  });

  it('starts inside the call and makes no timer, no listener and no controller', async () => {
    const controllers = vi.spyOn(globalThis, 'AbortController');
    const fn = vi.fn(async () => 'value');
    const call = retryWithBackoff(fn, { maxAttempts: 5, baseDelay: 5 });
    expect(fn).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    await call;
    expect(controllers).not.toHaveBeenCalled();
  });

  it('leaves neither listener nor timer behind', async () => {
    const { signal } = new AbortController();
    const call = retryWithBackoff(async () => 'value', { signal, attemptTimeout: 1_000, totalTimeout: 1_000 });
    expect(listeners(signal)).toBe(1);
    await call;
    expect(listeners(signal)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a call that fails', () => {
  it('is repeated until it succeeds, with growing waits', async () => {
    const starts: number[] = [];
    const t0 = performance.now();
    const call = retryWithBackoff(
      ({ attempt }) => {
        starts.push(performance.now() - t0);
        if (attempt < 4) throw new Error('transient');
        return 'value';
      },
      { ...steady, maxAttempts: 5 },
    );
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
    expect(starts).toEqual([0, 100, 300, 700]);
  });

  it('is tried three times by default', async () => {
    const fn = failing(9);
    await thrownBy(retryWithBackoff(fn));
    expect(fn).toHaveBeenCalledTimes(3);
  });

  it('is not repeated for an error that would come again', async () => {
    const fn = failing(9, { status: 401 });
    expect(await thrownBy(retryWithBackoff(fn))).toEqual({ status: 401 });
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it('is not repeated for a refusal or an abort of others, unless the predicate says so', async () => {
    for (const error of [new ClosedError({ source: 'pool' }), new DOMException('x', 'AbortError')]) {
      const [first, second] = [failing(9, error), failing(9, error)];
      expect(await thrownBy(retryWithBackoff(first))).toBe(error);
      expect(first).toHaveBeenCalledTimes(1);
      expect(await thrownBy(retryWithBackoff(second, { shouldRetry: () => true }))).toBe(error);
      expect(second).toHaveBeenCalledTimes(3);
    }
  });

  it('tells each attempt its number and what the one before threw', async () => {
    const seen: unknown[] = [];
    const call = retryWithBackoff(({ attempt, lastError }) => {
      seen.push([attempt, lastError]);
      throw attempt === 1 ? 0 : attempt;
    });
    expect(await thrownBy(call)).toBe(3);
    expect(seen).toEqual([
      [1, undefined],
      [2, 0],
      [3, 2],
    ]);
  });

  it('waits for what the server asks for, plus the jitter of the backoff', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const onRetry = vi.fn();
    const error = Object.assign(new Error('busy'), { status: 429, headers: new Headers({ 'retry-after': '3' }) });
    await thrownBy(retryWithBackoff(failing(9, error), { hooks: { onRetry } }));
    expect(onRetry.mock.calls.map(([event]) => event.delayMs)).toEqual([3_050, 3_100]);
  });

  it('without a delay, follows at once, but yields to timers every eighth time', async () => {
    const fn = failing(20);
    const call = retryWithBackoff(fn, { baseDelay: 0, maxAttempts: Number.POSITIVE_INFINITY });
    for (let i = 0; i < 200; i++) await Promise.resolve();
    expect(fn).toHaveBeenCalledTimes(8);
    await vi.advanceTimersToNextTimerAsync();
    expect(fn).toHaveBeenCalledTimes(16);
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
    expect(fn).toHaveBeenCalledTimes(21);
  });
});

describe('what is thrown', () => {
  it.each([undefined, null, 0, '', false, Number.NaN, 'text', Symbol('x'), Object.freeze({}), new Error('x')])(
    '%o passes by identity, from throws and rejections',
    async (error) => {
      const options = { ...steady, signal: new AbortController().signal, totalTimeout: 10_000 };
      for (const fn of [failing(9, error), vi.fn(() => Promise.reject(error))]) {
        expect(await thrownBy(retryWithBackoff(fn))).toBe(error);
        expect(await thrownBy(retryWithBackoff(fn, options))).toBe(error);
        expect(fn).toHaveBeenCalledTimes(6);
      }
    },
  );

  it('is the last error, and the info tells of all', async () => {
    const errors = [new Error('1'), new Error('2'), new Error('3')];
    const call = retryWithBackoff(({ attempt }) => Promise.reject(errors[attempt - 1]), steady);
    expect(await thrownBy(call)).toBe(errors[2]);
    expect(getRetryInfo(errors[2])).toEqual({
      attempts: 3,
      elapsedMs: 300,
      delayedMs: 300,
      reason: 'exhausted',
      errors,
    });
    expect(getRetryInfo(errors[1])).toBeUndefined();
  });
});

describe('arguments', () => {
  it.each<[unknown, unknown, string]>([
    [undefined, {}, 'Expected `fn` to be a function, got `undefined`'],
    [
      Promise.resolve(),
      {},
      'Expected `fn` to be a function, got a promise, which has already started: pass `() => ...`',
    ],
    [() => 1, null, 'Expected `options` to be an object, got `null`'],
    [() => 1, { maxAttempts: Number.NaN }, 'Expected `maxAttempts` to be an integer >= 1 or Infinity, got `NaN`'],
    [() => 1, { attemptTimeout: -1 }, 'Expected `attemptTimeout` to be a number >= 0 or Infinity, got `-1`'],
    [() => 1, { totalTimeout: Number.NaN }, 'Expected `totalTimeout` to be a number >= 0 or Infinity, got `NaN`'],
    [() => 1, { signal: {} }, 'Expected `signal` to be an AbortSignal, got `an object`'],
    [() => 1, { signal: null }, 'Expected `signal` to be an AbortSignal, got `null`'],
    [() => 1, { hooks: 5 }, 'Expected `hooks` to be an object of functions, got `5`'],
    [() => 1, { hooks: { onRetry: 5 } }, 'Expected `hooks.onRetry` to be a function, got `5`'],
  ])('that are wrong reject, never throw: %o, %o', async (fn, options, message) => {
    const call = retryWithBackoff(fn as () => unknown, options as RetryOptions);
    const error = await thrownBy(call);
    expect((error as Error).message).toBe(message);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
  });

  it('take an explicit undefined for the default', async () => {
    const call = retryWithBackoff(failing(2), {
      maxAttempts: undefined,
      signal: undefined,
      attemptTimeout: undefined,
      totalTimeout: undefined,
      hooks: undefined,
      shouldRetry: undefined,
    });
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
  });
});

describe('attemptTimeout', () => {
  it('aborts the attempt with a TimeoutError, which counts as a failed attempt', async () => {
    const signals: AbortSignal[] = [];
    const onRetry = vi.fn();
    const call = retryWithBackoff(
      ({ attempt, signal }) => {
        signals.push(signal);
        return attempt < 3 ? new Promise(() => {}) : 'value';
      },
      { ...steady, attemptTimeout: 50, hooks: { onRetry } },
    );
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
    const [first, second, third] = signals as [AbortSignal, AbortSignal, AbortSignal];
    expect(first.reason).toBeInstanceOf(TimeoutError);
    expect(first.reason).toMatchObject({
      code: 'TIMEOUT',
      name: 'TimeoutError',
      source: 'retry',
      option: 'attemptTimeout',
      timeout: 50,
    });
    expect(first.reason).not.toHaveProperty('cause');
    expect(second.reason).not.toBe(first.reason);
    expect(third.aborted).toBe(false);
    expect(onRetry).toHaveBeenCalledWith({ name: 'retry', attempt: 1, error: first.reason, delayMs: 100 });
  });

  it('is thrown itself if no attempt is left', async () => {
    const call = retryWithBackoff(() => new Promise(() => {}), { ...steady, maxAttempts: 2, attemptTimeout: 50 });
    const error = await thrownBy(call);
    expect(error).toMatchObject({ option: 'attemptTimeout' });
    expect(getRetryInfo(error)).toMatchObject({ attempts: 2, elapsedMs: 200, reason: 'exhausted' });
    expect(getRetryInfo(error)?.errors.at(-1)).toBe(error);
  });

  it('swallows what the abandoned attempt does later', async () => {
    const late = (ms: number, fail: boolean) =>
      new Promise((resolve, reject) => setTimeout(fail ? reject : resolve, ms, 'late'));
    const call = retryWithBackoff(({ attempt }) => (attempt < 3 ? late(500, attempt === 1) : 'value'), {
      ...steady,
      attemptTimeout: 50,
    });
    await vi.advanceTimersByTimeAsync(50 + 100 + 50 + 200);
    expect(await call).toBe('value');
    await vi.runAllTimersAsync();
  });

  it('of 0 leaves time for nothing but what is there at once', async () => {
    const options = { ...steady, attemptTimeout: 0, maxAttempts: 1 };
    expect(await retryWithBackoff(async () => 'value', options)).toBe('value');
    const slow = retryWithBackoff(() => new Promise((resolve) => setTimeout(resolve, 5)), options);
    expect(await thrownBy(slow)).toMatchObject({ option: 'attemptTimeout', timeout: 0 });
  });

  it('longer than timers can be set for does not end at once', async () => {
    const call = retryWithBackoff(() => new Promise((resolve) => setTimeout(resolve, 1_000, 'value')), {
      attemptTimeout: 2 ** 32,
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await call).toBe('value');
  });
});

describe('totalTimeout', () => {
  it('inside an attempt, aborts it with a TimeoutError that has the last error as its cause', async () => {
    const first = new Error('first');
    let signal: AbortSignal | undefined;
    const call = retryWithBackoff(
      (context) => {
        signal = context.signal;
        if (context.attempt === 1) throw first;
        return new Promise(() => {});
      },
      { ...steady, totalTimeout: 500, attemptTimeout: 10_000 },
    );
    const error = await thrownBy(call);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ option: 'totalTimeout', timeout: 500, source: 'retry', cause: first });
    expect(signal?.reason).toBe(error);
    expect(getRetryInfo(error)).toEqual({
      attempts: 2,
      elapsedMs: 500,
      delayedMs: 100,
      reason: 'deadline',
      errors: [first],
    });
  });

  it('inside the first attempt, has no cause; a cause may be undefined', async () => {
    const first = await thrownBy(retryWithBackoff(() => new Promise(() => {}), { totalTimeout: 50 }));
    expect(first).not.toHaveProperty('cause');
    const hang = ({ attempt }: AttemptContext) => (attempt === 1 ? Promise.reject(undefined) : new Promise(() => {}));
    const second = await thrownBy(retryWithBackoff(hang, { ...steady, totalTimeout: 500 }));
    expect(second).toHaveProperty('cause', undefined);
  });

  it('does not start an attempt late, if a timer was', async () => {
    const error = new Error('transient');
    const fn = failing(9, error);
    const t0 = performance.now();
    // The thread is blocked during the wait.
    const call = retryWithBackoff(fn, { ...steady, totalTimeout: 150 });
    setTimeout(() => vi.spyOn(performance, 'now').mockReturnValue(t0 + 170), 99);
    expect(await thrownBy(call)).toBe(error);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(getRetryInfo(error)).toMatchObject({ reason: 'deadline', attempts: 1 });
  });

  it('ends a predicate that never answers; the last error is thrown', async () => {
    const error = new Error('transient');
    const call = retryWithBackoff(failing(9, error), { totalTimeout: 50, shouldRetry: () => new Promise(() => {}) });
    expect(await thrownBy(call)).toBe(error);
    expect(getRetryInfo(error)).toMatchObject({ reason: 'deadline', elapsedMs: 50, errors: [error] });
  });
});

describe('an abort', () => {
  const reasons = [undefined, 0, '', 'why', new Error('why')];

  it.each(reasons)('before the call rejects with %o itself; nothing is called', async (reason) => {
    const controller = new AbortController();
    controller.abort(reason);
    const fn = vi.fn();
    const thrown = await thrownBy(retryWithBackoff(fn, { signal: controller.signal }));
    expect(thrown).toBe(controller.signal.reason);
    expect(fn).not.toHaveBeenCalled();
    expect(listeners(controller.signal)).toBe(0);
  });

  it.each(reasons)('inside an attempt reaches it and rejects with %o itself', async (reason) => {
    const controller = new AbortController();
    let signal: AbortSignal | undefined;
    const call = retryWithBackoff(
      (context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
      { signal: controller.signal, totalTimeout: 5_000, attemptTimeout: 5_000 },
    );
    controller.abort(reason);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(controller.signal.reason);
    await expect(call).rejects.toBe(controller.signal.reason);
    expect(vi.getTimerCount()).toBe(0);
    expect(listeners(controller.signal)).toBe(0);
  });

  it('inside the function, in the part before its first await, wins over what it returns', async () => {
    const controller = new AbortController();
    const reason = new Error('why');
    const call = retryWithBackoff(
      ({ signal }) => {
        controller.abort(reason);
        expect(signal.reason).toBe(reason);
        return 'value';
      },
      { signal: controller.signal },
    );
    await expect(call).rejects.toBe(reason);
  });

  it('right after an attempt has failed comes before what the failure would lead to', async () => {
    const controller = new AbortController();
    const error = new Error('fatal');
    const failure = Promise.reject(Object.assign(error, { status: 404 }));
    const thrown = thrownBy(retryWithBackoff(() => failure, { signal: controller.signal }));
    // This reaction comes right after our own.
    void failure.catch(() => controller.abort('why'));
    expect(await thrown).toBe('why');
    expect(listeners(controller.signal)).toBe(0);
  });

  it('in a wait ends it at once', async () => {
    const controller = new AbortController();
    const error = new Error('transient');
    const call = retryWithBackoff(failing(9, error), { ...steady, baseDelay: 10_000, signal: controller.signal });
    await vi.advanceTimersByTimeAsync(40);
    expect(vi.getTimerCount()).toBe(1);
    const reason = new Error('why');
    controller.abort(reason);
    expect(vi.getTimerCount()).toBe(0);
    await expect(call).rejects.toBe(reason);
    expect(getRetryInfo(reason)).toEqual({
      attempts: 1,
      elapsedMs: 40,
      delayedMs: 40,
      reason: 'aborted',
      errors: [error],
    });
  });

  it('while the predicate thinks, or in it, or in a hook, ends the call at once', async () => {
    const places: ((abort: () => void) => RetryOptions)[] = [
      (abort) => {
        setTimeout(abort, 10);
        return { shouldRetry: () => new Promise(() => {}) };
      },
      (abort) => ({
        shouldRetry: () => {
          abort();
          return true;
        },
      }),
      (abort) => ({
        shouldRetry: () => {
          abort();
          throw new Error('of the predicate');
        },
      }),
      (abort) => ({
        shouldRetry: async () => {
          await Promise.resolve();
          abort();
          return true;
        },
      }),
      (abort) => ({ hooks: { onRetry: abort } }),
    ];
    for (const place of places) {
      const controller = new AbortController();
      const reason = new Error('why');
      const fn = failing(9);
      const call = retryWithBackoff(fn, { ...place(() => controller.abort(reason)), signal: controller.signal });
      const thrown = call.catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(10);
      expect(vi.getTimerCount()).toBe(0);
      expect(await thrown).toBe(reason);
      expect(fn).toHaveBeenCalledTimes(1);
      expect(getRetryInfo(reason)?.reason).toBe('aborted');
      expect(listeners(controller.signal)).toBe(0);
    }
  });

  it('after the end changes nothing', async () => {
    const controller = new AbortController();
    let signal: AbortSignal | undefined;
    await retryWithBackoff(
      (context) => {
        signal = context.signal;
      },
      { signal: controller.signal },
    );
    controller.abort();
    expect(signal?.aborted).toBe(false);
  });
});

describe('stop', () => {
  it('hands the error back and makes it final; it may be taken off the context', async () => {
    const gone = new RangeError('gone');
    const fn = vi.fn(({ stop }: AttemptContext) => {
      throw stop(gone);
    });
    expect(await thrownBy(retryWithBackoff(fn, { shouldRetry: () => true }))).toBe(gone);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(getRetryInfo(gone)?.reason).toBe('not-retryable');
  });

  it('works in later attempts, for primitives and through a wrapper', async () => {
    const primitive = retryWithBackoff(({ attempt, stop }) => Promise.reject(attempt === 2 ? stop(0) : 1));
    expect(await thrownBy(primitive)).toBe(0);
    const wrapped = vi.fn(({ stop }: AttemptContext) => Promise.reject(new Error('wrapped', { cause: stop('gone') })));
    await thrownBy(retryWithBackoff(wrapped));
    expect(wrapped).toHaveBeenCalledTimes(1);
  });

  it('by an abandoned attempt ends nothing by itself', async () => {
    const call = retryWithBackoff(
      ({ attempt, stop }) => {
        if (attempt > 1) return 'value';
        return new Promise((_, reject) => setTimeout(() => reject(stop(new Error('late'))), 80));
      },
      { ...steady, attemptTimeout: 50 },
    );
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
  });
});

describe('shouldRetry', () => {
  it('that throws ends the retry with its error; the info has the operation’s', async () => {
    const [error, boom] = [new Error('transient'), new Error('boom')];
    const predicates = [
      () => {
        throw boom;
      },
      () => Promise.reject(boom),
    ];
    for (const shouldRetry of predicates) {
      const fn = failing(9, error);
      expect(await thrownBy(retryWithBackoff(fn, { shouldRetry }))).toBe(boom);
      expect(fn).toHaveBeenCalledTimes(1);
      expect(getRetryInfo(boom)).toMatchObject({ attempts: 1, reason: 'not-retryable', errors: [error] });
    }
  });

  it('that throws undefined ends the retry with undefined', async () => {
    const fn = failing(9);
    expect(await thrownBy(retryWithBackoff(fn, { shouldRetry: () => Promise.reject(undefined) }))).toBeUndefined();
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it('that answers nonsense is a TypeError', async () => {
    const call = retryWithBackoff(failing(9), { shouldRetry: (() => 'yes') as unknown as () => boolean });
    expect(await thrownBy(call)).toBeInstanceOf(TypeError);
  });

  it('adds to the default', async () => {
    const odd = { status: 404, kind: 'not yet' };
    const fn = failing(2, odd);
    const call = retryWithBackoff(fn, { shouldRetry: (error, { byDefault }) => byDefault || error === odd });
    await vi.runAllTimersAsync();
    expect(await call).toBe('value');
  });
});

describe('hooks', () => {
  it('are told of each wait before it, and of the end', async () => {
    const events: unknown[] = [];
    const hooks: RetryHooks = {
      onRetry: (event) => void events.push(['retry', event, performance.now() - t0]),
      onGiveUp: (event) => void events.push(['give up', event, performance.now() - t0]),
    };
    const t0 = performance.now();
    const error = new Error('transient');
    await thrownBy(retryWithBackoff(failing(9, error), { ...steady, hooks }));
    const info = getRetryInfo(error);
    expect(events).toEqual([
      ['retry', { name: 'retry', attempt: 1, error, delayMs: 100 }, 0],
      ['retry', { name: 'retry', attempt: 2, error, delayMs: 200 }, 100],
      ['give up', { name: 'retry', error, info }, 300],
    ]);
    expect((events[2] as [string, { info: unknown }])[1].info).toBe(info);
  });

  it('are told of an abort that came before the first attempt', async () => {
    const onGiveUp = vi.fn();
    const signal = AbortSignal.abort('why');
    await thrownBy(retryWithBackoff(() => 1, { signal, hooks: { onGiveUp } }));
    const info = { attempts: 0, elapsedMs: 0, delayedMs: 0, reason: 'aborted', errors: [] };
    expect(onGiveUp).toHaveBeenCalledWith({ name: 'retry', error: 'why', info });
  });

  it('hear nothing of a call that succeeds at once', async () => {
    const hooks = { onRetry: vi.fn(), onGiveUp: vi.fn() };
    await retryWithBackoff(() => 1, { hooks });
    expect(hooks.onRetry).not.toHaveBeenCalled();
    expect(hooks.onGiveUp).not.toHaveBeenCalled();
  });

  it('that fail are contained and reported once in a call', async () => {
    const complain = vi.spyOn(console, 'error').mockImplementation(() => {});
    const hooks = {
      onRetry: () => {
        throw new Error('bomb');
      },
      onGiveUp: async () => {
        throw new Error('bomb');
      },
    };
    const error = new Error('transient');
    expect(await thrownBy(retryWithBackoff(failing(9, error), { hooks, maxAttempts: 5 }))).toBe(error);
    expect(complain).toHaveBeenCalledTimes(2);
  });
});
