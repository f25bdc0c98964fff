import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RateWindow } from '../../src/limits/rate-window.js';
import { property } from '../support/runs.js';

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

/** The same by a list of all starts, and nothing ever forgotten. */
class NaiveWindow {
  readonly starts: { at: number; units: number }[] = [];
  readonly reserved: number[] = [];

  constructor(
    readonly limit: number,
    readonly interval: number,
  ) {}

  used(time: number): number {
    let used = 0;
    for (const { at, units } of this.starts) if (at + this.interval > time) used += units;
    return used;
  }

  freeAt(units: number, time: number): number {
    if (units === 0) return time;
    const moments = [time, ...this.starts.map(({ at }) => at + this.interval).filter((end) => end > time)];
    const fits = (at: number) => this.used(at) + sum(this.reserved) + units <= this.limit;
    return Math.min(...moments.filter(fits));
  }

  isIdle(time: number): boolean {
    return (
      this.reserved.length === 0 && this.starts.every(({ at, units }) => at + this.interval <= time || units === 0)
    );
  }
}

const kind = fc.constantFrom('reserve', 'reserve', 'reserve', 'start', 'start', 'cancel', 'charge', 'advance');
const commands = fc.array(fc.tuple(kind, fc.nat({ max: 1_000 })), { maxLength: 150, size: 'max' });

/** Calls and costs; eighths of a unit and of a ms, so that every sum is exact. */
const shape = fc.record({
  limit: fc.integer({ min: 1, max: 40 }),
  interval: fc.integer({ min: 1, max: 200 }).map((n) => n / 8),
  units: fc.constantFrom('calls', 'cost', 'fractions'),
});

describe('the window of a rate', () => {
  property([shape, commands])('is that of a list of all starts', ({ limit, interval, units }, list) => {
    const window = new RateWindow(limit, interval);
    const naive = new NaiveWindow(limit, interval);
    const size = (n: number) =>
      units === 'calls' ? 1 : units === 'cost' ? n % (limit + 1) : (n % (8 * limit + 1)) / 8;
    let time = 1_000;
    for (const [what, n] of list) {
      const place = n % Math.max(naive.reserved.length, 1);
      const cost = size(n);
      if (what === 'advance') {
        time += (n % 64) / 8;
      } else if (what === 'charge') {
        window.charge(cost * (n % 3), time);
        naive.starts.push({ at: time, units: cost * (n % 3) });
      } else if (what === 'reserve') {
        const freeAt = window.freeAt(cost, time);
        expect(freeAt).toBe(naive.freeAt(cost, time));
        if (freeAt > time) continue;
        window.reserve(cost);
        naive.reserved.push(cost);
      } else if (naive.reserved.length > 0) {
        const [given] = naive.reserved.splice(place, 1) as [number];
        if (what === 'cancel') {
          window.cancel(given);
        } else {
          window.start(given, time);
          naive.starts.push({ at: time, units: given });
        }
      }
      expect(window.reserved).toBe(sum(naive.reserved));
    }
    expect(window.isIdle(time)).toBe(naive.isIdle(time));
  });

  property([
    fc.integer({ min: 1, max: 5 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 100, maxLength: 300, size: 'max' }),
  ])('never has more than the limit of any fractions, and nothing of them is left at the end', (limit, costs) => {
    const window = new RateWindow(limit, 10);
    const starts: { at: number; units: number }[] = [];
    let time = 0;
    for (const cost of costs) {
      const freeAt = window.freeAt(cost, time);
      expect(freeAt).toBeLessThan(Number.POSITIVE_INFINITY);
      time = Math.max(time, freeAt) + cost / 3;
      window.reserve(cost);
      window.start(cost, time);
      starts.push({ at: time, units: cost });
      const inWindow = starts.filter(({ at }) => at + 10 > time).map(({ units }) => units);
      expect(sum(inWindow)).toBeLessThanOrEqual(limit + 1e-9);
    }
    expect(window.isIdle(time + 10)).toBe(true);
    expect(window.freeAt(limit, time + 10)).toBe(time + 10);
  });

  test('a million tenths leave nothing behind while the window is never empty', () => {
    const window = new RateWindow(1, 10);
    let time = 0;
    for (let i = 0; i < 1_000_000; i++) {
      time += 2;
      window.reserve(0.1);
      window.start(0.1, time);
    }
    // Five of them count: a half is free, to the last bits.
    expect(window.freeAt(0.5 - 1e-13, time)).toBe(time);
    expect(window.freeAt(0.5 + 1e-13, time)).toBeGreaterThan(time);
  });

  test('tenths that are reserved and given back or started in turns leave nothing behind', () => {
    const window = new RateWindow(1, 10);
    for (let i = 0; i < 1_000; i++) {
      for (const cost of [0.1, 0.2, 0.3]) window.reserve(cost);
      for (const cost of [0.1, 0.2, 0.3]) window.cancel(cost);
    }
    expect([window.reserved, window.freeAt(1, 0), window.isIdle(0)]).toEqual([0, 0, true]);
  });

  test('a charge of any size keeps others waiting for one interval, and costs the small numbers nothing', () => {
    const window = new RateWindow(10, 100);
    window.charge(Number.MAX_VALUE, 0);
    window.charge(Number.MAX_VALUE, 0);
    for (let i = 0; i < 8; i++) window.charge(1, 50);
    expect(window.freeAt(1, 50)).toBe(100);
    expect(window.freeAt(3, 100)).toBe(150);
    expect(window.freeAt(2, 100)).toBe(100);
  });

  test('0 units have room always and keep nobody waiting', () => {
    const window = new RateWindow(1, 100);
    window.reserve(1);
    expect(window.freeAt(0, 5)).toBe(5);
    window.reserve(0);
    window.start(0, 5);
    window.cancel(1);
    expect(window.isIdle(5)).toBe(true);
  });

  test('says NEVER of what takes places that did not start, and when if it does not', () => {
    const window = new RateWindow(3, 100);
    window.charge(1, 0);
    window.reserve(1);
    expect([1, 2, 3].map((units) => window.freeAt(units, 10))).toEqual([10, 100, Number.POSITIVE_INFINITY]);
    expect(window.freeAt(3, 10, 0)).toBe(100);
  });

  // POOL-25, and any product of an interval and a start that is no whole number.
  test.each([0.1, 0.7, 1 / 3, 1e-3, 123_456.789])(
    'a start exactly %d ms after another is not in its window',
    (interval) => {
      for (const first of [0, 0.1, 1 / 3, 98_765.4321]) {
        const window = new RateWindow(1, interval);
        window.charge(1, first);
        expect(window.freeAt(1, first)).toBe(first + interval);
        expect(window.freeAt(1, first + interval)).toBe(first + interval);
      }
    },
  );

  test('looks up the wait among a hundred thousand starts', () => {
    const limit = 100_000;
    const window = new RateWindow(limit, limit);
    for (let at = 0; at < limit; at++) window.charge(1, at);
    const begin = performance.now();
    let wrong = 0;
    for (let units = 1; units <= limit; units++) if (window.freeAt(units, limit - 1) !== limit + units - 1) wrong++;
    expect(wrong).toBe(0);
    expect(performance.now() - begin).toBeLessThan(2_000);
  });
});
