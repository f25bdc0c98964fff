import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { batchAllSettled, chunkAllSettled } from '../../src/batch/index.js';
import { RetryBudget } from '../../src/limits/index.js';
import { type AttemptContext, getRetryInfo, RetryPolicy, retryWithBackoff } from '../../src/retry/index.js';
import { property } from '../support/runs.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const steady = { jitter: 'none' } as const;
/** Earns nothing by itself. */
const budgetOf = (burst: number, ratio = 0) => new RetryBudget({ burst, ratio, minPerSecond: 0 });
const transient = new Error('transient');
const fails = () => Promise.reject(new Error('transient'));
const keep = (call: Promise<unknown>) =>
  call.then(
    () => 'fulfilled',
    (error: unknown) => error,
  );
async function ended(call: Promise<unknown>): Promise<unknown> {
  const outcome = keep(call);
  await vi.runAllTimersAsync();
  return outcome;
}

describe('a retry', () => {
  it('takes one token; without one the call gives up at once with its last error', async () => {
    const budget = budgetOf(3);
    const fn = vi.fn(fails);
    expect(await ended(retryWithBackoff(fn, { ...steady, budget }))).toBeInstanceOf(Error);
    expect(fn).toHaveBeenCalledTimes(3);
    expect(budget.tokens).toBe(1);
    const errors = [new Error('1'), new Error('2')];
    const second = await ended(
      retryWithBackoff(({ attempt }) => Promise.reject(errors[attempt - 1]), { ...steady, budget }),
    );
    expect(second).toBe(errors[1]);
    expect(getRetryInfo(second)).toEqual({ attempts: 2, elapsedMs: 100, delayedMs: 100, reason: 'budget', errors });
  });

  it('the first attempt is free: it is always made', async () => {
    const budget = budgetOf(0);
    const fn = vi.fn(fails);
    const error = await ended(retryWithBackoff(fn, { budget }));
    expect(fn).toHaveBeenCalledTimes(1);
    expect(getRetryInfo(error)?.reason).toBe('budget');
    expect(await ended(retryWithBackoff(() => 1, { budget }))).toBe('fulfilled');
  });

  it.each([
    ['what is not retried', { shouldRetry: () => false }, 'not-retryable'],
    ['the last attempt', { maxAttempts: 1 }, 'exhausted'],
    ['a wait beyond the deadline', { totalTimeout: 50 }, 'deadline'],
  ])('none is taken for %s', async (_name, options, reason) => {
    const budget = budgetOf(5);
    const error = await ended(retryWithBackoff(fails, { ...steady, ...options, budget }));
    expect(getRetryInfo(error)?.reason).toBe(reason);
    expect(budget.tokens).toBe(5);
  });

  it('none is taken for a hint that is too long', async () => {
    const budget = budgetOf(5);
    const busy = Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': '86400' } });
    await ended(retryWithBackoff(() => Promise.reject(busy), { budget }));
    expect(getRetryInfo(busy)?.reason).toBe('hint-too-long');
    expect(budget.tokens).toBe(5);
  });
});

describe('a token is given back if its attempt never starts', () => {
  it('by an abort in the wait', async () => {
    const budget = budgetOf(5);
    const controller = new AbortController();
    const call = keep(retryWithBackoff(fails, { ...steady, budget, signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(50);
    expect(budget.tokens).toBe(4);
    controller.abort('why');
    expect(await call).toBe('why');
    expect(budget.tokens).toBe(5);
  });

  it('by an abort in a hook that is told of the wait', async () => {
    const budget = budgetOf(5);
    const controller = new AbortController();
    const hooks = { onRetry: () => controller.abort('why') };
    expect(await ended(retryWithBackoff(fails, { budget, hooks, signal: controller.signal }))).toBe('why');
    expect(budget.tokens).toBe(5);
  });

  it('by the deadline, where the timer of the wait was late', async () => {
    const budget = budgetOf(5);
    const t0 = performance.now();
    const call = keep(retryWithBackoff(fails, { ...steady, budget, totalTimeout: 150 }));
    setTimeout(() => vi.spyOn(performance, 'now').mockReturnValue(t0 + 170), 99);
    await vi.runAllTimersAsync();
    vi.restoreAllMocks();
    expect(getRetryInfo(await call)).toMatchObject({ reason: 'deadline', attempts: 1 });
    expect(budget.tokens).toBe(5);
  });

  it('and none is taken by a predicate that answers after the end', async () => {
    const budget = budgetOf(5);
    const onRetry = vi.fn();
    const shouldRetry = () => new Promise<true>((resolve) => setTimeout(resolve, 100, true));
    const frozen = vi.spyOn(performance, 'now').mockReturnValue(0);
    const call = keep(
      retryWithBackoff(fails, { ...steady, baseDelay: 10, budget, shouldRetry, totalTimeout: 50, hooks: { onRetry } }),
    );
    await vi.runAllTimersAsync();
    frozen.mockRestore();
    expect(getRetryInfo(await call)?.reason).toBe('deadline');
    expect(budget.tokens).toBe(5);
    expect(onRetry).not.toHaveBeenCalled();
  });
});

describe('a success', () => {
  it('earns `ratio`, at the first attempt and at a later one, in every way to call', async () => {
    const ways: ((fn: (context: AttemptContext) => unknown, budget: RetryBudget) => Promise<unknown>)[] = [
      (fn, budget) => retryWithBackoff(fn, { budget }),
      (fn, budget) => retryWithBackoff(fn, { budget, signal: new AbortController().signal }),
      (fn, budget) => new RetryPolicy({ budget }).execute(fn),
      (fn, budget) => new RetryPolicy({ budget, totalTimeout: 10_000 }).execute(fn),
      (fn, budget) => batchAllSettled([1], (_item, context) => fn(context as never), { retry: { budget } }),
      (fn, budget) =>
        chunkAllSettled([1], async (_chunk, context) => [await fn(context as never)], { size: 1, retry: { budget } }),
    ];
    for (const way of ways) {
      const budget = budgetOf(10, 0.25);
      await ended(retryWithBackoff(fails, { budget }));
      expect(budget.tokens).toBe(8);
      await ended(way(() => 1, budget));
      expect(budget.tokens).toBe(8.25);
      await ended(way(({ attempt }) => (attempt === 1 ? fails() : 1), budget));
      expect(budget.tokens).toBe(7.5);
    }
  });
});

describe('shared', () => {
  // RETRY-35, aws-sdk-js-v3#4754, #4755: a token that was kept for a request was shared between requests: no later call was retried.
  it('state of one call never reaches another: after an outage calls are retried again', async () => {
    const budget = budgetOf(4, 0.5);
    const policy = new RetryPolicy({ ...steady, budget });
    for (let i = 0; i < 10; i++) await ended(policy.execute(fails));
    expect(budget.tokens).toBe(0);
    for (let i = 0; i < 8; i++) await ended(policy.execute(() => 1));
    const fn = vi.fn(fails);
    await ended(policy.execute(fn));
    expect(fn).toHaveBeenCalledTimes(3);
  });

  it('by a hundred policies, it bounds the retries of all together', async () => {
    const budget = budgetOf(30);
    const policies = Array.from({ length: 100 }, (_, i) => new RetryPolicy({ name: `p${i}`, budget }));
    await ended(Promise.all(policies.map((policy) => keep(policy.execute(fails)))));
    const metrics = policies.map((policy) => policy.getMetrics());
    expect(metrics.reduce((sum, { retries }) => sum + retries, 0)).toBe(30);
    expect(metrics.reduce((sum, { gaveUp }) => sum + gaveUp.budget + gaveUp.exhausted, 0)).toBe(100);
    expect(budget.tokens).toBe(0);
  });

  // RETRY-07, smithy-typescript#1887: waiting for a token could not be aborted. Here nobody waits for one.
  it('nobody waits for a token', async () => {
    const call = keep(retryWithBackoff(fails, { budget: budgetOf(0) }));
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(getRetryInfo(await call)?.elapsedMs).toBe(0);
  });

  // RETRY-37, failsafe-go#141: a budget that was exhausted killed attempts in flight. There is no hedging; of the rest:
  it('an empty budget ends no attempt that runs', async () => {
    const budget = budgetOf(1);
    const slow = keep(
      retryWithBackoff(
        ({ attempt }) => (attempt === 1 ? fails() : new Promise((resolve) => setTimeout(resolve, 1_000, 'value'))),
        { ...steady, budget },
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(budget.tokens).toBe(0);
    await ended(retryWithBackoff(fails, { budget }));
    expect(await slow).toBe('fulfilled');
  });
});

describe('in batches', () => {
  it('failed items of one chunk that are sent again together take one token', async () => {
    const budget = budgetOf(5);
    const policy = new RetryPolicy({ ...steady, budget });
    const call = vi.fn(
      async (chunk: readonly number[], { attempt, fail }: { attempt: number; fail: (e: unknown) => never }) =>
        chunk.map((n) => (attempt === 1 && n > 1 ? fail(transient) : n)),
    );
    const report = chunkAllSettled([1, 2, 3, 4], call as never, { size: 4, retry: policy });
    expect(await ended(report)).toBe('fulfilled');
    expect((await report).ok).toBe(true);
    expect(budget.tokens).toBe(4);
    expect(policy.getMetrics()).toMatchObject({ calls: 1, attempts: 2, retries: 1, fulfilled: 1, recovered: 1 });
  });

  it.each(['items', 'chunks'])(
    '%s whose repeat was due when the batch was aborted give their tokens back',
    async (kind) => {
      const budget = budgetOf(5);
      const policy = new RetryPolicy({ ...steady, budget });
      const controller = new AbortController();
      const options = { retry: policy, signal: controller.signal, concurrency: 9 };
      const batch =
        kind === 'items'
          ? batchAllSettled([1, 2, 3], fails, options)
          : chunkAllSettled([1, 2, 3], fails, { ...options, size: 1 });
      await vi.advanceTimersByTimeAsync(50);
      expect(budget.tokens).toBe(2);
      controller.abort('why');
      await batch;
      expect(budget.tokens).toBe(5);
      expect(policy.getMetrics()).toMatchObject({ calls: 3, attempts: 3, retries: 0, gaveUp: { aborted: 3 } });
    },
  );

  it('part of a chunk that gives up keeps the token of the rest', async () => {
    const budget = budgetOf(5);
    const shouldRetry = (error: unknown) => error !== 'fatal';
    const call = async (
      chunk: readonly string[],
      { attempt, fail }: { attempt: number; fail: (e: unknown) => never },
    ) => chunk.map((item) => (attempt === 1 ? fail(item) : item));
    for (const items of [
      ['fatal', 'again'],
      ['again', 'fatal'],
    ]) {
      const before = budget.tokens;
      const report = chunkAllSettled(items, call as never, { size: 2, retry: { ...steady, budget, shouldRetry } });
      await ended(report);
      expect((await report).stats).toMatchObject({ fulfilled: 1, rejected: 1, calls: 2 });
      expect(budget.tokens).toBe(before - 1);
    }
  });
});

describe('the law of the account', () => {
  const plans = fc.array(
    fc.record({
      fails: fc.nat(4),
      takes: fc.nat(30),
      startAt: fc.nat(300),
      abortAt: fc.option(fc.nat(600), { nil: undefined }),
      totalTimeout: fc.option(fc.nat(400), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 20 },
  );

  property([plans, fc.nat(12), fc.constantFrom(0, 0.5, 1)])(
    'tokens and counters add up, whatever ends the calls',
    async (calls, burst, ratio) => {
      const budget = budgetOf(burst, ratio);
      const policy = new RetryPolicy({ ...steady, baseDelay: 20, maxAttempts: 4, budget });
      let [attempts, successes] = [0, 0];
      const run = async ({ fails: failures, takes, startAt, abortAt, totalTimeout }: (typeof calls)[number]) => {
        await new Promise((resolve) => setTimeout(resolve, startAt));
        const controller = new AbortController();
        if (abortAt !== undefined) setTimeout(() => controller.abort(), abortAt);
        const fn = async ({ attempt }: AttemptContext) => {
          attempts++;
          await new Promise((resolve) => setTimeout(resolve, takes));
          if (attempt <= failures) throw new Error('transient');
        };
        await policy.execute(fn, { totalTimeout, ...(abortAt !== undefined && { signal: controller.signal }) }).then(
          () => successes++,
          () => {},
        );
      };
      const all = calls.map(run);
      await vi.runAllTimersAsync();
      await Promise.all(all);

      const { gaveUp, ...metrics } = policy.getMetrics();
      const ends = Object.values(gaveUp).reduce((sum, count) => sum + count, 0);
      expect(metrics).toMatchObject({ calls: calls.length, attempts, fulfilled: successes });
      expect(metrics.fulfilled + ends).toBe(metrics.calls);
      // Exact where nothing was earned; with earnings the cap may have swallowed some.
      if (ratio === 0) expect(budget.tokens).toBe(burst - metrics.retries);
      else expect(budget.tokens).toBeGreaterThanOrEqual(Math.min(burst, burst - metrics.retries));
      expect(metrics.retries).toBeLessThanOrEqual(burst + ratio * successes);
    },
  );
});

it('takes only a budget', async () => {
  for (const budget of [{}, 5, null]) {
    const error = await keep(retryWithBackoff(() => 1, { budget: budget as unknown as RetryBudget }));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(/^Expected `budget` to be a RetryBudget, got `/);
  }
});
