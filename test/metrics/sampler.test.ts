import * as fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Sampler } from '../../src/metrics/sampler.js';
import { property } from '../support/runs.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Calls at the given times; which were timed, and with what weight. */
function sample(sampler: Sampler, times: Iterable<number>): { timed: number[]; weights: number[]; calls: number } {
  const timed: number[] = [];
  const weights: number[] = [];
  let calls = 0;
  for (const time of times) {
    calls++;
    if (!sampler.next()) continue;
    timed.push(time);
    weights.push(sampler.weight(time));
  }
  return { timed, weights, calls };
}

function* rate(perSecond: number, ms: number, from = 0): Generator<number> {
  const count = Math.floor((perSecond * ms) / 1_000);
  for (let i = 0; i < count; i++) yield from + (i * ms) / count;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('the sampler', () => {
  property([fc.integer({ min: 1, max: 9_900 })])('times every call up to 10,000 a second', (perSecond) => {
    const { timed, weights, calls } = sample(new Sampler(), rate(perSecond, 2_000));
    expect(timed).toHaveLength(calls);
    expect(weights.every((weight) => weight === 1)).toBe(true);
  });

  test.each([50_000, 200_000, 1_000_000])(
    'at %d a second times the first of each window, then about one in sixteen',
    (perSecond) => {
      const seconds = 4;
      const { timed, calls } = sample(new Sampler(), rate(perSecond, seconds * 1_000));
      const full = 10_000 * seconds;
      const expected = full + (calls - full) / 16;
      expect(timed.length / expected).toBeGreaterThan(0.9);
      expect(timed.length / expected).toBeLessThan(1.1);
    },
  );

  test.each([20_000, 200_000, 1_000_000])('at %d a second its weights add up to the calls there were', (perSecond) => {
    const { weights, calls } = sample(new Sampler(), rate(perSecond, 5_000));
    expect(sum(weights) / calls).toBeGreaterThan(0.95);
    expect(sum(weights) / calls).toBeLessThan(1.05);
  });

  test('weights leave quantiles unbiased: a rhythm in the work does not hide', () => {
    // Every 16th call is slow: a fixed stride of 16 would see all of them, or none.
    for (const offset of [0, 5, 15]) {
      const sampler = new Sampler();
      let slow = 0;
      let all = 0;
      let i = 0;
      for (const time of rate(500_000, 4_000)) {
        if (sampler.next()) {
          const weight = sampler.weight(time);
          all += weight;
          if (i % 16 === offset) slow += weight;
        }
        i++;
      }
      expect(slow / all).toBeGreaterThan(0.8 / 16);
      expect(slow / all).toBeLessThan(1.2 / 16);
    }
  });

  test('a burst does not blind the calm after it: at most 30 calls later all are timed again', () => {
    const sampler = new Sampler();
    sample(sampler, rate(1_000_000, 100));
    const { timed, weights } = sample(sampler, rate(1_000, 1_000, 1_000));
    expect(timed.length).toBeGreaterThanOrEqual(1_000 - 30);
    expect(weights.every((weight) => weight === 1)).toBe(true);
  });

  test('reads no clock', () => {
    const read = vi.spyOn(performance, 'now');
    sample(new Sampler(), rate(100_000, 1_000));
    expect(read).not.toHaveBeenCalled();
  });

  test('goes on where the clock stands still or steps back', () => {
    const still = sample(new Sampler(), new Array<number>(100_000).fill(5));
    expect(still.timed.length).toBeGreaterThan(1_000 + 99_000 / 16 / 2);
    const back = new Sampler();
    sample(back, rate(100_000, 1_000, 1e6));
    expect(sample(back, rate(100, 1_000)).timed.length).toBeGreaterThan(0);
  });
});
