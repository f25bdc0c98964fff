import { describe, expectTypeOf, test } from 'vitest';
import {
  aimdLimit,
  type ConcurrencyLimit,
  createPermit,
  type Gate,
  GateRefusedError,
  isPacelineError,
  type LocalGate,
  type Permit,
  PromisePool,
  type RateLimitedError,
  RateLimiter,
  type RefusedError,
  vegasLimit,
} from '../../src/index.js';

describe('admission', () => {
  test('rate limits are plain, a limiter, or several of both', () => {
    const tokens = new RateLimiter({ name: 'tokens', limit: 200_000, interval: 60_000, counts: 'cost' });
    new PromisePool({ concurrency: 5, rateLimit: { limit: 5, interval: 1_000 } });
    new PromisePool({ concurrency: 5, rateLimit: tokens });
    const limits = [{ limit: 500, interval: 60_000 }, tokens] as const;
    new PromisePool({
      concurrency: 5,
      rateLimit: limits,
      maxPause: 0,
      perGroup: { rateLimit: { limit: 1, interval: 1_000 } },
    });
    // @ts-expect-error there are calls and cost
    new RateLimiter({ limit: 5, interval: 5, counts: 'tokens' });
    // @ts-expect-error a rate needs an interval
    new PromisePool({ concurrency: 5, rateLimit: { limit: 5 } });
  });

  test('a cost is a number, or one for each item', () => {
    const pool = new PromisePool({ concurrency: 5, rateLimit: { limit: 5, interval: 5, counts: 'cost' } });
    expectTypeOf(pool.execute(() => 'x', { cost: 2 })).toEqualTypeOf<Promise<string>>();
    expectTypeOf(pool.map(['a'], (text) => text.length, { cost: (text) => text.length })).toEqualTypeOf<
      Promise<number[]>
    >();
    expectTypeOf(pool.acquire({ cost: 1, group: 'g', priority: 'low' })).toEqualTypeOf<Promise<Permit>>();
    // @ts-expect-error no text
    void pool.execute(() => 'x', { cost: '2' });
  });

  test('gates are structural, and pools and limiters are gates of this process', () => {
    const mine: Gate = {
      acquire: ({ signal } = {}) => {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal | undefined>();
        return createPermit((verdict, retryAfter) => {
          expectTypeOf(verdict).toEqualTypeOf<'success' | 'failure' | 'overload' | 'ignore'>();
          expectTypeOf(retryAfter).toEqualTypeOf<number | undefined>();
        });
      },
    };
    const limiter = new RateLimiter({ limit: 1, interval: 1 });
    const pool = new PromisePool({ concurrency: 1, gates: [mine, limiter, new PromisePool({ concurrency: 2 })] });
    expectTypeOf(pool).toExtend<LocalGate>();
    expectTypeOf(limiter).toExtend<LocalGate>();
    expectTypeOf(pool.tryAcquire()).toEqualTypeOf<Permit | RefusedError | number>();
    expectTypeOf(pool.onChange(() => {})).toEqualTypeOf<() => void>();
    // @ts-expect-error a gate acquires
    new PromisePool({ concurrency: 1, gates: [{}] });
  });

  test('refusals carry their fields', () => {
    const error: unknown = new GateRefusedError('maintenance', { retryAfter: 60_000 });
    if (isPacelineError(error, 'RATE_LIMITED')) expectTypeOf(error).toEqualTypeOf<RateLimitedError>();
    if (isPacelineError(error, 'GATE_REFUSED')) expectTypeOf(error.retryAfter).toEqualTypeOf<number | undefined>();
    expectTypeOf<RateLimitedError['retryAfter']>().toEqualTypeOf<number>();
  });

  test('an algorithm is a limit, and a number replaces it', () => {
    const pool = new PromisePool({ concurrency: aimdLimit({ max: 50, backoffRatio: 0.8 }) });
    pool.concurrency = 5;
    pool.concurrency = vegasLimit({ initial: 5 });
    expectTypeOf(pool.concurrency).toEqualTypeOf<number>();
    const own: ConcurrencyLimit = {
      initial: 1,
      min: 1,
      max: 10,
      onSample: ({ verdict }) => {
        expectTypeOf(verdict).toEqualTypeOf<'success' | 'failure' | 'overload'>();
        return 1;
      },
    };
    new PromisePool({ concurrency: own, classify: ({ status }) => (status === 'fulfilled' ? 'success' : 'failure') });
    // @ts-expect-error no such verdict
    new PromisePool({ concurrency: 1, classify: () => 'fine' });
  });
});
