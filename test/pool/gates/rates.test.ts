import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RateLimiter } from '../../../src/limits/rate-limiter.js';
import { type ExecuteOptions, PromisePool, type PromisePoolOptions } from '../../../src/pool/index.js';
import { property } from '../../support/runs.js';
import { expectWindows, later, logged, type Start, watchListeners } from '../gates-support.js';
import { deferred, expectIdentity, rejection, turns } from '../support.js';

/** The pool, and when its tasks were entered. */
function observed(options: PromisePoolOptions) {
  const pool = new PromisePool(options);
  const starts: (Start & { readonly id: unknown })[] = [];
  const run = (id: unknown, given?: ExecuteOptions, ms = 0) =>
    pool.execute(() => {
      starts.push({ at: performance.now(), units: given?.cost ?? 1, id });
      return ms === 0 ? undefined : later(ms);
    }, given);
  return { pool, starts, run, ids: () => starts.map(({ id }) => id) };
}

describe('the rate limits of a pool', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    // In this order: a timer that was spied on is a fake one.
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  // POOL-25 p-queue#126, POOL-26 p-throttle: caps exceeded at edges and with late timers; POOL-79: steps of the wall clock.
  const event = fc.record({
    gap: fc.nat({ max: 300 }),
    tasks: fc.nat({ max: 8 }),
    ms: fc.nat({ max: 80 }),
    resize: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    jump: fc.constantFrom(0, 0, 3_600_000, -3_600_000),
  });
  property([
    fc.array(event, { maxLength: 12 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 200 }),
    fc.option(fc.nat({ max: 150 }), { nil: undefined }),
    fc.nat({ max: 30 }),
  ])(
    'no window has more starts than the limit: with a slow gate behind it, late timers, jumps of the wall clock, idle gaps and resizes',
    async (events, limit, interval, gateMs, lateness) => {
      // Timers that fire late, each by something else.
      const { setTimeout: onTime } = globalThis;
      let armed = 0;
      vi.spyOn(globalThis, 'setTimeout').mockImplementation(((call: () => void, ms: number) =>
        onTime(call, ms + ((armed++ * 7) % (lateness + 1)))) as typeof setTimeout);
      const gate = { acquire: async () => later((gateMs ?? 0) * ((armed % 3) / 2)).then(() => logged([])) };
      const { pool, starts, run } = observed({
        concurrency: 3,
        rateLimit: { limit, interval },
        gates: gateMs === undefined ? [] : [gate],
      });
      const all: Promise<unknown>[] = [];
      for (const { gap, tasks, ms, resize, jump } of events) {
        if (resize !== undefined) pool.concurrency = resize;
        if (jump !== 0) vi.setSystemTime(Date.now() + jump);
        for (let i = 0; i < tasks; i++) all.push(run(i, {}, ms));
        await vi.advanceTimersByTimeAsync(gap);
        expectIdentity(pool);
      }
      await vi.runAllTimersAsync();
      await Promise.all(all);
      expect(starts.length).toBe(all.length);
      expectWindows(starts, limit, interval);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  property([
    fc.array(fc.record({ cost: fc.nat({ max: 10 }), gap: fc.nat({ max: 60 }) }), { maxLength: 40 }),
    fc.integer({ min: 1, max: 5 }),
  ])('several limits hold at once, and the order is that of the submissions', async (tasks, limit) => {
    const { starts, run, ids } = observed({
      concurrency: 4,
      rateLimit: [
        { limit, interval: 100 },
        { limit: 10, interval: 170, counts: 'cost' },
      ],
    });
    const all: Promise<unknown>[] = [];
    for (const [i, { cost, gap }] of tasks.entries()) {
      all.push(run(i, { cost }));
      await vi.advanceTimersByTimeAsync(gap);
    }
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(ids()).toEqual(tasks.map((_, i) => i));
    expectWindows(
      starts.map(({ at }) => ({ at, units: 1 })),
      limit,
      100,
    );
    expectWindows(starts, 10, 170);
  });

  test('a long queue takes the ideal time, within 2 %', async () => {
    const { starts, run } = observed({ concurrency: 100, rateLimit: { limit: 10, interval: 100 } });
    const begin = performance.now();
    const all = Array.from({ length: 1_000 }, (_, i) => run(i, {}, 30));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expectWindows(starts, 10, 100);
    const took = (starts.at(-1) as Start).at - begin;
    expect(took).toBeGreaterThanOrEqual(9_900);
    expect(took).toBeLessThanOrEqual(9_900 * 1.02);
  });

  // POOL-77 p-queue#251: after an idle time the next window came late.
  test('after an idle time the next task starts at once', async () => {
    const { run, ids, pool } = observed({ concurrency: 1, rateLimit: { limit: 1, interval: 100 } });
    await run('a');
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(250);
    void run('b');
    expect(ids()).toEqual(['a', 'b']);
    void run('c');
    await vi.advanceTimersByTimeAsync(99);
    expect(ids()).toEqual(['a', 'b']);
    expect(pool).toMatchObject({ running: 0, queued: 1 });
    await vi.advanceTimersByTimeAsync(1);
    expect(ids()).toEqual(['a', 'b', 'c']);
  });

  test('the head that waits for its rate stays the head: neither newcomers nor higher priorities nor maps pass by', async () => {
    const { pool, run, ids } = observed({
      concurrency: 5,
      rateLimit: { limit: 10, interval: 100, counts: 'cost' },
    });
    await run('first', { cost: 6 });
    void run('large', { cost: 9, priority: 'low' });
    void run('small', { cost: 1, priority: 'high' });
    void run('other group', { cost: 1, group: 'g', priority: 'high' });
    const items = pool.map(['item'], () => {}, { cost: 1, priority: 'high' });
    expect(pool.tryAcquire({ cost: 1 })).toBe(Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(99);
    expect(ids()).toEqual(['first']);
    await vi.advanceTimersByTimeAsync(1);
    expect(ids()).toEqual(['first', 'large', 'small']);
    await vi.runAllTimersAsync();
    await items;
    expect(ids()).toEqual(['first', 'large', 'small', 'other group']);
  });

  test('a limit is asked for the head only', async () => {
    const limiter = new RateLimiter({ limit: 1, interval: 100 });
    const asked = vi.spyOn(limiter, 'tryPlace');
    const { run } = observed({ concurrency: 5, rateLimit: limiter });
    void run(0, { group: 'first' });
    for (let i = 1; i < 5; i++) void run(i, { group: `behind ${i}`, priority: 'high' });
    expect(new Set(asked.mock.calls.map(([request]) => request?.group))).toEqual(new Set(['first', 'behind 1']));
  });

  // POOL-35 p-queue#219: aborted waiters still consumed the rate.
  test('ten who leave while they wait cost no place: the eleventh starts in this window', async () => {
    const { run, ids, pool } = observed({ concurrency: 20, rateLimit: { limit: 2, interval: 100 } });
    void run('a');
    await vi.advanceTimersByTimeAsync(50);
    void run('b');
    const control = new AbortController();
    const left = Array.from({ length: 10 }, (_, i) => rejection(run(i, { signal: control.signal })));
    void run('eleventh');
    await vi.advanceTimersByTimeAsync(10);
    control.abort('left');
    expect(await Promise.all(left)).toEqual(Array(10).fill('left'));
    await vi.advanceTimersByTimeAsync(40);
    expect(ids()).toEqual(['a', 'b', 'eleventh']);
    expect(pool.getMetrics()).toMatchObject({ aborted: 10, queued: 0 });
  });

  test.each(['abort', 'queueTimeout', 'clear', 'abort of a map', 'a failing sibling in the map'])(
    '%s of the head lets the next one go in the same turn',
    async (how) => {
      const { pool, run, ids } = observed({ concurrency: 5, rateLimit: { limit: 10, interval: 100, counts: 'cost' } });
      await run('first', { cost: 5 });
      const control = new AbortController();
      const failing = deferred();
      let left: Promise<unknown>;
      if (how === 'abort of a map') {
        left = rejection(pool.map(['large'], () => {}, { cost: 9, signal: control.signal }));
      } else if (how === 'a failing sibling in the map') {
        const work = (item: string) => (item === 'small' ? failing.promise : undefined);
        left = rejection(pool.map(['small', 'large'], work, { cost: (item) => (item === 'small' ? 1 : 9) }));
      } else {
        const queueTimeout = how === 'queueTimeout' ? 20 : undefined;
        left = rejection(run('large', { cost: 9, signal: control.signal, queueTimeout }));
      }
      const next =
        how === 'clear' ? pool.map(['next'], (id) => run(id, { cost: 0 }), { cost: 1 }) : run('next', { cost: 1 });
      await vi.advanceTimersByTimeAsync(19);
      expect(ids()).toEqual(['first']);
      if (how === 'clear') pool.clear();
      else if (how === 'queueTimeout') vi.advanceTimersByTime(1);
      else if (how === 'a failing sibling in the map') failing.reject(new Error('small'));
      else control.abort();
      if (how === 'a failing sibling in the map') await turns(3);
      expect(ids()).toEqual(['first', 'next']);
      await left;
      await next;
      await turns();
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test.each([
    'finished',
    'aborted',
    'cleared',
    'timed out',
    'aborted while paused',
    'queue full',
    'now or never',
    'a map aborted',
  ])('an idle pool holds no timer, and a shared limiter keeps nothing of it: %s', async (how) => {
    const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
    const listeners = watchListeners(limiter);
    const { pool, run } = observed({
      concurrency: 3,
      rateLimit: limiter,
      maxQueue: how === 'queue full' ? 0 : 5,
      perGroup: { rateLimit: { limit: 1, interval: 2_000 } },
    });
    await run('first');
    const control = new AbortController();
    const { signal } = control;
    if (how === 'queue full') {
      await rejection(run('second'));
      await rejection(run('third', { group: 'g' }));
    } else if (how === 'now or never') {
      await rejection(run('second', { queueTimeout: 0 }));
      await rejection(run('third', { group: 'g', queueTimeout: 0 }));
    } else if (how === 'a map aborted') {
      const all = [
        rejection(pool.map([1, 2], () => {}, { signal })),
        rejection(pool.map([1], () => {}, { signal, group: 'g' })),
      ];
      control.abort();
      await Promise.all(all);
    } else {
      const queueTimeout = how === 'timed out' ? 10 : undefined;
      const all = [undefined, 'g', undefined].map((group) =>
        run('waits', { group, signal, queueTimeout }).catch(() => 'gone'),
      );
      if (how === 'aborted while paused') pool.pause();
      if (how.startsWith('aborted')) control.abort();
      else if (how === 'cleared') pool.clear();
      else if (how === 'timed out') await vi.advanceTimersByTimeAsync(10);
      else await vi.advanceTimersByTimeAsync(9_000);
      if (how === 'aborted while paused') pool.resume();
      await Promise.all(all);
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(listeners()).toBe(0);
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
    expectIdentity(pool);
  });

  test('two pools share one limiter and its window, and none starves', async () => {
    const limiter = new RateLimiter({ limit: 2, interval: 100 });
    const one = observed({ concurrency: 5, rateLimit: limiter });
    const two = observed({ concurrency: 5, rateLimit: limiter });
    const all = [one, two].flatMap(({ run }) => Array.from({ length: 10 }, (_, i) => run(i)));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expectWindows(
      [...one.starts, ...two.starts].sort((a, b) => a.at - b.at),
      2,
      100,
    );
    expect(performance.now()).toBeLessThanOrEqual(1_000 * 1.02);
  });

  test('a place that a slow gate reserves counts until the task starts or leaves', async () => {
    const answers: (() => void)[] = [];
    const gate = {
      acquire: () => new Promise<ReturnType<typeof logged>>((yes) => answers.push(() => yes(logged([])))),
    };
    const { pool, starts, run } = observed({ concurrency: 9, rateLimit: { limit: 2, interval: 100 }, gates: [gate] });
    const control = new AbortController();
    const all = [run('a'), run('b', { signal: control.signal }).catch(() => 'left'), run('c'), run('d')];
    expect(answers.length).toBe(2);
    await vi.advanceTimersByTimeAsync(500);
    expect(answers.length).toBe(2);
    control.abort();
    expect(answers.length).toBe(3);
    for (const answer of answers) answer();
    await turns();
    expect(starts.map(({ id, at }) => [id, at - (starts[0] as Start).at])).toEqual([
      ['a', 0],
      ['c', 0],
    ]);
    await vi.advanceTimersByTimeAsync(100);
    expect(answers.length).toBe(4);
    answers[3]?.();
    await Promise.all(all);
    expectWindows(starts, 2, 100);
    expect(pool.queued).toBe(0);
  });

  test('a task that its onStart hook ends is not entered and costs no place', async () => {
    const control = new AbortController();
    const limiter = new RateLimiter({ limit: 1, interval: 100 });
    const { run, ids } = observed({
      concurrency: 1,
      rateLimit: limiter,
      hooks: { onStart: () => control.abort('hook') },
    });
    expect(await rejection(run('a', { signal: control.signal }))).toBe('hook');
    await turns();
    await run('b');
    expect(ids()).toEqual(['b']);
  });
});

describe('a rate limit in real time', () => {
  test('500 tasks at 100 in 100 ms: no window has more, and it takes 400 ms, within 10 %', async () => {
    const pool = new PromisePool({ concurrency: 200, rateLimit: { limit: 100, interval: 100 } });
    const starts: Start[] = [];
    const begin = performance.now();
    const all = Array.from({ length: 500 }, () =>
      pool.execute(() => void starts.push({ at: performance.now(), units: 1 })),
    );
    // What bare timers make of it at the same time: the machine may be busy.
    for (let i = 0; i < 4; i++) await later(100);
    const ideal = performance.now() - begin;
    await Promise.all(all);
    expectWindows(starts, 100, 100);
    const took = (starts.at(-1) as Start).at - begin;
    expect(took).toBeGreaterThanOrEqual(400);
    expect(took).toBeLessThan(ideal * 1.1);
  });
});
