import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  BackgroundTasks,
  CircuitBreaker,
  MetricsRegistry,
  PromisePool,
  RequestCoalescer,
  RetryPolicy,
  StreamCoalescer,
  Upstream,
} from '../../src/index.js';
import { RateLimiter } from '../../src/limits/index.js';

describe('MetricsRegistry', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const pool = (name: string) => new PromisePool({ concurrency: 1, name });

  test('gathers metrics by kind and name, safe for JSON, whatever the names are', () => {
    const registry = new MetricsRegistry();
    const odd = registry.add(pool('__proto__'));
    registry.add(new RequestCoalescer({ name: 'x' }));
    registry.add(new BackgroundTasks({ name: 'x' }));
    const limiter = registry.add(new RateLimiter({ name: 'x', limit: 1, interval: 1 }));
    registry.add(new RetryPolicy({ name: 'x' }));
    registry.add(new CircuitBreaker({ name: 'x' }));
    registry.add(new StreamCoalescer({ name: 'streams' }));
    registry.add(new Upstream({ name: 'x', coalesce: {}, retry: {}, breaker: {}, pool: { concurrency: 1 } }));
    const snapshot = registry.snapshot();
    expect(snapshot.rateLimiters.x).toEqual(limiter.getMetrics());
    expect(Object.keys(snapshot)).toEqual([
      'pools',
      'coalescers',
      'retries',
      'breakers',
      'rateLimiters',
      'background',
      'upstreams',
    ]);
    expect(Object.keys(snapshot.pools)).toEqual(['__proto__']);
    expect(snapshot.coalescers.x).toMatchObject({ kind: 'coalescer', name: 'x' });
    expect(Object.keys(snapshot.coalescers)).toEqual(['x', 'streams']);
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect([...registry]).toHaveLength(8);
    expect(registry.remove(odd)).toBe(true);
    expect(registry.remove(odd)).toBe(false);
    expect(registry.snapshot().pools).toEqual({});
  });

  test('refuses a taken name of the same kind, and what is no source', () => {
    const registry = new MetricsRegistry();
    registry.add(pool('a'));
    registry.add(new RequestCoalescer({ name: 'a' }));
    expect(() => registry.add(pool('a'))).toThrow('There is a pool of the name `a` already');
    for (const wrong of [undefined, null, {}, { getMetrics: () => ({ kind: 'toString', name: 'x' }) }]) {
      expect(() => registry.add(wrong as never)).toThrow(TypeError);
    }
  });

  test('reports until it is stopped; a log that throws or rejects is shown once and asked again', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const registry = new MetricsRegistry();
    registry.add(pool('p'));
    const log = vi.fn();
    log.mockImplementationOnce(() => {
      throw new Error('log');
    });
    log.mockImplementationOnce(() => Promise.reject(new Error('log')));
    const stop = registry.report({ every: 1_000, log });
    expect(log).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(3_500);
    expect(log).toHaveBeenCalledTimes(3);
    expect(log.mock.calls[2]?.[0].pools.p).toMatchObject({ kind: 'pool' });
    expect(shown).toHaveBeenCalledOnce();
    stop();
    stop();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(log).toHaveBeenCalledTimes(3);
    expect(vi.getTimerCount()).toBe(0);
    shown.mockRestore();
  });

  test.each([
    {},
    { every: 0, log() {} },
    { every: Number.NaN, log() {} },
    { every: '5', log() {} },
    { every: 5 },
    undefined,
  ])('report(%j) throws at once', (options) => {
    expect(() => new MetricsRegistry().report(options as never)).toThrow(/Expected/);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('its timer does not keep the process alive', () => {
    vi.useRealTimers();
    const set = vi.spyOn(globalThis, 'setTimeout');
    const stop = new MetricsRegistry().report({ every: 60_000, log: () => {} });
    const timer = set.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    stop();
    set.mockRestore();
  });
});
