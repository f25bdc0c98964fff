import type { Milliseconds } from '../core/types.js';
import { isObject } from './finals.js';

/** How a retried call ended that did not succeed. */
export interface RetryInfo {
  /** Attempts begun. */
  readonly attempts: number;
  /**
   * From the call to its end, ms. A call that nobody watches reads no clock before something fails: for `retryWithBackoff(fn)` without
   * options, and `execute(fn)` of a policy without timeouts, hooks and `shouldRetry`, it is from the end of the first attempt.
   */
  readonly elapsedMs: Milliseconds;
  /** Time slept between attempts, ms. */
  readonly delayedMs: Milliseconds;
  /**
   * - `exhausted`: `maxAttempts` was reached;
   * - `not-retryable`: the error is final: by the rules, by `stop`, because an inner retry gave up on it, or because
   *   `shouldRetry` threw;
   * - `budget`: the `RetryBudget` had no token left;
   * - `deadline`: `totalTimeout` fell inside an attempt, or the next wait could not have finished before it;
   * - `aborted`: by the caller;
   * - `hint-too-long`: the server asked for a wait beyond the deadline or, where there is none, beyond `maxDelay` and 60 s.
   */
  readonly reason: 'exhausted' | 'not-retryable' | 'budget' | 'deadline' | 'aborted' | 'hint-too-long';
  /** Of each attempt, first to last; at most the last 10. An attempt that was cut short by an abort or `totalTimeout` has none. */
  readonly errors: readonly unknown[];
}

interface Note {
  readonly info: RetryInfo;
  /** The call, or the calls, that gave up: see `Attempts`. */
  readonly family: unknown;
  readonly moment: number;
}

/**
 * The calls that were given up, by the error that each of them threw; a note lives no longer than its error.
 *
 * Moments are counted, not measured: "was that given up during this attempt?" must have an answer also where the clock stands
 * still (fake timers, workerd between I/O).
 */
class GivenUp {
  readonly #notes = new WeakMap<object, Note>();
  #moment = 0;

  nextMoment(): number {
    return ++this.#moment;
  }

  /** Primitives cannot be noted. The last call to throw an error is the one that counts. */
  add(error: unknown, info: RetryInfo, family: unknown): void {
    if (isObject(error)) this.#notes.set(error, { info, family, moment: this.nextMoment() });
  }

  find(error: unknown): Note | undefined {
    return isObject(error) ? this.#notes.get(error) : undefined;
  }
}

export const givenUp = /* @__PURE__ */ new GivenUp();

/**
 * How a retry ended that threw this error. `undefined` for errors that saw none, and for thrown primitives.
 *
 * The error itself is thrown untouched, so what is known about the retry is kept beside it, in a weak table. Of several calls that
 * threw the same object (a shared `signal.reason`, nested retries) it tells of the last one.
 *
 * @example
 * ```ts
 * try {
 *   await retryWithBackoff(load);
 * } catch (error) {
 *   console.error(error, getRetryInfo(error)?.reason);
 * }
 * ```
 */
export function getRetryInfo(error: unknown): RetryInfo | undefined {
  return givenUp.find(error)?.info;
}
