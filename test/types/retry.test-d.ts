import { describe, expectTypeOf, it } from 'vitest';
import {
  type AttemptContext,
  getRetryInfo,
  type RetryContext,
  type RetryEvent,
  type RetryGiveUpEvent,
  type RetryHooks,
  type RetryInfo,
  type RetryOptions,
  type RetryRules,
  type RetryTimeouts,
  retryAfter,
  retryWithBackoff,
} from '../../src/index.js';

interface User {
  readonly id: string;
}
declare function user(id: string, options?: { signal?: AbortSignal }): Promise<User>;
declare const error: unknown;

describe('the result', () => {
  it('is what the function yields, whatever it takes from its context', () => {
    expectTypeOf(retryWithBackoff(() => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(retryWithBackoff(async () => {})).toEqualTypeOf<Promise<void>>();
    expectTypeOf(retryWithBackoff(({ signal }) => user('1', { signal }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(retryWithBackoff(async ({ signal }) => (signal.aborted ? null : 'x'))).toEqualTypeOf<
      Promise<'x' | null>
    >();
    const stopping = retryWithBackoff(({ attempt, signal, stop, lastError }) => {
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(lastError).toEqualTypeOf<unknown>();
      if (attempt > 2) throw stop(new RangeError('gone'));
      return user('1', { signal });
    });
    expectTypeOf(stopping).toEqualTypeOf<Promise<User>>();
  });

  it('unwraps thenables and keeps type parameters', () => {
    expectTypeOf(retryWithBackoff((): PromiseLike<User> => user('1'))).toEqualTypeOf<Promise<User>>();
    const first = <T>(load: () => Promise<readonly T[]>) => retryWithBackoff(async () => (await load())[0]);
    expectTypeOf(first(async () => [user])).toEqualTypeOf<Promise<typeof user | undefined>>();
  });
});

describe('the context', () => {
  it('hands a stopped error back with its type', () => {
    expectTypeOf<AttemptContext['stop']>().toEqualTypeOf<<E>(error: E) => E>();
    void retryWithBackoff(({ stop }) => {
      expectTypeOf(stop('gone' as const)).toEqualTypeOf<'gone'>();
      expectTypeOf(stop(new RangeError())).toEqualTypeOf<RangeError>();
    });
  });

  it('is read only', () => {
    void retryWithBackoff((context) => {
      // @ts-expect-error attempts are counted for you
      context.attempt = 1;
      // @ts-expect-error the signal is the attempt's
      context.signal = new AbortController().signal;
    });
  });
});

describe('options', () => {
  it('may be passed through though they may be missing', () => {
    const load = (options?: { signal?: AbortSignal; timeout?: number; tries?: number }) =>
      retryWithBackoff(({ signal }) => user('1', { signal }), {
        signal: options?.signal,
        totalTimeout: options?.timeout,
        maxAttempts: options?.tries,
      });
    expectTypeOf(load).returns.toEqualTypeOf<Promise<User>>();
    expectTypeOf<RetryOptions>().toExtend<RetryRules & RetryTimeouts>();
  });

  it('are known by name', () => {
    // @ts-expect-error p-retry's name
    void retryWithBackoff(() => 1, { retries: 5 });
    // @ts-expect-error its growth is a `factor`
    void retryWithBackoff(() => 1, { multiplier: 2 });
    // @ts-expect-error a budget is shared, so it is made once
    void retryWithBackoff(() => 1, { budget: {} });
    // @ts-expect-error text from the environment
    void retryWithBackoff(() => 1, { maxAttempts: process.env.ATTEMPTS });
    // @ts-expect-error no such jitter
    void retryWithBackoff(() => 1, { jitter: 'decorrelated' });
    // @ts-expect-error started already
    void retryWithBackoff(user('1'));
    // @ts-expect-error the context is not an id
    void retryWithBackoff(user);
    // @ts-expect-error rules alone have no timeouts
    ({ attemptTimeout: 5 }) satisfies RetryRules;
    // @ts-expect-error nor a signal
    ({ signal: new AbortController().signal }) satisfies RetryRules;
  });
});

describe('shouldRetry', () => {
  it('answers yes, no or a least wait, at once or later', () => {
    void retryWithBackoff(() => 1, {
      shouldRetry: (error, context) => {
        expectTypeOf(error).toEqualTypeOf<unknown>();
        expectTypeOf(context).toEqualTypeOf<RetryContext>();
        return context.byDefault || context.attempt < 2;
      },
    });
    void retryWithBackoff(() => 1, { shouldRetry: async () => ({ after: 5 }) });
    void retryWithBackoff(() => 1, { shouldRetry: (_error, { elapsedMs }) => elapsedMs < 5 && { after: 5 } });
  });

  it('must answer, and not with a number', () => {
    // @ts-expect-error a bare number: is 0 "no" or "at once"?
    void retryWithBackoff(() => 1, { shouldRetry: () => 0 });
    // @ts-expect-error no answer
    void retryWithBackoff(() => 1, { shouldRetry: () => {} });
    // @ts-expect-error no answer, later
    void retryWithBackoff(() => 1, { shouldRetry: async () => {} });
    // @ts-expect-error a wait that may be missing
    void retryWithBackoff(() => 1, { shouldRetry: (error) => ({ after: retryAfter(error) }) });
  });
});

describe('what is told', () => {
  it('of any error', () => {
    expectTypeOf(getRetryInfo).parameter(0).toEqualTypeOf<unknown>();
    expectTypeOf(getRetryInfo(error)).toEqualTypeOf<RetryInfo | undefined>();
    expectTypeOf<RetryInfo['reason']>().toEqualTypeOf<
      'exhausted' | 'not-retryable' | 'budget' | 'deadline' | 'aborted' | 'hint-too-long'
    >();
    expectTypeOf<RetryInfo['errors']>().toEqualTypeOf<readonly unknown[]>();
    // @ts-expect-error an error may have seen no retry
    getRetryInfo(error).attempts;
  });

  it('to hooks', () => {
    const hooks: RetryHooks = {
      onRetry: (event) => {
        expectTypeOf(event).toEqualTypeOf<RetryEvent>();
      },
      onGiveUp: (event) => {
        expectTypeOf(event).toEqualTypeOf<RetryGiveUpEvent>();
        expectTypeOf(event.info).toEqualTypeOf<RetryInfo>();
      },
    };
    void retryWithBackoff(() => 1, { hooks });
    // @ts-expect-error no such hook
    void retryWithBackoff(() => 1, { hooks: { onAttempt: () => {} } });
  });
});

it('a wait that a server asked for may be unknown', () => {
  expectTypeOf(retryAfter).parameter(0).toEqualTypeOf<unknown>();
  expectTypeOf(retryAfter(error)).toEqualTypeOf<number | undefined>();
  // @ts-expect-error check before use
  retryAfter(error).toFixed();
});
