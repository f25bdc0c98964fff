import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RetryBudget } from '../../src/limits/retry-budget.js';
import { property } from '../support/runs.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const time = () => performance.now();

describe('the law of the bucket', () => {
  const steps = fc.array(
    fc.oneof(
      fc.constantFrom('take' as const, 'earn' as const, 'give back' as const),
      fc.nat(5_000).map((ms) => ({ ms })),
    ),
    { maxLength: 60 },
  );
  const options = fc.record({
    ratio: fc.double({ min: 0, max: 3, noNaN: true }),
    burst: fc.double({ min: 0, max: 20, noNaN: true }),
    minPerSecond: fc.double({ min: 0, max: 5, noNaN: true }),
  });

  property([options, steps])('tokens = min(burst, tokens + what was earned) - what was taken', (given, script) => {
    const { ratio, burst, minPerSecond } = given;
    const budget = new RetryBudget(given);
    let model = burst;
    const add = (tokens: number) => {
      model = Math.min(burst, model + tokens);
    };
    for (const step of script) {
      if (step === 'take') {
        const had = model;
        const taken = budget.take(time());
        // Within a billionth of a whole token either answer is right.
        if (Math.abs(had - 1) > 1e-6) expect(taken).toBe(had >= 1);
        if (taken) model = Math.max(0, model - 1);
      } else if (step === 'earn') {
        budget.earn();
        add(ratio);
      } else if (step === 'give back') {
        budget.giveBack();
        add(1);
      } else {
        vi.advanceTimersByTime(step.ms);
        // Second by second, as a naive clock would.
        add((step.ms / 1_000) * minPerSecond);
      }
      expect(budget.tokens).toBeCloseTo(model, 6);
      expect(budget.tokens).toBeGreaterThanOrEqual(0);
      expect(budget.tokens).toBeLessThanOrEqual(burst);
    }
  });

  property([options, fc.array(fc.tuple(fc.boolean(), fc.nat(2_000)), { maxLength: 200 })])(
    'in any stretch, retries are at most burst + ratio * successes + minPerSecond * seconds',
    (given, script) => {
      const budget = new RetryBudget(given);
      let [retries, successes] = [0, 0];
      const begun = time();
      for (const [succeeds, ms] of script) {
        vi.advanceTimersByTime(ms);
        if (succeeds) {
          budget.earn();
          successes++;
        } else if (budget.take(time())) retries++;
        const bound = given.burst + given.ratio * successes + (given.minPerSecond * (time() - begun)) / 1_000;
        expect(retries).toBeLessThanOrEqual(bound + 1e-6);
      }
    },
  );
});

it('starts full: a hundred by default, then one for five successes and one for two seconds', () => {
  const budget = new RetryBudget();
  expect(budget.tokens).toBe(100);
  for (let i = 0; i < 100; i++) expect(budget.take(time())).toBe(true);
  expect(budget.take(time())).toBe(false);
  expect(budget.tokens).toBe(0);
  for (let i = 0; i < 5; i++) budget.earn();
  expect(budget.take(time())).toBe(true);
  expect(budget.take(time())).toBe(false);
  vi.advanceTimersByTime(1_999);
  expect(budget.take(time())).toBe(false);
  vi.advanceTimersByTime(1);
  expect(budget.take(time())).toBe(true);
});

it('ten times 0.1 is a whole token', () => {
  const budget = new RetryBudget({ ratio: 0.1, burst: 1, minPerSecond: 0 });
  expect(budget.take(time())).toBe(true);
  for (let i = 0; i < 9; i++) budget.earn();
  expect(budget.take(time())).toBe(false);
  budget.earn();
  expect(budget.take(time())).toBe(true);
  expect(budget.tokens).toBe(0);
});

it('what time earns is not earned while it is full', () => {
  const budget = new RetryBudget({ burst: 2, minPerSecond: 1 });
  vi.advanceTimersByTime(3_600_000);
  expect([1, 2, 3].map(() => budget.take(time()))).toEqual([true, true, false]);
});

it('of burst 0 allows no retry; of 0 per success and second none after the first ones', () => {
  expect(new RetryBudget({ burst: 0 }).take(time())).toBe(false);
  const budget = new RetryBudget({ burst: 1, ratio: 0, minPerSecond: 0 });
  expect(budget.take(time())).toBe(true);
  budget.earn();
  vi.advanceTimersByTime(1e9);
  expect(budget.take(time())).toBe(false);
});

it('a clock that is set back takes nothing, and earns from there', () => {
  const budget = new RetryBudget({ burst: 1, minPerSecond: 1 });
  expect(budget.take(10_000)).toBe(true);
  expect(budget.take(500)).toBe(false);
  expect(budget.take(1_500)).toBe(true);
});

it('reads no clock when it is made, and none for a success', () => {
  const read = vi.spyOn(performance, 'now');
  new RetryBudget().earn();
  expect(read).not.toHaveBeenCalled();
  read.mockRestore();
});

describe('options', () => {
  it.each([
    [{ ratio: -1 }, RangeError, 'Expected `ratio` to be a number >= 0, got `-1`'],
    [{ ratio: Number.NaN }, RangeError, 'Expected `ratio` to be a number >= 0, got `NaN`'],
    [{ burst: Number.POSITIVE_INFINITY }, RangeError, 'Expected `burst` to be a number >= 0, got `Infinity`'],
    [{ minPerSecond: -0.1 }, RangeError, 'Expected `minPerSecond` to be a number >= 0, got `-0.1`'],
    [{ burst: '5' }, TypeError, "Expected `burst` to be a number >= 0, got `'5'`"],
    [null, TypeError, 'Expected `options` to be an object, got `null`'],
  ])('%o throws', (given, type, message) => {
    const make = () => new RetryBudget(given as object);
    expect(make).toThrow(type as new () => Error);
    expect(make).toThrow(message);
  });

  it('may be undefined, each and all', () => {
    expect(new RetryBudget(undefined).tokens).toBe(100);
    expect(new RetryBudget({ ratio: undefined, burst: undefined, minPerSecond: undefined }).tokens).toBe(100);
  });
});
