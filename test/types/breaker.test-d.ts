import { describe, expectTypeOf, test } from 'vitest';
import {
  type BreakerHooks,
  type BreakerMetrics,
  type BreakerState,
  type BreakerStateEvent,
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
} from '../../src/breaker/index.js';
import {
  type Executor,
  type LocalGate,
  type Permit,
  PromisePool,
  type RefusedError,
  type Settled,
} from '../../src/index.js';

describe('CircuitBreaker', () => {
  test('all options may be left out or undefined', () => {
    new CircuitBreaker();
    new CircuitBreaker({});
    new CircuitBreaker({ name: undefined, failureRate: undefined, probes: undefined, hooks: undefined });
    new CircuitBreaker({
      name: 'openai',
      failureRate: 0.5,
      minCalls: 10,
      window: 10_000,
      consecutiveFailures: 5,
      openFor: 30_000,
      probes: 2,
      probeTimeout: 60_000,
      classify: (result) => {
        expectTypeOf(result).toEqualTypeOf<Settled<unknown>>();
        return result.status === 'fulfilled' ? 'success' : 'failure';
      },
      hooks: {
        onStateChange: (event) => expectTypeOf(event).toEqualTypeOf<BreakerStateEvent>(),
        onRefuse: ({ retryAfter }) => expectTypeOf(retryAfter).toEqualTypeOf<number>(),
      },
    } satisfies CircuitBreakerOptions);
    // @ts-expect-error a number
    new CircuitBreaker({ openFor: '30s' });
    // @ts-expect-error no such option
    new CircuitBreaker({ timeout: 1_000 });
    // @ts-expect-error no such verdict
    new CircuitBreaker({ classify: () => 'fine' });
  });

  test('execute infers what the task gives', () => {
    const breaker = new CircuitBreaker();
    expectTypeOf(breaker.execute(() => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(breaker.execute(async ({ signal }) => signal.aborted)).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(breaker.execute(({ signal }) => Promise.resolve(signal))).toEqualTypeOf<Promise<AbortSignal>>();
    const { signal } = new AbortController();
    expectTypeOf(breaker.execute(() => 'x', { signal })).toEqualTypeOf<Promise<string>>();
    // @ts-expect-error a promise has already started
    void breaker.execute(Promise.resolve(1));
  });

  test('it is a gate of this process and an executor', () => {
    const breaker = new CircuitBreaker();
    expectTypeOf(breaker).toExtend<LocalGate>();
    expectTypeOf(breaker).toExtend<Executor>();
    new PromisePool({ concurrency: 1, gates: [breaker] });
    expectTypeOf(breaker.acquire()).toEqualTypeOf<Permit>();
    expectTypeOf(breaker.tryAcquire()).toEqualTypeOf<Permit | RefusedError | number>();
    expectTypeOf(breaker.onChange(() => {})).toEqualTypeOf<() => void>();
  });

  test('state, metrics, hooks and the way by hand', () => {
    const breaker = new CircuitBreaker();
    expectTypeOf(breaker.state).toEqualTypeOf<'closed' | 'open' | 'half-open'>();
    expectTypeOf<BreakerState>().toEqualTypeOf(breaker.state);
    expectTypeOf(breaker.getMetrics()).toEqualTypeOf<BreakerMetrics>();
    expectTypeOf(breaker.subscribe).parameters.toEqualTypeOf<[BreakerHooks]>();
    breaker.forceOpen();
    breaker.forceOpen(1_000);
    expectTypeOf(breaker.reset()).toEqualTypeOf<void>();
    // @ts-expect-error to be looked at only
    breaker.state = 'closed';
    // @ts-expect-error a snapshot
    breaker.getMetrics().calls = 0;
  });

  test('the refusal has a code of its own, and always says when', () => {
    const error = new CircuitOpenError({ source: 'openai', retryAfter: 1_000 });
    expectTypeOf(error).toExtend<RefusedError>();
    expectTypeOf<CircuitOpenError['code']>().toEqualTypeOf<'CIRCUIT_OPEN'>();
    expectTypeOf(error.retryAfter).toEqualTypeOf<number>();
  });
});
