import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import { TimeoutError } from '../../src/core/errors.js';
import { getRetryInfo, type RetryHooks, retryWithBackoff } from '../../src/retry/index.js';
import { property } from '../support/runs.js';
import { type Plan, type Step, tell } from './model.js';

const NEVER = Number.POSITIVE_INFINITY;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const steps: fc.Arbitrary<Step> = fc.record({
  takes: fc.oneof(fc.constant(0), fc.nat(300)),
  ends: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('transient' as const) },
    fc.constantFrom('ok' as const, 'fatal' as const),
    fc.record({ hint: fc.oneof(fc.nat(300), fc.nat(100_000)) }),
  ),
});
const orNever = (arbitrary: fc.Arbitrary<number>) => fc.oneof(fc.constant(NEVER), arbitrary);

const plans: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(steps, { minLength: 1, maxLength: 8 }),
  maxAttempts: fc.integer({ min: 1, max: 12 }),
  baseDelay: fc.integer({ min: 1, max: 200 }),
  maxDelay: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.constantFrom(20_000, NEVER)),
  factor: fc.integer({ min: 1, max: 4 }),
  attemptTimeout: orNever(fc.nat(300)),
  totalTimeout: orNever(fc.nat(2_000)),
  abortAt: orNever(fc.integer({ min: 1, max: 2_000 })),
});

async function run(plan: Plan, hooks?: RetryHooks) {
  const t0 = performance.now();
  const starts: number[] = [];
  const errors: unknown[] = [];
  const reason = { name: 'reason' };
  const controller = new AbortController();
  if (plan.abortAt !== NEVER) setTimeout(() => controller.abort(reason), plan.abortAt);
  let running = 0;

  const call = retryWithBackoff(
    async ({ attempt }) => {
      starts.push(performance.now() - t0);
      const { takes, ends } = plan.steps[(attempt - 1) % plan.steps.length] as Step;
      running++;
      if (takes > 0) await wait(takes);
      running--;
      if (ends === 'ok') return 'value';
      const hinted = typeof ends === 'object' ? { headers: { 'retry-after-ms': String(ends.hint) } } : {};
      const error = Object.assign(new Error(`step ${attempt}`), { status: ends === 'fatal' ? 404 : 503, ...hinted });
      errors[attempt - 1] = error;
      throw error;
    },
    { ...plan, jitter: 'none', signal: controller.signal, hooks },
  );
  const ended = call.then(
    (value) => ({ at: performance.now() - t0, value, thrown: undefined }),
    (thrown: unknown) => ({ at: performance.now() - t0, value: undefined, thrown }),
  );
  await vi.runAllTimersAsync();
  const { at, value, thrown } = await ended;

  const kindOf = (thing: unknown) => {
    if (thing === reason) return 'reason';
    if (thing instanceof TimeoutError) return thing.option;
    return thing === errors[starts.length - 1] ? 'error of the step' : 'something else';
  };
  const info = getRetryInfo(thrown);
  expect(running).toBe(0);
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  if (info !== undefined) {
    expect(info.attempts).toBe(starts.length);
    expect(info.elapsedMs).toBe(at);
    expect(info.delayedMs).toBeLessThanOrEqual(at);
    expect(info.errors.length).toBeLessThanOrEqual(10);
  }
  return {
    starts,
    endsAt: at,
    reason: value === 'value' ? 'ok' : info?.reason,
    throws: value === 'value' ? 'nothing' : kindOf(thrown),
  };
}

property([plans])(
  'the law of the story: attempts, waits, timeouts and aborts happen when and as the model says',
  async (plan) => {
    expect(await run(plan)).toEqual(tell(plan));
    expect(vi.getTimerCount()).toBe(0);
  },
);

property([plans, fc.nat(1_000)])(
  'the law of the deadline: with totalTimeout, no call outlives it, whatever the work does',
  async (plan, totalTimeout) => {
    const t0 = performance.now();
    const stubborn = retryWithBackoff(
      ({ attempt }) =>
        attempt % 2 === 0 ? new Promise(() => {}) : wait(plan.baseDelay).then(() => Promise.reject(new Error('x'))),
      {
        ...plan,
        jitter: 'full',
        totalTimeout,
      },
    ).catch(() => performance.now() - t0);
    await vi.runAllTimersAsync();
    expect(await stubborn).toBeLessThanOrEqual(totalTimeout);
  },
);

describe('the law of the abort', () => {
  // Every step of the call waits for the scheduler, so that the abort falls between any two of them, and some ticks later.
  const shapes = fc.record({
    fails: fc.nat(3),
    ticks: fc.nat(20),
    asyncPredicate: fc.boolean(),
    timeouts: fc.boolean(),
    hooks: fc.boolean(),
  });

  property([fc.scheduler(), shapes])(
    'wherever it falls, the call ends in that turn with the reason itself, or had ended before',
    async (s, { fails, ticks, asyncPredicate, timeouts, hooks }) => {
      const controller = new AbortController();
      const reason = new Error('reason');
      let abortedAfter: number | undefined;
      let begun = 0;
      let settled: { value?: unknown; thrown?: unknown } | undefined;

      const call = retryWithBackoff(
        async ({ attempt }) => {
          begun++;
          await s.schedule(Promise.resolve(), `attempt ${attempt}`);
          if (attempt <= fails) throw new Error('transient');
          return 'value';
        },
        {
          signal: controller.signal,
          maxAttempts: 4,
          baseDelay: 1,
          ...(asyncPredicate && { shouldRetry: () => s.schedule(Promise.resolve(true), 'predicate') }),
          ...(timeouts && { attemptTimeout: 1e6, totalTimeout: 1e7 }),
          ...(hooks && { hooks: { onRetry: () => void s.schedule(Promise.resolve(), 'hook') } }),
        },
      );
      void call.then(
        (value) => {
          settled = { value };
        },
        (thrown: unknown) => {
          settled = { thrown };
        },
      );
      void s.schedule(Promise.resolve(), 'abort').then(async () => {
        for (let i = 0; i < ticks; i++) await Promise.resolve();
        if (settled !== undefined) return;
        abortedAfter = begun;
        controller.abort(reason);
      });

      while (s.count() > 0 || settled === undefined) {
        if (s.count() > 0) await s.waitOne();
        const before = begun;
        const wasAborted = abortedAfter !== undefined;
        await vi.advanceTimersByTimeAsync(wasAborted ? 0 : 1);
        if (wasAborted) {
          // In the same turn, and nothing begins after it.
          expect(settled).toBeDefined();
          expect(begun).toBe(before);
        }
      }

      if (abortedAfter === undefined) {
        expect(settled).toEqual({ value: 'value' });
        expect(begun).toBe(fails + 1);
      } else if (settled.value === undefined) {
        expect(settled.thrown).toBe(reason);
        expect(begun).toBe(abortedAfter);
        expect(getRetryInfo(reason)).toMatchObject({ reason: 'aborted', attempts: begun });
      }
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await vi.runAllTimersAsync();
      expect(vi.getTimerCount()).toBe(0);
    },
  );
});

describe('the law of observers', () => {
  const bomb = () => {
    throw new Error('bomb');
  };
  const hooks = fc.constantFrom(
    {},
    { onRetry: () => {}, onGiveUp: () => {} },
    { onRetry: bomb, onGiveUp: bomb },
    { onRetry: async () => bomb(), onGiveUp: async () => bomb() },
  );

  property([plans, hooks])('hooks that are there, throw or reject change nothing', async (plan, each) => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    expect(await run(plan, each)).toEqual(await run(plan));
    vi.restoreAllMocks();
  });
});
