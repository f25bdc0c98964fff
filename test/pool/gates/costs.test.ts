import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RateLimiter } from '../../../src/limits/rate-limiter.js';
import { PromisePool } from '../../../src/pool/index.js';
import { expectWindows, later, type Start } from '../gates-support.js';
import { expectIdentity, rejection } from '../support.js';

const limited = { limit: 10, interval: 100, counts: 'cost' } as const;

describe('costs', () => {
  const bad: readonly [string, number | undefined, ErrorConstructor][] = [
    ['missing', undefined, TypeError],
    ['above the limit', 11, RangeError],
    ['NaN', Number.NaN, RangeError],
    ['below 0', -1, RangeError],
    ['Infinity', Number.POSITIVE_INFINITY, RangeError],
    ['a text', '5' as never, TypeError],
  ];

  test.each(bad)('%s: a rejection, whoever asks for it', async (_, cost, type) => {
    for (const options of [
      { rateLimit: limited },
      { rateLimit: [new RateLimiter(limited)] },
      { perGroup: { rateLimit: limited } },
    ]) {
      const pool = new PromisePool({ concurrency: 2, ...options });
      expect(await rejection(pool.execute(() => 'ran', { cost }))).toBeInstanceOf(type);
      expect(await rejection(pool.execute(() => 'ran', { cost, group: 'g' }))).toBeInstanceOf(type);
      expect(await rejection(pool.acquire({ cost }))).toBeInstanceOf(type);
      expect(await rejection(pool.map([1], (i) => i, { cost }))).toBeInstanceOf(type);
      expect(() => pool.stream([1], (i) => i, { cost })).toThrow(type);
      expect(() => pool.tryAcquire({ cost })).toThrow(type);
      const items: unknown[] = [];
      const mapped = pool.map([1, 2, 3], (i) => items.push(i), {
        cost: (i) => (i === 2 ? (cost as number) : 1),
        concurrency: 1,
      });
      expect(await rejection(mapped)).toBeInstanceOf(type);
      expect(items).toEqual([1]);
      expect(await pool.execute(() => 'ran', { cost: 1 })).toBe('ran');
      expect(pool.getMetrics()).toMatchObject({ calls: 2, fulfilled: 2 });
      expectIdentity(pool);
    }
  });

  test.each([Number.NaN, -1, '5'])('%s is refused where no limit counts it, too', async (cost) => {
    const pool = new PromisePool({ concurrency: 1 });
    expect(await rejection(pool.execute(() => 'ran', { cost: cost as number }))).toBeInstanceOf(Error);
    expect(await rejection(pool.map([1], () => 'ran', { cost: () => cost as number }))).toBeInstanceOf(Error);
    expect(await pool.execute(() => 'ran', { cost: 1e9 })).toBe('ran');
  });

  describe('with time', () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    test('the cost function of a map is asked once for each item, and their sum keeps the limit', async () => {
      const pool = new PromisePool({ concurrency: 4, rateLimit: limited });
      const cost = vi.fn((item: number) => item);
      const starts: Start[] = [];
      const items = [3, 9, 1, 0, 7, 10, 2, 2];
      const mapped = pool.map(
        items,
        async (units) => {
          starts.push({ at: performance.now(), units });
          await later(units);
          return units;
        },
        { cost },
      );
      await vi.runAllTimersAsync();
      expect(await mapped).toEqual(items);
      expect(cost.mock.calls.map(([item]) => item)).toEqual(items);
      expectWindows(starts, 10, 100);
    });
  });
});

describe('perGroup.rateLimit', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  function grouped(options: object = {}) {
    const pool = new PromisePool({ concurrency: 10, perGroup: { rateLimit: { limit: 1, interval: 100 } }, ...options });
    const starts: [unknown, number][] = [];
    const begin = performance.now();
    const run = (group: string | undefined) =>
      pool.execute(() => void starts.push([group, performance.now() - begin]), { group });
    return { pool, starts, run };
  }

  test('each group has a window of its own, and others pass by one that waits', async () => {
    const { starts, run, pool } = grouped();
    const all = ['a', 'a', 'a', 'b', 'b', undefined, undefined, 'c'].map(run);
    expect(starts.map(([group]) => group)).toEqual(['a', 'b', undefined, 'c']);
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(starts.slice(4).sort()).toEqual(
      [
        ['a', 100],
        ['a', 200],
        ['b', 100],
        [undefined, 100],
      ].sort(),
    );
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('the window survives the idle time of the group', async () => {
    const { starts, run } = grouped();
    await run('a');
    await vi.advanceTimersByTimeAsync(60);
    void run('a');
    await vi.advanceTimersByTimeAsync(39);
    expect(starts.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(starts).toEqual([
      ['a', 0],
      ['a', 100],
    ]);
  });

  test('the window survives many other groups', async () => {
    const { starts, run } = grouped();
    await run('a');
    for (let i = 0; i < 500; i++) await run(`other ${i}`);
    void run('a');
    expect(starts.length).toBe(501);
    await vi.advanceTimersByTimeAsync(100);
    expect(starts.at(-1)).toEqual(['a', 100]);
  });

  test('it holds together with the rate of the pool, and neither takes a place for the other', async () => {
    const limiter = new RateLimiter({ limit: 3, interval: 100 });
    const { starts, run } = grouped({ rateLimit: limiter });
    const all = ['a', 'a', 'b', 'c', 'd', 'a', 'e', 'f'].map(run);
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expectWindows(
      starts.map(([, at]) => ({ at, units: 1 })),
      3,
      100,
    );
    expectWindows(
      starts.filter(([group]) => group === 'a').map(([, at]) => ({ at, units: 1 })),
      1,
      100,
    );
    expect(limiter.getMetrics().admitted).toBe(8);
    // The group comes back into the round behind those that waited for the pool's rate.
    expect(starts.at(-1)).toEqual(['a', 300]);
  });

  test('maps whose items have groups', async () => {
    const { pool } = grouped();
    const starts: { at: number; group: string }[] = [];
    const items = ['a', 'a', 'b', 'c', 'b', 'a'];
    const mapped = pool.map(items, (group) => void starts.push({ at: performance.now(), group }), {
      group: (item) => item,
    });
    await vi.runAllTimersAsync();
    expect((await mapped).length).toBe(6);
    for (const group of ['a', 'b', 'c']) {
      const own = starts.filter((each) => each.group === group).sort((a, b) => a.at - b.at);
      expectWindows(
        own.map(({ at }) => ({ at, units: 1 })),
        1,
        100,
      );
    }
  });

  test('a group whose tasks all left waits for nothing', async () => {
    const { pool, run } = grouped();
    const control = new AbortController();
    void run('a');
    const left = pool.execute(() => {}, { group: 'a', signal: control.signal }).catch(() => 'left');
    expect(vi.getTimerCount()).toBe(1);
    control.abort();
    expect(await left).toBe('left');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a group whose tasks all left waits for nothing, though others wait', async () => {
    let listeners = 0;
    const { onChange } = RateLimiter.prototype;
    vi.spyOn(RateLimiter.prototype, 'onChange').mockImplementation(function (this: RateLimiter, wake) {
      const end = onChange.call(this, wake);
      listeners++;
      return () => {
        listeners--;
        end();
      };
    });
    const { pool, run } = grouped();
    for (const group of ['a', 'a', 'b', 'c']) void run(group);
    const control = new AbortController();
    const left = ['b', 'b', 'c'].map((group) => rejection(pool.execute(() => {}, { group, signal: control.signal })));
    expect(listeners).toBe(3);
    control.abort();
    expect(listeners).toBe(1);
    await Promise.all(left);
    await vi.runAllTimersAsync();
    expect(listeners).toBe(0);
  });

  test('groups that are used once are forgotten when their interval is over', async () => {
    const { pool } = grouped({ perGroup: { rateLimit: { limit: 1, interval: 10 } } });
    // A record is asked at each sweep whether it still counts: how many are asked tells how many there are.
    let asked = 0;
    const { get } = Object.getOwnPropertyDescriptor(RateLimiter.prototype, 'isUnused') as { get: () => boolean };
    vi.spyOn(RateLimiter.prototype, 'isUnused', 'get').mockImplementation(function (this: RateLimiter) {
      asked++;
      return get.call(this);
    });
    const use = (count: number, from: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => pool.execute(() => {}, { group: from + i })));
    for (let i = 0; i < 20_000; i += 500) {
      await use(500, i);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(asked).toBeGreaterThan(15_000);
    // Swept when there are twice as many as were left: each is asked a few times, whatever the number of groups.
    expect(asked).toBeLessThan(60_000);
    asked = 0;
    await use(2_500, 20_000);
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThan(6_000);
    expect(vi.getTimerCount()).toBe(0);
  });
});
