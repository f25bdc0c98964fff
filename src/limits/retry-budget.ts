import { now } from '../core/clock.js';
import { atLeast, options } from '../core/options.js';
import type { Milliseconds } from '../core/types.js';

/** A sum of fractions may end just below the whole number that it is: ten times 0.1 is 0.9999999999999999. */
const ONE = 1 - 1e-9;

/**
 * Caps the load that retries add to an upstream that fails: in an outage four attempts per call are four times the load, and that
 * keeps the upstream down. Share one between all calls to one upstream: `new RetryPolicy({ budget })`.
 *
 * tokens = min(burst, tokens + ratio per success + minPerSecond per second); a retry takes one. The first attempt of a call is always
 * made. While all calls succeed the budget is full; while all fail, what is left after the first `burst` retries is `minPerSecond`.
 *
 * A token is taken when the retry is decided, and given back if that attempt never starts, because the call was aborted or its time
 * was over. Where there is none, the call gives up at once (reason `budget`). Each call that succeeds earns, at its first attempt too.
 *
 * No timer, and no clock reading but where a retry asks. The token bucket is that of the retry throttling of gRPC (proposal A6) and
 * of the AWS SDKs; the ratio and the least rate are those of Finagle's `RetryBudget`.
 *
 * @example
 * const budget = new RetryBudget({ ratio: 0.1 });
 * const fromUpstream = (id: string) => retryWithBackoff(() => load(id), { budget });
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  /** Up to when `minPerSecond` was counted. Before the first retry there is nothing to count: it is full. */
  #countedUntil: Milliseconds = Number.NaN;

  /** @throws {TypeError | RangeError} a bad option. */
  constructor(given?: {
    /** Retries earned per success. Finite, >= 0; default 0.2. */
    ratio?: number | undefined;
    /** Most tokens; it starts full. Finite, >= 0 (below 1: no retries at all); default 100. */
    burst?: number | undefined;
    /** Earned per second, so that a quiet client may retry at all. Finite, >= 0; default 0.5. */
    minPerSecond?: number | undefined;
  }) {
    const { ratio, burst, minPerSecond } = options('options', given);
    this.#ratio = atLeast('ratio', ratio, 0, 0.2);
    this.#burst = atLeast('burst', burst, 0, 100);
    this.#perMs = atLeast('minPerSecond', minPerSecond, 0, 0.5) / 1_000;
    this.#tokens = this.#burst;
  }

  /** What is there now: so many retries may be decided at once. */
  get tokens(): number {
    this.#count(now());
    return this.#tokens;
  }

  /**
   * For a retry that is decided now; false: there is none to take.
   * @param time monotonic ms.
   * @internal
   */
  take(time: Milliseconds): boolean {
    this.#count(time);
    if (this.#tokens < ONE) return false;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return true;
  }

  /** The retry it was taken for never started. @internal */
  giveBack(): void {
    this.#add(1);
  }

  /** A call succeeded. What time earns may be added later: the sum is the same in any order. @internal */
  earn(): void {
    if (this.#tokens < this.#burst) this.#add(this.#ratio);
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + tokens);
  }

  #count(time: Milliseconds): void {
    // A clock that was set back (fake timers) begins anew.
    if (time > this.#countedUntil) this.#add((time - this.#countedUntil) * this.#perMs);
    this.#countedUntil = time;
  }
}
