import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from '../../src/breaker/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import { RateLimiter } from '../../src/limits/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { fails, held, rejection, turns, works } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One after the other: a failure must be counted before the next starts. */
async function fail(pool: PromisePool, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await rejection(pool.execute(fails));
}

describe('in front of a pool', () => {
  test('a hung upstream opens it at the timeouts, while the slots are still held', async () => {
    const breaker = new CircuitBreaker({ minCalls: 3, openFor: 30_000 });
    const pool = new PromisePool({ concurrency: 3, timeout: 1_000, gates: [breaker] });
    const calls = Array.from({ length: 3 }, held);
    const hung = calls.map(({ task }) => rejection(pool.execute(task)));
    await vi.advanceTimersByTimeAsync(999);
    expect(breaker.state).toBe('closed');
    await vi.advanceTimersByTimeAsync(1);
    expect((await Promise.all(hung)).every((error) => error instanceof TimeoutError)).toBe(true);
    expect([breaker.state, pool.running]).toEqual(['open', 3]);
    // All slots are held, and the next need not wait to hear it.
    const late = vi.fn(works);
    expect(await rejection(pool.execute(late))).toBeInstanceOf(CircuitOpenError);
    expect([late.mock.calls.length, pool.queued, pool.running]).toEqual([0, 0, 3]);
    // What ends at last has been counted, and frees its slot all the same.
    for (const { resolve } of calls) resolve();
    await turns();
    expect([breaker.state, pool.running]).toEqual(['open', 0]);
    expect(await rejection(pool.execute(late))).toBeInstanceOf(CircuitOpenError);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await pool.execute(works)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  test('half-open with its trial call out, the others are refused at once, also where all slots are held', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    const pool = new PromisePool({ concurrency: 1, gates: [breaker] });
    await fail(pool, 1);
    await vi.advanceTimersByTimeAsync(500);
    const trial = held();
    const promise = pool.execute(trial.task);
    expect(await rejection(pool.execute(works))).toBeInstanceOf(CircuitOpenError);
    trial.resolve('fine');
    await promise;
    expect(await pool.execute(works)).toBe('fine');
  });

  test('1,000 tasks at the instant of half-open are as many trial calls as there are places', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probes: 4 });
    const pool = new PromisePool({ concurrency: 100, gates: [breaker] });
    await fail(pool, 1);
    await vi.advanceTimersByTimeAsync(500);
    const task = vi.fn(held().task);
    const refused: unknown[] = [];
    for (let i = 0; i < 1_000; i++) pool.execute(task).catch((error: unknown) => refused.push(error));
    await turns();
    expect([task.mock.calls.length, refused.length]).toEqual([4, 996]);
  });

  test('a trial call that only waited for another gate gives its place back, and is no call', async () => {
    const breaker = new CircuitBreaker({ openFor: 500 });
    const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
    // The limiter as the second gate: it is asked when the breaker has given a place.
    const pool = new PromisePool({ concurrency: 5, gates: [breaker, limiter] });
    await pool.execute(works);
    breaker.forceOpen(0);
    const waiting = pool.execute(works);
    await vi.advanceTimersByTimeAsync(500);
    expect(breaker.getMetrics()).toMatchObject({ state: 'half-open', calls: 1 });
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toBe('fine');
    expect(breaker.getMetrics()).toMatchObject({ state: 'closed', calls: 2, refused: 0 });
  });

  test('aborts and the refusals of others count nothing; a 404 is a success', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
    const pool = new PromisePool({ concurrency: 1, maxQueue: 0, gates: [breaker] });
    const controller = new AbortController();
    const call = held();
    const aborted = rejection(pool.execute(call.task, { signal: controller.signal }));
    expect(await rejection(pool.execute(works))).toMatchObject({ code: 'QUEUE_FULL' });
    controller.abort('left');
    expect(await aborted).toBe('left');
    call.reject(new Error('late'));
    await turns();
    await rejection(pool.execute(() => Promise.reject(Object.assign(new Error('HTTP'), { status: 404 }))));
    expect(breaker.getMetrics()).toMatchObject({ state: 'closed', failureRate: 0 });
  });

  test('an aborted trial call makes room, though it holds its slot', async () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(0);
    const pool = new PromisePool({ concurrency: 2, gates: [breaker] });
    const controller = new AbortController();
    const aborted = rejection(pool.execute(held().task, { signal: controller.signal }));
    controller.abort('left');
    expect(await aborted).toBe('left');
    expect(pool.running).toBe(1);
    expect(await pool.execute(works)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  test('Retry-After of an error keeps it open', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    const pool = new PromisePool({ concurrency: 1, gates: [breaker] });
    const busy = Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': '90' } });
    await rejection(pool.execute(() => Promise.reject(busy)));
    expect(await rejection(pool.execute(works))).toMatchObject({ retryAfter: 90_000 });
  });

  test('one breaker serves several pools, and calls of its own', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 3 });
    const pools = [1, 2].map(() => new PromisePool({ concurrency: 1, gates: [breaker] }));
    for (const pool of pools) await fail(pool, 1);
    await rejection(breaker.execute(fails));
    for (const pool of pools) expect(await rejection(pool.execute(works))).toBeInstanceOf(CircuitOpenError);
    expect(breaker.getMetrics()).toMatchObject({ calls: 5, refused: 2 });
  });

  test('items of a map are refused: the map fails, and closes its source', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
    const pool = new PromisePool({ concurrency: 2, gates: [breaker] });
    breaker.forceOpen();
    expect(await rejection(pool.map([1, 2, 3], works))).toBeInstanceOf(CircuitOpenError);
    breaker.reset();
    expect(await pool.map([1, 2, 3], works)).toEqual(['fine', 'fine', 'fine']);
  });
});
