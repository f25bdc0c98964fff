import * as fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Backoff, backoffDelay, type Jitter } from '../../src/limits/backoff.js';
import { property } from '../support/runs.js';

const JITTERS = ['full', 'equal', 'none'] as const;

const backoffs: fc.Arbitrary<Backoff> = fc.record({
  baseDelay: fc.oneof(
    fc.constantFrom(0, Number.MIN_VALUE, 1, 100, 2 ** 31, Number.MAX_VALUE),
    fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  ),
  maxDelay: fc.oneof(
    fc.constantFrom(0, 1, 20_000, 2 ** 31, Number.POSITIVE_INFINITY),
    fc.double({ min: 0, noNaN: true }),
  ),
  factor: fc.oneof(
    fc.constantFrom(1, 2, Number.MAX_VALUE),
    fc.double({ min: 1, noNaN: true, noDefaultInfinity: true }),
  ),
  jitter: fc.constantFrom(...JITTERS),
});
const attempts = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 1_000_000 }));

const plain = (jitter: Jitter): Backoff => ({ baseDelay: 100, maxDelay: 20_000, factor: 2, jitter });

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the law of bounds', () => {
  property([backoffs, attempts])(
    'a delay is finite, at least 0 and at most maxDelay, for any attempt number and any legal options',
    (backoff, attempt) => {
      const delay = backoffDelay(attempt, backoff);
      expect(Number.isFinite(delay)).toBe(true);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThanOrEqual(backoff.maxDelay);
    },
  );

  property([backoffs, attempts, fc.oneof(fc.nat(1e9), fc.constant(Number.MAX_VALUE))])(
    'a floor is never undercut, and only the jitter of the backoff comes on top',
    (backoff, attempt, floor) => {
      const delay = backoffDelay(attempt, backoff, floor);
      expect(Number.isFinite(delay)).toBe(true);
      expect(delay).toBeGreaterThanOrEqual(floor);
      expect(delay).toBeLessThanOrEqual(floor + Math.min(backoff.maxDelay, Number.MAX_VALUE));
    },
  );

  property([backoffs, attempts])('without jitter, delays never shrink from attempt to attempt', (backoff, attempt) => {
    const steady: Backoff = { ...backoff, jitter: 'none' };
    expect(backoffDelay(attempt + 1, steady)).toBeGreaterThanOrEqual(backoffDelay(attempt, steady));
  });
});

// RETRY-16: ts-retry-promise raises the delay to the power of the attempt, so that 1 ms never grows.
it.each([
  [{ baseDelay: 100, factor: 2, maxDelay: 20_000 }, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 20_000, 20_000]],
  [{ baseDelay: 1, factor: 2, maxDelay: 20_000 }, [1, 2, 4, 8, 16]],
  [{ baseDelay: 250, factor: 1, maxDelay: 20_000 }, [250, 250, 250]],
  [{ baseDelay: 10, factor: 1.5, maxDelay: 30 }, [10, 15, 22.5, 30, 30]],
  [{ baseDelay: 500, factor: 2, maxDelay: 50 }, [50, 50]],
  [{ baseDelay: 0, factor: 2, maxDelay: 20_000 }, [0, 0, 0]],
])('grows from baseDelay by factor up to maxDelay: %o', (options, expected) => {
  const delays = expected.map((_, i) => backoffDelay(i + 1, { ...options, jitter: 'none' }));
  expect(delays).toEqual(expected);
});

// RETRY-10: actor-ts#771, backrest#618, hemilabs#664, titus#486: the power overflows, and the wait becomes 0 or 1 ms.
// RETRY-13: Effect#2717: a capped schedule degenerated to no delay after a while.
it('stays at the cap for ever once it is reached', () => {
  const backoff = plain('none');
  for (let attempt = 9; attempt <= 2_000; attempt++) expect(backoffDelay(attempt, backoff)).toBe(20_000);
  expect(backoffDelay(1_000_000, backoff)).toBe(20_000);
});

// RETRY-11: cockatiel#86: from attempt 1026 on, Infinity - Infinity or 0 * Infinity made the delay NaN.
it.each(JITTERS)('is a number for baseDelay 0 and maxDelay Infinity at any attempt, with jitter %s', (jitter) => {
  for (let attempt = 1; attempt <= 1_100; attempt++) {
    expect(backoffDelay(attempt, { baseDelay: 0, maxDelay: Number.POSITIVE_INFINITY, factor: 2, jitter })).toBe(0);
    const delay = backoffDelay(attempt, { baseDelay: 1, maxDelay: Number.POSITIVE_INFINITY, factor: 2, jitter });
    expect(Number.isFinite(delay) && delay >= 0).toBe(true);
  }
});

// RETRY-17: agenda#1748, openai-agents-python#2676, dunx#59: jitter that is added after the cap exceeds maxDelay.
it.each(['full', 'equal'] as const)('spreads over its whole range and not beyond, with jitter %s', (jitter) => {
  const backoff = plain(jitter);
  const low = jitter === 'full' ? 0 : 10_000;
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < 100_000; i++) {
    const delay = backoffDelay(20, backoff);
    if (delay < low || delay > 20_000) throw new Error(`out of range: ${delay}`);
    least = Math.min(least, delay);
    most = Math.max(most, delay);
  }
  expect(least).toBeLessThan(low + 100);
  expect(most).toBeGreaterThan(19_900);
});

it('takes its chance from Math.random at each use', () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.25);
  expect(backoffDelay(3, plain('full'))).toBe(100);
  expect(backoffDelay(3, plain('equal'))).toBe(250);
  expect(backoffDelay(3, plain('none'))).toBe(400);
});

// RETRY-19: openclaw#68543: jitter undercut the server's hint in 46 % of retries, which led to bans.
describe('a floor', () => {
  it('that is as large as a number can be does not make the delay infinite', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.99);
    const backoff: Backoff = {
      baseDelay: Number.MAX_VALUE,
      maxDelay: Number.POSITIVE_INFINITY,
      factor: 1,
      jitter: 'full',
    };
    expect(backoffDelay(1, backoff, Number.MAX_VALUE)).toBe(Number.MAX_VALUE);
  });

  it.each([
    ['full', 1_000, 1_100],
    ['equal', 1_000, 1_050],
    ['none', 1_000, 1_000],
    ['full', 50, 150],
    ['equal', 50, 250],
    ['none', 50, 400],
  ] as const)('lies under the jitter: %s over %i ms', (jitter, floor, expected) => {
    vi.spyOn(Math, 'random').mockReturnValue(0.25);
    expect(backoffDelay(3, plain(jitter), floor)).toBe(expected);
  });

  it('keeps a fleet that got the same hint apart', () => {
    const delays = new Set(Array.from({ length: 1_000 }, () => backoffDelay(3, plain('full'), 5_000)));
    expect(delays.size).toBeGreaterThan(900);
  });
});
