import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { Waiters } from '../../src/pool/waiters.js';
import { rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

describe('the upkeep of a pool', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('a later close with a longer grace changes nothing', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const running = rejection(pool.execute(hang));
    const told = vi.fn();
    void running.then(told);
    void pool.close({ grace: 1_000 });
    void pool.close({ grace: 5_000 });
    await vi.advanceTimersByTimeAsync(999);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toHaveBeenCalledOnce();
  });

  // Every waiter was asked at every end: 8,000 producers took 80 times as long as 1,000.
  test('those who wait for the same are asked as one', async () => {
    const asked = vi.fn(() => false);
    const waiters = new Waiters(asked);
    for (let i = 0; i < 1_000; i++) void waiters.wait(5, undefined);
    asked.mockClear();
    waiters.look();
    expect(asked).toHaveBeenCalledOnce();
    expect(waiters.isEmpty).toBe(false);
  });

  test('aborted work has one second to react, by default', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    void rejection(pool.execute(hang));
    const reported = vi.fn();
    void pool.close({ grace: 0 }).then(reported);
    await vi.advanceTimersByTimeAsync(999);
    expect(reported).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(reported).toHaveBeenCalledOnce();
  });

  test('the report counts from close on, and what is left is not clean', async () => {
    const pool = new PromisePool({ concurrency: 2, timeout: 5 });
    await pool.execute(() => 'before');
    void rejection(pool.execute(hang));
    await vi.advanceTimersByTimeAsync(5);
    const last = pool.execute(() => new Promise((resolve) => setTimeout(resolve, 2)));
    const report = pool.close({ grace: 10, abortGrace: 1 });
    await vi.advanceTimersByTimeAsync(11);
    await last;
    expect(await report).toEqual({ clean: false, finished: 1, aborted: 0, refused: 0, left: ['pool'] });
  });

  test('pause after close has no effect', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const all = [pool.execute(() => turns()), pool.execute(() => 'second')];
    const report = pool.close();
    pool.pause();
    expect(pool.isPaused).toBe(false);
    await Promise.all(all);
    expect(await report).toMatchObject({ clean: true, finished: 2 });
  });

  test('close leaves no listener on the signal of the pool, onIdle none on its own', async () => {
    const owner = new AbortController();
    const waiter = new AbortController();
    const pool = new PromisePool({ concurrency: 1, signal: owner.signal });
    void pool.execute(() => turns());
    await pool.onIdle({ signal: waiter.signal });
    expect(getEventListeners(waiter.signal, 'abort')).toHaveLength(0);
    expect(getEventListeners(owner.signal, 'abort')).toHaveLength(1);
    await pool.close();
    expect(getEventListeners(owner.signal, 'abort')).toHaveLength(0);
  });

  test('tells of each change of the limit, of each time it becomes idle, and of its highest marks', async () => {
    const told: unknown[] = [];
    const pool = new PromisePool({
      concurrency: 1,
      name: 'p',
      hooks: { onLimitChange: (event) => void told.push(event), onIdle: (event) => void told.push(event) },
    });
    await Promise.all([pool.execute(() => 1), pool.execute(() => 2), pool.execute(() => 3)]);
    await pool.map([1], () => 1);
    pool.clear();
    pool.concurrency = 2;
    pool.concurrency = 2;
    expect(told).toEqual([{ name: 'p' }, { name: 'p' }, { name: 'p', from: 1, to: 2 }]);
    expect(pool.getMetrics()).toMatchObject({ peakQueued: 2, peakRunning: 1 });
  });

  test('a map whose item fails while next() is pending does not wait for return()', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    let pulled = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => (pulled++ === 0 ? Promise.resolve({ done: false, value: 1 } as const) : hang()),
        return: hang,
      }),
    };
    const failure = new Error('item');
    expect(await rejection(pool.map(source, () => turns().then(() => Promise.reject(failure))))).toBe(failure);
    expect(pulled).toBe(2);
    await pool.onIdle();
  });

  test('a map that is refused does not open its source', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const open = vi.fn(() => [][Symbol.iterator]());
    const source = { [Symbol.iterator]: open };
    expect(await rejection(pool.map(source, () => 1, { signal: AbortSignal.abort('x') }))).toBe('x');
    await pool.close();
    await rejection(pool.map(source, () => 1));
    expect(open).not.toHaveBeenCalled();
  });
});
