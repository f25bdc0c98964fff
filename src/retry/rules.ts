import {
  atLeast,
  duration,
  finiteDuration,
  limit,
  oneOf,
  optionalCallable,
  options,
  wrongType,
} from '../core/options.js';
import { read } from '../core/read.js';
import type { Awaitable, Milliseconds } from '../core/types.js';
import type { Backoff, Jitter } from '../limits/backoff.js';
import type { RetryBudget } from '../limits/retry-budget.js';

/** When and how long to wait before another attempt. */
export interface RetryRules {
  /** The first one included. Integer >= 1 or Infinity; default 3. */
  maxAttempts?: number | undefined;
  /** First wait, ms. Finite, >= 0; default 100. */
  baseDelay?: Milliseconds | undefined;
  /** Longest wait, ms; jitter comes after. >= 0 or Infinity; default 20_000. */
  maxDelay?: Milliseconds | undefined;
  /** Growth per attempt, >= 1. Default 2. */
  factor?: number | undefined;
  /** 'full': 0..delay (default); 'equal': delay/2..delay. */
  jitter?: 'full' | 'equal' | 'none' | undefined;
  /**
   * Try again? `{ after }` is the least wait, ms. The default says yes to what `classifyError` calls `failure` or `overload`,
   * so no 400, 401 or 404. The wait is never below the error's `retryAfter`. The caller's abort is never retried.
   *
   * Asked only while there is something to decide: not after the last attempt, nor about an error that was stopped or that an
   * inner retry gave up on. If it throws, that ends the retry with what it threw.
   */
  shouldRetry?:
    | ((error: unknown, context: RetryContext) => Awaitable<boolean | { readonly after: Milliseconds }>)
    | undefined;
  /** Shared by many calls: caps the extra load that retries put on a failing upstream. Default: none. */
  budget?: RetryBudget | undefined;
}

/** What `shouldRetry` answers, sooner or later. */
export type RetryAnswer = Awaited<ReturnType<NonNullable<RetryRules['shouldRetry']>>>;

/** What `shouldRetry` is told besides the error. */
export interface RetryContext {
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  /** Since the call began, ms. */
  readonly elapsedMs: Milliseconds;
  /** What the default would say, so that a predicate can add to it: `(error, { byDefault }) => byDefault || isMine(error)`. */
  readonly byDefault: boolean;
}

/** Rules with all defaults filled in; every number is legal. */
export interface CheckedRules {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly shouldRetry: RetryRules['shouldRetry'];
  readonly budget: RetryBudget | undefined;
}

const JITTERS: readonly Jitter[] = ['full', 'equal', 'none'];

/**
 * @param option what the rules are called where they were passed, for the message.
 * @throws {TypeError} a value of another type.
 * @throws {RangeError} a number out of range, NaN included, or an unknown `jitter`.
 */
export function checkRules(rules: RetryRules | undefined, option = 'retry'): CheckedRules {
  const { maxAttempts, baseDelay, maxDelay, factor, jitter, shouldRetry, budget } = options(option, rules);
  return {
    maxAttempts: maxAttempts === undefined ? 3 : limit('maxAttempts', maxAttempts),
    backoff: {
      baseDelay: finiteDuration('baseDelay', baseDelay, 100),
      maxDelay: duration('maxDelay', maxDelay, 20_000),
      factor: atLeast('factor', factor, 1, 2),
      jitter: oneOf('jitter', jitter, JITTERS, 'full'),
    },
    shouldRetry: optionalCallable('shouldRetry', shouldRetry),
    // By shape: it may be of another copy of the package.
    budget: budget === undefined || typeof read(budget, 'giveBack') === 'function' ? budget : notABudget(budget),
  };
}

function notABudget(value: unknown): never {
  throw wrongType('budget', 'a RetryBudget', value);
}
