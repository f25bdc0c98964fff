import { random } from '../core/clock.js';

/** Length of a window, ms, and how many of its calls are all timed: 10,000 a second. */
const WINDOW = 100;
const FULL = 1_000;
/** Above that, one call in this many is timed. */
const STRIDE = 16;

/**
 * Which calls to time. All of them up to 10,000 a second, then one in 16: reading the clock costs as much as the rest of a
 * task's way through a pool, and an untimed call needs no reading at all. Each window of 100 ms starts anew, so that a burst
 * does not blind the calm after it. A timed call stands for `weight` calls, so that quantiles stay unbiased; the gaps are random,
 * so that a rhythm in the work cannot hide from a rhythm in the sampling.
 */
export class Sampler {
  #windowEnd = 0;
  #count = 0;
  #skip = 0;

  /** Is the next call to be timed? Cheap; reads no clock. If yes, ask for its `weight`. */
  next(): boolean {
    if (this.#skip === 0) return true;
    this.#skip--;
    return false;
  }

  /** How many calls this timed call stands for. @param time of this call, monotonic ms. */
  weight(time: number): number {
    if (time >= this.#windowEnd) {
      this.#windowEnd = time + WINDOW;
      this.#count = 0;
    }
    this.#count++;
    if (this.#count <= FULL) return 1;
    this.#skip = Math.floor(random() * (2 * STRIDE - 1));
    return STRIDE;
  }
}
