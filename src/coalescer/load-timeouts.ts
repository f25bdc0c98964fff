import { now, Timer } from '../core/clock.js';
import { ignore, observe } from '../core/deferred.js';
import type { Milliseconds } from '../core/types.js';

interface Timed<T> {
  readonly startedAt: Milliseconds;
  /** Neighbours by start. The list's own. */
  elder: T | undefined;
  younger: T | undefined;
  /** Ends it, which takes it off the list. */
  timeOut(): void;
}

/**
 * Ends the loads of one coalescer that take too long. The time is the same for all, so they come due in the order of their start: a
 * list, all O(1), and one timer, for the eldest. While nothing is loaded there is none, and it never keeps the process alive.
 */
export class LoadTimeouts<T extends Timed<T>> {
  readonly #timeout: Milliseconds;
  #eldest: T | undefined;
  #youngest: T | undefined;
  #timer: Timer | undefined;
  #armedFor = 0;

  constructor(timeout: Milliseconds) {
    this.#timeout = timeout;
  }

  /**
   * To be called once the load has been started. Loads that it started meanwhile come first, so it may end late by as long as it took
   * to return its promise.
   */
  add(flight: T): void {
    const elder = this.#youngest;
    flight.elder = elder;
    this.#youngest = flight;
    if (elder === undefined) this.#eldest = flight;
    else elder.younger = flight;
    // Not at once: what answers from memory has done so by then, and a timer costs half as much as such a load.
    if (elder === undefined || this.#timer?.isOrphan) observe(Promise.resolve(), this.#check, ignore);
  }

  /** It has ended. Does nothing for one that is not on the list. */
  remove(flight: T): void {
    const { elder, younger } = flight;
    if (elder !== undefined) elder.younger = younger;
    else if (this.#eldest === flight) this.#eldest = younger;
    else return;
    if (younger !== undefined) younger.elder = elder;
    else this.#youngest = elder;
    flight.elder = undefined;
    flight.younger = undefined;
    if (this.#eldest === undefined) this.#rest();
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #check = (): void => {
    if (this.#eldest !== undefined && this.#timer?.isOrphan !== false) this.#endUntil(now(), false);
  };

  // That the timer fired proves that its moment is over, also where the clock is frozen or faked apart from the timers.
  readonly #onTimer = (): void => this.#endUntil(Math.max(now(), this.#armedFor), true);

  #endUntil(time: Milliseconds, hasFired: boolean): void {
    const timeout = this.#timeout;
    let eldest = this.#eldest;
    // One from the future began by another clock: a test runner has swapped it. It was given a whole `timeout` by this one.
    while (eldest !== undefined && (eldest.startedAt + timeout <= time || (hasFired && eldest.startedAt > time))) {
      eldest.timeOut();
      eldest = this.#eldest;
    }
    this.#rest();
    if (eldest === undefined) return;
    this.#armedFor = Math.min(eldest.startedAt, time) + timeout;
    this.#timer = new Timer(this.#onTimer, this.#armedFor - time, false);
  }
}
