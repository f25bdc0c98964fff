import { describe, expectTypeOf, it } from 'vitest';
import { fireAndForget } from '../../src/background/index.js';
import { batchAllSettled, chunkAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import type { Executor, Milliseconds } from '../../src/core/types.js';
import { RetryBudget } from '../../src/limits/index.js';
import type { DurationSummary } from '../../src/metrics/histogram.js';
import {
  type AttemptContext,
  type RetryHooks,
  type RetryInfo,
  type RetryMetrics,
  RetryPolicy,
  type RetryPolicyOptions,
  type RetryRules,
  type RetryTimeouts,
  retryWithBackoff,
} from '../../src/retry/index.js';

interface User {
  readonly id: string;
}
declare function user(id: string, options?: { signal?: AbortSignal }): Promise<User>;

const budget = new RetryBudget({ ratio: 0.1, burst: 20, minPerSecond: undefined });
const policy = new RetryPolicy({ name: 'search', maxAttempts: 4, totalTimeout: 20_000, budget });

describe('a policy', () => {
  it('runs calls as the function does', () => {
    expectTypeOf(policy.execute(({ signal }) => user('1', { signal }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(policy.execute(() => 5)).toEqualTypeOf<Promise<number>>();
    const call = policy.execute(
      (context) => {
        expectTypeOf(context).toEqualTypeOf<AttemptContext>();
        return context.attempt > 1 ? null : 'x';
      },
      { signal: undefined, attemptTimeout: 5, totalTimeout: undefined },
    );
    expectTypeOf(call).toEqualTypeOf<Promise<'x' | null>>();
    // @ts-expect-error rules are the policy's
    void policy.execute(() => 1, { maxAttempts: 3 });
    // @ts-expect-error started already
    void policy.execute(user('1'));
  });

  it('is an executor, and may stand where there is a `retry` option', () => {
    expectTypeOf(policy).toExtend<Executor>();
    void batchAllSettled([1], (n) => n, { retry: policy });
    void batchAllSettled([1], (n) => n, { pool: policy });
    void chunkAllSettled([1], async (chunk) => chunk, { size: 1, retry: policy });
    void gatherAllSettled({ a: () => 1 }, { retry: policy });
    fireAndForget(() => 1, { retry: policy });
    // @ts-expect-error timeouts stand beside the rules, or in a policy
    void batchAllSettled([1], (n) => n, { retry: { totalTimeout: 5 } });
  });

  it('takes rules, timeouts, a name and hooks', () => {
    expectTypeOf<RetryPolicyOptions>().toExtend<RetryRules & RetryTimeouts>();
    new RetryPolicy();
    new RetryPolicy({ name: undefined, hooks: undefined, budget: undefined });
    // @ts-expect-error a signal belongs to a call
    new RetryPolicy({ signal: new AbortController().signal });
    // @ts-expect-error its name is fixed
    policy.name = 'other';
  });

  it('is observed', () => {
    expectTypeOf(policy.subscribe).toEqualTypeOf<(hooks: RetryHooks) => () => void>();
    expectTypeOf(policy.getMetrics()).toEqualTypeOf<RetryMetrics>();
    expectTypeOf<RetryMetrics['kind']>().toEqualTypeOf<'retry'>();
    expectTypeOf<RetryMetrics['gaveUp']>().toEqualTypeOf<{ readonly [reason in RetryInfo['reason']]: number }>();
    expectTypeOf<RetryMetrics['delayMs']>().toEqualTypeOf<DurationSummary>();
    expectTypeOf<RetryMetrics['abandoned']>().toEqualTypeOf<number>();
  });
});

describe('a budget', () => {
  it('is shared by whoever takes it', () => {
    void retryWithBackoff(() => 1, { budget });
    void batchAllSettled([1], (n) => n, { retry: { budget } });
    expectTypeOf(budget.tokens).toEqualTypeOf<number>();
    expectTypeOf<Milliseconds>().toEqualTypeOf<number>();
  });

  it('is not filled by hand', () => {
    // @ts-expect-error tokens are counted for you
    budget.tokens = 5;
    // @ts-expect-error no such option
    new RetryBudget({ maxTokens: 5 });
  });
});
