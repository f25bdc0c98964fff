import type { Permit } from '../core/permit.js';
import type { Milliseconds, Verdict } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';

/**
 * The permits of one run, from all gates that let it in; what it tells, it tells to all. A permit may be of somebody's own making: one that
 * throws is shown on the console and changes nothing.
 */
export class Ticket {
  /** Tasks running when this one started, itself included. */
  inFlight = 0;
  isReported = false;
  readonly #permits: Permit[] = [];
  #onRelease: (() => void)[] | undefined;

  add(permit: Permit): void {
    this.#permits.push(permit);
  }

  started(): void {
    this.#each((permit) => permit.started());
  }

  report(verdict: Verdict, retryAfter?: Milliseconds): void {
    this.isReported = true;
    this.#each((permit) => permit.report(verdict, retryAfter));
  }

  /** A verdict that was reported before stands. */
  release(verdict: Verdict, retryAfter?: Milliseconds): void {
    for (const tell of this.#onRelease ?? []) tell();
    this.#each((permit) => permit.release(verdict, retryAfter));
    this.#permits.length = 0;
  }

  /** Calls `tell` before the permits are given back. */
  onRelease(tell: () => void): void {
    this.#onRelease ??= [];
    this.#onRelease.push(tell);
  }

  #each(tell: (permit: Permit) => void): void {
    for (const permit of this.#permits) {
      try {
        tell(permit);
      } catch (error) {
        reportError('A permit of a gate failed', error);
      }
    }
  }
}
