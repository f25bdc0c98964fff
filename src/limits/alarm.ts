import { NEVER, now, Timer } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';

/** A time that never falls, and one timer that goes by it. While it is set the process stays alive. */
export class Alarm {
  readonly #ring: () => void;
  /** The latest time that was seen, and how much the clock is behind it. */
  #latest = Number.NEGATIVE_INFINITY;
  #behind = 0;
  #timer: Timer | undefined;
  #due = NEVER;
  #setAt = 0;

  /** @param ring may be called too soon: look at the time, and set it again. */
  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /**
   * Monotonic ms. The clock itself only seems to fall where it is swapped for another (timers are faked, or no longer), or after a
   * timer had to serve as the proof of time: time then goes on from the latest that was seen.
   */
  get time(): Milliseconds {
    const clock = now();
    this.#behind = Math.max(this.#behind, this.#latest - clock);
    this.#latest = Math.max(this.#latest, clock + this.#behind);
    return this.#latest;
  }

  /** @param due from when it rings, after `time`. @param time now. */
  set(due: Milliseconds, time: Milliseconds): void {
    // One that rings too soon is set again: cheaper than a new timer each time. Nothing rings for NEVER.
    if (due === NEVER || (this.#timer !== undefined && this.#due <= due && !this.#timer.isOrphan)) return;
    this.#timer?.cancel();
    if (due !== this.#due) this.#setAt = time;
    this.#due = due;
    this.#timer = new Timer(this.#onTimer, due - time);
  }

  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    // Timers may fire early; what is left is waited for then. But where the clock hardly moved it is not that of the timer (it
    // stands still, or only one of them is faked), and the timer itself is the proof that its time has come.
    const isProof = this.time - this.#setAt < (this.#due - this.#setAt) / 2;
    if (isProof) this.#latest = this.#due;
    this.#ring();
  };
}
