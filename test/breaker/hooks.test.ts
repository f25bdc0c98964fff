import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type BreakerHooks,
  type BreakerStateEvent,
  CircuitBreaker,
  CircuitOpenError,
} from '../../src/breaker/index.js';
import { fails, refusalOf, rejection, tell, works } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('hooks', () => {
  test('tell of each change of state, after it, with the rate that it ends', () => {
    const events: BreakerStateEvent[] = [];
    const onStateChange = (event: BreakerStateEvent) => {
      events.push(event);
      expect(breaker.state).toBe(event.to);
    };
    const options = { name: 'shop', minCalls: 4, openFor: 500, probes: 2, hooks: { onStateChange } };
    const breaker = new CircuitBreaker(options);
    tell(breaker, 'success');
    tell(breaker, 'failure', 3);
    vi.advanceTimersByTime(500);
    expect(events.length).toBe(1);
    tell(breaker, 'success');
    tell(breaker, 'failure');
    vi.advanceTimersByTime(500);
    tell(breaker, 'success', 2);
    breaker.reset();
    breaker.forceOpen();
    breaker.reset();
    expect(events.map(({ name, from, to, failureRate }) => `${name}: ${from} > ${to}, ${failureRate}`)).toEqual([
      'shop: closed > open, 0.75',
      'shop: open > half-open, 0',
      'shop: half-open > open, 0.5',
      'shop: open > half-open, 0',
      'shop: half-open > closed, 0',
      'shop: closed > open, 0',
      'shop: open > closed, 0',
    ]);
  });

  test('tell of each refusal', async () => {
    const onRefuse = vi.fn();
    const breaker = new CircuitBreaker({ name: 'shop', hooks: { onRefuse } });
    breaker.forceOpen(100);
    await rejection(breaker.execute(works));
    expect(() => breaker.acquire()).toThrow();
    breaker.tryAcquire();
    // A pool asks for the reason, and says how many it has refused with it.
    const reason = breaker.shutReason() as CircuitOpenError;
    expect(onRefuse).toHaveBeenCalledTimes(3);
    breaker.countRefused(reason, 2);
    expect(onRefuse.mock.calls).toEqual(new Array(5).fill([{ name: 'shop', retryAfter: 100 }]));
    expect(breaker.getMetrics()).toMatchObject({ calls: 5, refused: 5 });
  });

  test('can be added and taken away', () => {
    const breaker = new CircuitBreaker();
    const onStateChange = vi.fn();
    const end = breaker.subscribe({ onStateChange });
    breaker.forceOpen();
    end();
    breaker.reset();
    expect(onStateChange).toHaveBeenCalledOnce();
  });

  // opossum: a throwing listener leaves the call pending for ever; cockatiel fails the call.
  test('that throw or reject change nothing, and are shown once', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const throwing: BreakerHooks = {
      onStateChange: () => {
        throw new Error('hook');
      },
      onRefuse: (() => Promise.reject(new Error('hook'))) as never,
    };
    const outcomes: unknown[][] = [];
    for (const hooks of [{}, throwing]) {
      const breaker = new CircuitBreaker({ consecutiveFailures: 2, openFor: 500, hooks });
      const seen: unknown[] = [];
      for (const task of [works, fails, fails, works, works]) {
        seen.push(await breaker.execute<unknown>(task).catch((reason: Error) => reason.message), breaker.state);
      }
      vi.advanceTimersByTime(500);
      seen.push(await breaker.execute(works), breaker.getMetrics());
      outcomes.push(seen);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(error).toHaveBeenCalledTimes(2);
  });

  test('may come back: what they do stands', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    const end = breaker.subscribe({ onStateChange: ({ to }) => to === 'open' && breaker.reset() });
    await rejection(breaker.execute(fails));
    expect(breaker.state).toBe('closed');
    end();
    await rejection(breaker.execute(fails));
    vi.advanceTimersByTime(500);
    const closing = breaker.subscribe({ onStateChange: ({ to }) => to === 'half-open' && breaker.reset() });
    expect(await Promise.all([1, 2, 3].map(() => breaker.execute(works)))).toEqual(['fine', 'fine', 'fine']);
    closing();
    breaker.forceOpen(0);
    breaker.subscribe({ onStateChange: ({ to }) => to === 'half-open' && breaker.forceOpen(70) });
    expect(refusalOf(breaker)?.retryAfter).toBe(70);
  });

  test('that take the trial call leave none for whoever looked', async () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(0);
    let inner: Promise<string> | undefined;
    breaker.subscribe({
      onStateChange: ({ to }) => {
        if (to === 'half-open') inner = breaker.execute(works);
      },
    });
    expect(await rejection(breaker.execute(works))).toBeInstanceOf(CircuitOpenError);
    expect(await inner).toBe('fine');
    expect(breaker.state).toBe('closed');
  });
});

describe('metrics', () => {
  test('are plain and safe for JSON in every state', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: Number.POSITIVE_INFINITY });
    const look = () => {
      const metrics = breaker.getMetrics();
      expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
      return metrics;
    };
    const zero = { kind: 'breaker', name: 'breaker', calls: 0, refused: 0, timesOpened: 0, failureRate: 0 };
    expect(look()).toEqual({ ...zero, state: 'closed' });
    tell(breaker, 'success', 3);
    expect(look()).toEqual({ ...zero, state: 'closed', calls: 3 });
    tell(breaker, 'failure');
    expect(look()).toEqual({ ...zero, state: 'open', calls: 4, timesOpened: 1 });
    breaker.tryAcquire();
    expect(look()).toEqual({ ...zero, state: 'open', calls: 5, refused: 1, timesOpened: 1 });
    breaker.forceOpen(0);
    expect(look()).toMatchObject({ state: 'half-open' });
  });

  test('the rate is that of the window now: results grow old without any call', () => {
    const breaker = new CircuitBreaker({ minCalls: 100, window: 1_000 });
    tell(breaker, 'failure', 3);
    tell(breaker, 'success', 1);
    expect(breaker.getMetrics().failureRate).toBe(0.75);
    vi.advanceTimersByTime(1_000);
    expect(breaker.getMetrics().failureRate).toBe(0);
  });
});
