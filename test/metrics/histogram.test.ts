import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { DurationHistogram, summarize } from '../../src/metrics/histogram.js';
import { property } from '../support/runs.js';

const ZERO = { samples: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 };
const MINUTE = 60_000;
const THREE_DAYS = 2 ** 28;

/** The least value at or below which a share `q` of all lies: nearest rank. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] as number;
}

function expectClose(actual: number, exact: number, what: string): void {
  // The first bucket, up to a microsecond, stands for 0.
  const tolerance = Math.max(0.02 * exact, (33 / 32) * 2 ** -10);
  expect(Math.abs(actual - exact), `${what}: ${actual} for ${exact}`).toBeLessThanOrEqual(tolerance);
}

const duration = fc.oneof(
  fc.double({ min: 0, max: 10, noNaN: true }),
  fc.double({ min: 2 ** -10, max: THREE_DAYS, noNaN: true }),
  // Spread over the octaves, borders included.
  fc.tuple(fc.integer({ min: -10, max: 27 }), fc.double({ min: 1, max: 2, noNaN: true })).map(([e, m]) => m * 2 ** e),
  fc.constantFrom(0, 1, 2 ** -10, 1_000, THREE_DAYS),
);

describe('a histogram of durations', () => {
  property([fc.array(duration, { minLength: 1, maxLength: 400, size: 'max' })])(
    'gives quantiles within 2 % of the exact ones, and count, mean and maximum exactly',
    (values) => {
      const histogram = new DurationHistogram(0);
      for (const value of values) histogram.add(value, 0);
      const { samples, mean, p50, p90, p99, max } = histogram.summary(0);
      expect(samples).toBe(values.length);
      expect(max).toBe(Math.max(...values));
      expect(mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 3);
      expectClose(p50, quantile(values, 0.5), 'p50');
      expectClose(p90, quantile(values, 0.9), 'p90');
      expectClose(p99, quantile(values, 0.99), 'p99');
    },
  );

  property([
    fc.array(fc.tuple(duration, fc.integer({ min: 1, max: 16 })), { minLength: 1, maxLength: 100, size: 'max' }),
  ])('counts a value of weight n as n values', (weighted) => {
    const histogram = new DurationHistogram(0);
    for (const [value, weight] of weighted) histogram.add(value, 0, weight);
    const all = weighted.flatMap(([value, weight]) => new Array<number>(weight).fill(value));
    const { samples, mean, p50, p90, p99 } = histogram.summary(0);
    expect(samples).toBe(weighted.length);
    expectClose(mean, all.reduce((sum, value) => sum + value, 0) / all.length, 'mean');
    expectClose(p50, quantile(all, 0.5), 'p50');
    expectClose(p90, quantile(all, 0.9), 'p90');
    expectClose(p99, quantile(all, 0.99), 'p99');
  });

  // MET-08 (client_js#142): without rotation the p99 of an hour ago stays for ever.
  property([
    fc.array(fc.tuple(fc.integer({ min: 0, max: 90_000 }), fc.double({ min: 1, max: 1_000, noNaN: true })), {
      maxLength: 60,
      size: 'max',
    }),
  ])('covers the last minute and at most the last two, whenever it is written and read', (steps) => {
    const histogram = new DurationHistogram(0);
    const added: { at: number; value: number }[] = [];
    let time = 0;
    for (const [step, value] of steps) {
      time += step;
      histogram.add(value, time);
      added.push({ at: time, value });
      const { samples, max } = histogram.summary(time);
      const within = (age: number) => added.filter(({ at }) => time - at < age);
      expect(samples).toBeGreaterThanOrEqual(within(MINUTE).length);
      expect(samples).toBeLessThanOrEqual(within(2 * MINUTE).length);
      expect(max).toBeGreaterThanOrEqual(Math.max(...within(MINUTE).map((each) => each.value)));
    }
    expect(histogram.summary(time + 2 * MINUTE)).toEqual(ZERO);
  });

  test('forgets in two steps, without a timer', () => {
    const histogram = new DurationHistogram(1_000);
    histogram.add(500, 1_000);
    histogram.add(10, 1_000 + MINUTE);
    expect(histogram.summary(1_000 + MINUTE)).toMatchObject({ samples: 2, max: 500 });
    expect(histogram.summary(1_000 + 2 * MINUTE - 1)).toMatchObject({ samples: 2 });
    expect(histogram.summary(1_000 + 2 * MINUTE)).toMatchObject({ samples: 1, max: 10 });
    expect(histogram.summary(1_000 + 3 * MINUTE)).toEqual(ZERO);
  });

  test('forgets all at once after two quiet minutes', () => {
    const histogram = new DurationHistogram(0);
    histogram.add(500, 0);
    expect(histogram.summary(2 * MINUTE)).toEqual(ZERO);
    histogram.add(5, 2 * MINUTE);
    expect(histogram.summary(2 * MINUTE)).toMatchObject({ samples: 1, max: 5 });
  });

  // MET-14: a clock that goes back, or stands still.
  test('stays whole when the clock goes back, and rotates when it has caught up', () => {
    const histogram = new DurationHistogram(100_000);
    histogram.add(1, 100_000);
    histogram.add(2, 5_000);
    histogram.add(3, -1e9);
    expect(histogram.summary(0)).toMatchObject({ samples: 3, max: 3 });
    expect(histogram.summary(100_000 + 2 * MINUTE)).toEqual(ZERO);
    histogram.add(4, 0);
    expect(histogram.summary(0)).toMatchObject({ samples: 1, p50: 4, max: 4 });
  });

  // MET-10 (sketches-js), MET-11 (perf_hooks, HdrHistogram#147): what no duration should be, and some time is.
  test.each([
    [Number.NaN, 0, 0],
    [0, 1, 0],
    [-0, 1, 0],
    [-5, 1, 0],
    [Number.NEGATIVE_INFINITY, 1, 0],
    [Number.MIN_VALUE, 1, 0],
    [1e-300, 1, 0],
    [2 ** -10, 1, 2 ** -10],
    [1.7, 1, 1.7],
    [THREE_DAYS, 1, THREE_DAYS],
    [2 ** 53, 1, THREE_DAYS],
    [Number.MAX_VALUE, 1, THREE_DAYS],
    [Number.POSITIVE_INFINITY, 1, THREE_DAYS],
  ])('takes %d without throwing, as %i sample of about %d, and stays safe for JSON', (value, samples, expected) => {
    const histogram = new DurationHistogram(0);
    histogram.add(value, 0);
    const summary = histogram.summary(0);
    expect(summary.samples).toBe(samples);
    for (const field of [summary.mean, summary.p50, summary.p99, summary.max]) expectClose(field, expected, `${value}`);
    for (const field of Object.values(summary)) expect(Number.isFinite(field)).toBe(true);
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });

  test('NaN does not spoil what is there', () => {
    const histogram = new DurationHistogram(0);
    histogram.add(10, 0);
    histogram.add(Number.NaN, 0);
    expect(histogram.summary(0)).toMatchObject({ samples: 1, mean: 10, max: 10 });
  });

  test('no quantile exceeds the maximum, and they rise', () => {
    const histogram = new DurationHistogram(0);
    for (let i = 1; i <= 1_000; i++) histogram.add(i, 0);
    const { p50, p90, p99, max } = histogram.summary(0);
    expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].sort((a, b) => a - b));
    const one = new DurationHistogram(0);
    one.add(1.001, 0);
    expect(one.summary(0)).toMatchObject({ p50: 1.001, p99: 1.001, max: 1.001 });
  });

  test('makes no array while it works, over years of values', () => {
    const histogram = new DurationHistogram(0);
    const made = vi.spyOn(Uint32Array.prototype, 'fill');
    const arrays = vi.fn();
    const Real = Uint32Array;
    vi.stubGlobal(
      'Uint32Array',
      new Proxy(Real, {
        construct(target, args) {
          arrays();
          return Reflect.construct(target, args) as object;
        },
      }),
    );
    for (let i = 0; i < 100_000; i++) histogram.add((i * 7_919) % 1e6, i * 1_000);
    expect(histogram.summary(1e8).samples).toBeGreaterThan(0);
    vi.unstubAllGlobals();
    expect(arrays).not.toHaveBeenCalled();
    // It did rotate: old generations were emptied to be used again.
    expect(made.mock.calls.length).toBeGreaterThan(100);
    made.mockRestore();
  });
});

test('the summary of a histogram that was never made is all zero', () => {
  expect(summarize(undefined, 5)).toEqual(ZERO);
  const histogram = new DurationHistogram(0);
  histogram.add(5, 0);
  expect(summarize(histogram, 0)).toEqual(histogram.summary(0));
});
