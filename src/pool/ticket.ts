import type { Place } from '../core/gate.js';
import type { Milliseconds, Verdict } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';

/** It never starts: why. */
export class Refusal {
  constructor(readonly reason: unknown) {}
}

/**
 * The permits of one run, from all gates that let it in; what it tells, it tells to all. A permit may be of somebody's own making: one that
 * throws is shown on the console and changes nothing.
 */
export class Ticket {
  /** Tasks running when this one started, itself included. */
  inFlight = 0;
  isReported = false;
  #permits: Place[] | undefined;
  #onRelease: (() => void)[] | undefined;

  add(permit: Place): void {
    if (this.#permits === undefined) this.#permits = [permit];
    else this.#permits.push(permit);
  }

  started(): void {
    const permits = this.#permits;
    if (permits === undefined) return;
    for (let i = 0; i < permits.length; i++) {
      try {
        permits[i]?.started();
      } catch (error) {
        complain(error);
      }
    }
  }

  report(verdict: Verdict, retryAfter?: Milliseconds): void {
    this.isReported = true;
    const permits = this.#permits;
    if (permits === undefined) return;
    for (let i = 0; i < permits.length; i++) {
      try {
        permits[i]?.report(verdict, retryAfter);
      } catch (error) {
        complain(error);
      }
    }
  }

  /** A verdict that was reported before stands. */
  release(verdict: Verdict, retryAfter?: Milliseconds): void {
    for (const tell of this.#onRelease ?? []) tell();
    const permits = this.#permits;
    if (permits === undefined) return;
    this.#permits = undefined;
    for (let i = 0; i < permits.length; i++) {
      try {
        permits[i]?.release(verdict, retryAfter);
      } catch (error) {
        complain(error);
      }
    }
  }

  /** Calls `tell` before the permits are given back. */
  onRelease(tell: () => void): void {
    this.#onRelease ??= [];
    this.#onRelease.push(tell);
  }
}

function complain(error: unknown): void {
  reportError('A permit of a gate failed', error);
}
