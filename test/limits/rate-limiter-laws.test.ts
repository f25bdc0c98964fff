import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Permit } from '../../src/core/permit.js';
import { RateLimiter } from '../../src/limits/rate-limiter.js';
import { property } from '../support/runs.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

interface Start {
  readonly id: number;
  readonly at: number;
  readonly units: number;
}

/** The most units that started in any window of `interval`, by looking at all of them. */
function densest(starts: readonly Start[], interval: number): number {
  const windows = starts.map(({ at: last }) => starts.filter(({ at }) => at <= last && at > last - interval));
  return Math.max(0, ...windows.map((inside) => sum(inside.map(({ units }) => units))));
}

const shape = fc.record({
  limit: fc.integer({ min: 1, max: 6 }),
  interval: fc.integer({ min: 1, max: 50 }),
  counts: fc.constantFrom('calls' as const, 'cost' as const),
});

/** What a limiter does, ms by ms: each looks at a list of everything that ever started. */
class NaiveLimiter {
  readonly starts: Start[] = [];
  readonly charges: Start[] = [];
  waiting: { readonly id: number; readonly units: number }[] = [];
  time = 0;
  pausedUntil = 0;

  constructor(
    readonly limit: number,
    readonly interval: number,
  ) {}

  serve(): void {
    const counted = () =>
      [...this.starts, ...this.charges].filter(({ at }) => at > this.time - this.interval).map(({ units }) => units);
    while (this.time >= this.pausedUntil) {
      const head = this.waiting[0];
      if (head === undefined || (head.units > 0 && sum(counted()) + head.units > this.limit)) return;
      this.waiting.shift();
      this.starts.push({ ...head, at: this.time });
    }
  }
}

describe('a rate limiter', () => {
  const commands = fc.array(
    fc.record({
      what: fc.constantFrom('acquire', 'acquire', 'acquire', 'abort', 'charge', 'pause', 'advance', 'advance'),
      n: fc.nat({ max: 60 }),
    }),
    { maxLength: 60, size: 'max' },
  );

  property([shape, commands])(
    'starts each at the very ms at which a list of all starts lets the first of a line start',
    async ({ limit, interval, counts }, list) => {
      const limiter = new RateLimiter({ limit, interval, counts });
      const naive = new NaiveLimiter(limit, interval);
      const begin = performance.now();
      const starts: Start[] = [];
      const aborts = new Map<number, AbortController>();
      // Everybody who waits has had a turn long before the last of it.
      for (const { what, n } of [...list, { what: 'advance', n: 5_000 } as const]) {
        const cost = n % (limit + 1);
        if (what === 'acquire') {
          const id = aborts.size;
          const units = counts === 'calls' ? 1 : cost;
          const controller = new AbortController();
          aborts.set(id, controller);
          limiter.acquire({ cost, signal: controller.signal }).then(
            (permit) => {
              permit.started();
              starts.push({ id, units, at: performance.now() - begin });
            },
            () => {},
          );
          naive.waiting.push({ id, units });
        } else if (what === 'abort' && aborts.size > 0) {
          const id = n % aborts.size;
          aborts.get(id)?.abort();
          naive.waiting = naive.waiting.filter((each) => each.id !== id);
        } else if (what === 'charge') {
          limiter.charge(3 * cost);
          naive.charges.push({ id: -1, units: 3 * cost, at: naive.time });
        } else if (what === 'pause') {
          limiter.pauseFor(n % 40);
          naive.pausedUntil = Math.max(naive.pausedUntil, naive.time + (n % 40));
        }
        naive.serve();
        const step = what === 'advance' ? n : 0;
        for (let i = 0; i < step; i++) {
          naive.time++;
          naive.serve();
        }
        await vi.advanceTimersByTimeAsync(step);
        expect(starts).toEqual(naive.starts);
        expect(limiter.getMetrics().waiting).toBe(naive.waiting.length);
        expect(vi.getTimerCount()).toBe(naive.waiting.length > 0 ? 1 : 0);
      }
    },
  );

  const acts = fc.array(
    fc.record({
      what: fc.constantFrom(
        'acquire',
        'acquire',
        'try',
        'try',
        'start',
        'start',
        'release',
        'abort',
        'pause',
        'advance',
      ),
      n: fc.nat({ max: 1_000 }),
    }),
    { maxLength: 80, size: 'max' },
  );

  property([shape, acts])(
    'has no window with more than the limit, whoever starts late, gives back, leaves or pauses, and serves all in the end',
    async ({ limit, interval, counts }, list) => {
      const limiter = new RateLimiter({ limit, interval, counts });
      const starts: Start[] = [];
      const held: { readonly permit: Permit; readonly units: number }[] = [];
      const given: number[] = [];
      const controllers: AbortController[] = [];
      let settled = 0;
      let woken = true;
      limiter.onChange(() => {
        woken = true;
      });
      const startOf = ({ permit, units }: { permit: Permit; units: number }) => {
        permit.started();
        starts.push({ id: 0, units, at: performance.now() });
      };
      for (const { what, n } of list) {
        const cost = n % (limit + 1);
        const units = counts === 'calls' ? 1 : cost;
        const [one] = what === 'start' || what === 'release' ? held.splice(n % Math.max(held.length, 1), 1) : [];
        if (what === 'acquire') {
          const controller = new AbortController();
          const id = controllers.push(controller);
          limiter
            .acquire({ cost, signal: controller.signal })
            .then(
              (permit) => {
                held.push({ permit, units });
                given.push(id);
              },
              () => {},
            )
            .finally(() => settled++);
        } else if (what === 'try') {
          const answer = limiter.tryAcquire({ cost });
          if (limiter.getMetrics().waiting > 0) expect(answer).toBe(Number.POSITIVE_INFINITY);
          if (typeof answer === 'number') expect(answer).toBeGreaterThan(0);
          else held.push({ permit: answer as Permit, units });
          if (answer === Number.POSITIVE_INFINITY) woken = false;
        } else if (what === 'start' && one !== undefined) startOf(one);
        else if (what === 'release' && one !== undefined) {
          one.permit.release();
          one.permit.started();
        } else if (what === 'abort') controllers[n % Math.max(controllers.length, 1)]?.abort();
        else if (what === 'pause') limiter.pauseFor(n % 30);
        await vi.advanceTimersByTimeAsync(what === 'advance' ? n % 40 : 0);
      }
      for (let rounds = 0; settled < controllers.length || held.length > 0; rounds++) {
        expect(rounds).toBeLessThan(1_000);
        for (const each of held.splice(0)) startOf(each);
        await vi.advanceTimersByTimeAsync(interval);
      }
      expect(densest(starts, interval)).toBeLessThanOrEqual(limit);
      expect(given).toEqual([...given].sort((a, b) => a - b));
      // Who was told that it depends on others has been told when it did no more.
      expect(woken).toBe(true);
      await vi.advanceTimersByTimeAsync(interval + 30);
      expect([limiter.isUnused, limiter.getMetrics().waiting, vi.getTimerCount()]).toEqual([true, 0, 0]);
    },
  );

  property([
    fc.integer({ min: 1, max: 30 }),
    fc.integer({ min: 200, max: 2_000 }),
    fc.integer({ min: 1, max: 5 }),
    fc.infiniteStream(fc.integer({ min: -2, max: 3 })),
  ])(
    'takes the ideal time and 2 percent, and never less, with timers that fire early and late',
    async (limit, interval, rounds, jitter) => {
      jitterTimers(() => jitter.next().value as number);
      const limiter = new RateLimiter({ limit, interval });
      const starts: Start[] = [];
      const calls = Array.from({ length: limit * rounds + 1 }, async (_, id) => {
        (await limiter.acquire()).started();
        starts.push({ id, units: 1, at: performance.now() });
      });
      const begin = performance.now();
      await vi.runAllTimersAsync();
      await Promise.all(calls);
      expect(densest(starts, interval)).toBeLessThanOrEqual(limit);
      const took = (starts.at(-1) as Start).at - begin;
      expect(took).toBeGreaterThanOrEqual(rounds * interval);
      expect(took).toBeLessThanOrEqual(rounds * interval * 1.02 + 1);
      expect(starts.map(({ id }) => id)).toEqual(calls.map((_, id) => id));
    },
  );

  // More than the 2 ms that timers of Node may be early: the clock is believed, as long as it moves.
  test('a timer that fires half a second early starts nothing early', async () => {
    jitterTimers(() => -500);
    const limiter = new RateLimiter({ limit: 2, interval: 2_000 });
    const starts: Start[] = [];
    for (let id = 0; id < 7; id++) {
      void limiter.acquire().then((permit) => {
        permit.started();
        starts.push({ id, units: 1, at: performance.now() });
      });
    }
    // The shortest of them fire at once: as the clock would, somebody has to move on.
    for (let i = 0; i < 1_000; i++) await vi.advanceTimersByTimeAsync(10);
    expect(densest(starts, 2_000)).toBe(2);
  });
});

/** Each timer fires so many ms later than asked for; below 0 earlier, but after 1 ms at least, as on Node. */
function jitterTimers(next: () => number): void {
  const set = globalThis.setTimeout;
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((callback: () => void, delay: number) =>
    set(callback, Math.max(delay + next(), 1))) as never);
}
