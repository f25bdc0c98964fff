import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { now } from '../../src/core/clock.js';
import { Attempts, type Decision, type FailedAttempt } from '../../src/retry/attempts.js';
import { getRetryInfo, rulesOf } from '../../src/retry/index.js';
import type { RetryRules } from '../../src/retry/rules.js';
import { property } from '../support/runs.js';

const NEVER = Number.POSITIVE_INFINITY;
const no = (reason: string) => ({ again: false, reason });
const steady = { jitter: 'none' } as const;
const hinted = (seconds: number) =>
  Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': String(seconds) } });

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function thenable<T>(value: T): PromiseLike<T> {
  // biome-ignore lint/suspicious/noThenProperty: that is what it is.
  return { then: (resolve: (value: T) => void) => void resolve(value) } as unknown as PromiseLike<T>;
}

/** Attempts of which one has begun. */
function begun(rules: RetryRules = {}, left = NEVER): Attempts {
  const startedAt = now();
  const attempts = new Attempts(rulesOf({ ...steady, ...rules }), startedAt + left, startedAt);
  attempts.begin();
  return attempts;
}

describe('the law of decisions', () => {
  const failures = fc.array(
    fc.record({
      error: fc.constantFrom<unknown>(undefined, 0, '', 'x', new Error('x')),
      hint: fc.option(fc.nat(200_000), { nil: undefined }),
      passes: fc.nat(1_000),
    }),
    { minLength: 1, maxLength: 30 },
  );
  const rules = fc.record({
    maxAttempts: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(NEVER)),
    baseDelay: fc.nat(1_000),
    maxDelay: fc.oneof(fc.nat(100_000), fc.constant(NEVER)),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    jitter: fc.constantFrom('full', 'equal', 'none'),
  });

  property([rules, fc.oneof(fc.nat(300_000), fc.constant(NEVER)), failures])(
    'a wait is finite, ends before the deadline, and is not below a hint; attempts never exceed maxAttempts',
    (options, left, script) => {
      const startedAt = now();
      const attempts = new Attempts(rulesOf(options), startedAt + left, startedAt);
      for (const { error, hint, passes } of script) {
        const attempt = attempts.begin();
        vi.advanceTimersByTime(passes);
        const remaining = startedAt + left - now();
        const decision = attempts.decide(error, { retryAfter: hint }) as Decision;
        if (!decision.again) {
          if (attempt === options.maxAttempts) expect(decision.reason).toBe('exhausted');
          if (decision.reason === 'hint-too-long') {
            expect(hint).toBeGreaterThanOrEqual(left === NEVER ? Math.max(options.maxDelay, 60_000) : remaining);
          }
          return;
        }
        expect(attempt).toBeLessThan(options.maxAttempts);
        expect(Number.isFinite(decision.delay)).toBe(true);
        expect(decision.delay).toBeGreaterThanOrEqual(hint ?? 0);
        expect(decision.delay).toBeLessThan(remaining);
        if (hint === undefined) expect(decision.delay).toBeLessThanOrEqual(options.maxDelay);
      }
    },
  );
});

describe('why there is no further attempt', () => {
  const aborted = AbortSignal.abort();
  it.each<[string, RetryRules, unknown, FailedAttempt, string]>([
    [
      'the caller aborted, before all else',
      { shouldRetry: () => true },
      new Error('x'),
      { signal: aborted, final: true },
      'aborted',
    ],
    ['it is final', { shouldRetry: () => true }, new Error('x'), { final: true }, 'not-retryable'],
    ['a 404', {}, { status: 404 }, {}, 'not-retryable'],
    ['an abort that is not the caller’s', {}, new DOMException('x', 'AbortError'), {}, 'not-retryable'],
    ['a 404 in the last attempt', { maxAttempts: 1 }, { status: 404 }, {}, 'not-retryable'],
    ['no attempts are left', { maxAttempts: 1 }, new Error('x'), {}, 'exhausted'],
    ['the predicate says no', { shouldRetry: () => false }, new Error('x'), {}, 'not-retryable'],
    ['a hint beyond 60 s', {}, hinted(61), {}, 'hint-too-long'],
    ['a hint beyond maxDelay', { maxDelay: 100_000 }, hinted(101), {}, 'hint-too-long'],
    ['a hint that was handed over', {}, new Error('x'), { retryAfter: 61_000 }, 'hint-too-long'],
  ])('%s', (_name, rules, error, failure, reason) => {
    expect(begun(rules).decide(error, failure)).toEqual(no(reason));
  });

  it('a hint at or beyond the deadline, however short; a wait that cannot end before it', () => {
    expect(begun({}, 5_000).decide(hinted(5))).toEqual(no('hint-too-long'));
    expect(begun({}, 5_000).decide(hinted(4.9))).toEqual({ again: true, delay: 4_900 });
    expect(begun({ baseDelay: 5_000 }, 5_000).decide(new Error('x'))).toEqual(no('deadline'));
    expect(begun({ baseDelay: 4_999 }, 5_000).decide(new Error('x'))).toEqual({ again: true, delay: 4_999 });
    // The hint would fit, but not with its jitter.
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    expect(begun({ baseDelay: 1_000, jitter: 'full' }, 5_000).decide(hinted(4.9))).toEqual(no('deadline'));
    vi.restoreAllMocks();
  });

  it('with a deadline a long hint is followed if it ends in time', () => {
    expect(begun({}, 100_000).decide(hinted(90))).toEqual({ again: true, delay: 90_000 });
  });

  it('past the deadline it is the deadline, also with a hint of 0', () => {
    const attempts = begun({}, 100);
    vi.advanceTimersByTime(200);
    expect(attempts.decide(hinted(0))).toEqual(no('deadline'));
  });
});

describe('shouldRetry', () => {
  it('is asked with the attempt, the time and what the default would say', () => {
    const asked: unknown[] = [];
    const attempts = begun({
      shouldRetry: (error, context) => {
        asked.push([error, context]);
        return true;
      },
    });
    vi.advanceTimersByTime(30);
    const [gone, busy] = [{ status: 404 }, { status: 503 }];
    void attempts.decide(gone);
    attempts.begin();
    void attempts.decide(busy);
    expect(asked).toEqual([
      [gone, { attempt: 1, elapsedMs: 30, byDefault: false }],
      [busy, { attempt: 2, elapsedMs: 30, byDefault: true }],
    ]);
  });

  it.each([
    ['at the last attempt', { maxAttempts: 1 }, {}],
    ['about what is final', {}, { final: true }],
    ['after an abort', {}, { signal: AbortSignal.abort() }],
  ])('is not asked %s', (_name, rules, failure) => {
    const shouldRetry = vi.fn(() => true);
    void begun({ ...rules, shouldRetry }).decide(new Error('x'), failure);
    expect(shouldRetry).not.toHaveBeenCalled();
  });

  it('may name the least wait, under the jitter, and not below a hint', () => {
    const atLeast = (ms: number) => ({ shouldRetry: () => ({ after: ms }) });
    expect(begun(atLeast(700)).decide(new Error('x'))).toEqual({ again: true, delay: 700 });
    expect(begun(atLeast(7)).decide(new Error('x'))).toEqual({ again: true, delay: 100 });
    expect(begun(atLeast(700)).decide(hinted(2))).toEqual({ again: true, delay: 2_000 });
    expect(begun(atLeast(2_000), 1_000).decide(new Error('x'))).toEqual(no('deadline'));
  });

  it('a least wait is the caller’s own word: the patience for a server’s hints does not bound it', () => {
    expect(begun({ shouldRetry: () => ({ after: 3_600_000 }) }).decide(new Error('x'))).toEqual({
      again: true,
      delay: 3_600_000,
    });
  });

  it.each([
    [undefined, 'Expected `shouldRetry()` to be true, false or { after }, got `undefined`'],
    [0, 'Expected `shouldRetry()` to be true, false or { after }, got `0`'],
    [null, 'Expected `shouldRetry()` to be true, false or { after }, got `null`'],
    [{}, 'Expected `shouldRetry().after` to be a number, got `undefined`'],
    [{ after: '5' }, "Expected `shouldRetry().after` to be a number, got `'5'`"],
  ])('that answers %o is a TypeError', async (answer, message) => {
    const shouldRetry = () => answer as unknown as boolean;
    expect(() => begun({ shouldRetry }).decide(new Error('x'))).toThrow(new TypeError(message));
    const later = begun({ shouldRetry: async () => shouldRetry() }).decide(new Error('x'));
    await expect(later).rejects.toThrow(new TypeError(message));
  });

  it.each([Number.NaN, -1, NEVER])('that answers { after: %d } is a RangeError', (after) => {
    expect(() => begun({ shouldRetry: () => ({ after }) }).decide(new Error('x'))).toThrow(RangeError);
  });

  it('may take its time; the deadline and the signal are looked at afterwards', async () => {
    const late = (rules: RetryRules = {}) => ({
      ...rules,
      shouldRetry: () => new Promise<true>((resolve) => setTimeout(resolve, 100, true)),
    });
    const controller = new AbortController();
    const decisions = Promise.all([
      begun(late()).decide(new Error('x')),
      begun(late(), 150).decide(new Error('x')),
      begun(late()).decide(new Error('x'), { signal: controller.signal }),
      begun({ shouldRetry: () => thenable(true) }).decide(1),
    ]);
    controller.abort();
    await vi.advanceTimersByTimeAsync(100);
    expect(await decisions).toEqual([
      { again: true, delay: 100 },
      no('deadline'),
      no('aborted'),
      { again: true, delay: 100 },
    ]);
  });

  it('that throws, throws', async () => {
    const boom = new Error('boom');
    const attempts = begun({
      shouldRetry: () => {
        throw boom;
      },
    });
    expect(() => attempts.decide(new Error('x'))).toThrow(boom);
    await expect(begun({ shouldRetry: () => Promise.reject(boom) }).decide(new Error('x'))).rejects.toBe(boom);
  });
});

describe('what is noted', () => {
  it('attempts, times, the reason and at most the last ten errors', () => {
    const attempts = begun({ maxAttempts: NEVER, factor: 1 });
    const errors = Array.from({ length: 25 }, (_, i) => new Error(String(i)));
    for (const error of errors) {
      expect(attempts.decide(error)).toEqual({ again: true, delay: 100 });
      vi.advanceTimersByTime(105);
      attempts.begin();
    }
    const last = new Error('last');
    const info = attempts.giveUp(last, 'exhausted');
    expect(info).toEqual({
      attempts: 26,
      elapsedMs: 25 * 105,
      delayedMs: 2_500,
      reason: 'exhausted',
      errors: errors.slice(-10),
    });
    expect(getRetryInfo(last)).toBe(info);
    expect(attempts.giveUp('primitive', 'exhausted').errors).toHaveLength(10);
  });

  it('a wait that was cut short counts for as long as it lasted', () => {
    const attempts = begun({ baseDelay: 10_000 });
    void attempts.decide(new Error('x'));
    vi.advanceTimersByTime(40);
    expect(attempts.giveUp(new Error('x'), 'aborted')).toMatchObject({ elapsedMs: 40, delayedMs: 40 });
  });

  it.each([undefined, null, 0, '', 'x', Symbol('x'), {}, new Error('x')])(
    'nothing for %o, which saw no retry',
    (error) => {
      expect(getRetryInfo(error)).toBeUndefined();
    },
  );
});

// RETRY-34: nanobot#2760, code_puppy#317, jido_action#96: stacked retries multiply.
describe('what an inner retry gave up on', () => {
  const gaveUp = (error: unknown) => {
    begun().giveUp(error, 'exhausted');
    return error;
  };

  it('is final if it happened during this attempt, also behind a chain of causes', () => {
    const outer = begun({ shouldRetry: () => true });
    expect(outer.decide(gaveUp(new Error('x')))).toEqual(no('not-retryable'));
    const wrapped = new Error('c', { cause: { cause: new Error('b', { cause: gaveUp(new Error('a')) }) } });
    expect(outer.decide(wrapped)).toEqual(no('not-retryable'));
  });

  it('is not final if it happened before: an error may be cached or shared', () => {
    const error = gaveUp(new Error('x'));
    const outer = begun();
    expect(outer.decide(error)).toMatchObject({ again: true });
    gaveUp(error);
    outer.begin();
    expect(outer.decide(error)).toMatchObject({ again: true });
  });

  it('is not final for its siblings, which share its rules', () => {
    const rules = rulesOf(steady);
    const siblings = [1, 2].map(() => new Attempts(rules, NEVER, now()));
    for (const each of siblings) each.begin();
    const error = new Error('of a whole chunk');
    siblings[0]?.giveUp(error, 'exhausted');
    expect(siblings[1]?.decide(error)).toMatchObject({ again: true });
  });

  it('causes that form a ring, or throw, end the search', () => {
    const ring: { cause?: unknown } = {};
    ring.cause = { cause: ring };
    expect(begun().decide(ring)).toMatchObject({ again: true });
    const bomb = Object.defineProperty(new Error('x'), 'cause', {
      get() {
        throw new Error('bomb');
      },
    });
    expect(begun().decide(bomb)).toMatchObject({ again: true });
  });
});

describe('stop', () => {
  it.each([undefined, null, 0, '', Number.NaN, 'gone', new Error('gone')])(
    'makes %o final, for this call only',
    (error) => {
      const attempts = begun({ shouldRetry: () => true });
      attempts.stop(error);
      expect(attempts.decide(error)).toEqual(no('not-retryable'));
      expect(begun({ shouldRetry: () => true }).decide(error)).toMatchObject({ again: true });
    },
  );

  it('holds for later attempts and for what wraps the error, not for others', () => {
    const attempts = begun({ maxAttempts: NEVER });
    const gone = new Error('gone');
    attempts.stop(gone);
    expect(attempts.decide(new Error('x'))).toMatchObject({ again: true });
    attempts.begin();
    expect(attempts.decide(new Error('wrapped', { cause: gone }))).toEqual(no('not-retryable'));
  });
});

describe('a failure that is wanted again', () => {
  const wanted = { wanted: true } as const;

  it('is repeated though the default or the predicate would not', () => {
    expect(begun().decide({ status: 404 }, wanted)).toEqual({ again: true, delay: 100 });
    const shouldRetry = vi.fn(() => false);
    expect(begun({ shouldRetry }).decide(new Error('x'), wanted)).toEqual({ again: true, delay: 100 });
    expect(shouldRetry).not.toHaveBeenCalled();
  });

  it('keeps to all other rules', () => {
    expect(begun({ maxAttempts: 1 }).decide(new Error('x'), wanted)).toEqual(no('exhausted'));
    expect(begun().decide(hinted(61), wanted)).toEqual(no('hint-too-long'));
    expect(begun({}, 50).decide(new Error('x'), wanted)).toEqual(no('deadline'));
    expect(begun().decide(new Error('x'), { ...wanted, signal: AbortSignal.abort() })).toEqual(no('aborted'));
    expect(begun().decide(new Error('x'), { ...wanted, final: true })).toEqual(no('not-retryable'));
  });
});

it('a thrown string is no header', () => {
  expect(begun().decide('503')).toEqual({ again: true, delay: 100 });
});
