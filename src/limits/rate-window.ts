import { NEVER } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';

/** Units that started at one moment, or within `MERGED` ms. */
interface Stamp {
  /** When the first of them would no longer count. */
  readonly from: Milliseconds;
  /** When none of them counts any more. */
  end: Milliseconds;
  units: number;
  /** All units since the sums began anew, these included. */
  through: number;
}

/**
 * Starts within so many ms of the first of them are one stamp, which counts from the last: each at most so much too long. It bounds the memory
 * of a window with a very large limit.
 */
const MERGED = 0.05;

/** Fewer expired stamps than this are left lying. */
const SWEEP_FROM = 32;

/**
 * A strict sliding window (a "sliding window log"): no window of `interval` ever has more than `limit` units started. A place that
 * is reserved counts until it starts or is given back, and from its start for `interval` more. A start exactly `interval` after
 * another is not in one window with it.
 *
 * Pure: times are arguments and must not fall. Each call is O(1) amortised, save that `freeAt` looks up the stamp to wait for in
 * O(log stamps); there are at most 20 stamps for each ms of the interval. Sums of fractions are made anew whenever
 * half of the stamps have expired, and are exactly 0 when nothing counts, so they do not drift.
 */
export class RateWindow {
  readonly limit: number;
  readonly interval: Milliseconds;
  /** In order of time; those before `#first` have expired. */
  #stamps: Stamp[] = [];
  #first = 0;
  /** `through` of the last that expired, and of the last of all. */
  #expired = 0;
  #total = 0;
  #reserved = 0;
  #reservations = 0;

  /** @param limit integer >= 1. @param interval > 0. */
  constructor(limit: number, interval: Milliseconds) {
    this.limit = limit;
    this.interval = interval;
  }

  /** Units that have a place and did not start. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Does nothing count any more? Then a new window would be the same. */
  isIdle(time: Milliseconds): boolean {
    this.#expire(time);
    return this.#reservations === 0 && this.#stamps.length === 0;
  }

  /** Is there room whatever the time is? What has expired since somebody looked still counts here. */
  fits(units: number): boolean {
    return this.#total - this.#expired + this.#reserved + units <= this.limit;
  }

  /**
   * When there is room for so many units if no others take it: `time` if there is now; `NEVER` if it takes places that are reserved
   * and did not start. 0 units need no room.
   *
   * @param units 0 to `limit`. @param reserved how many to take for reserved.
   */
  freeAt(units: number, time: Milliseconds, reserved = this.#reserved): Milliseconds {
    this.#expire(time);
    const room = this.limit - reserved - units;
    const excess = this.#total - room;
    if (units === 0 || excess <= this.#expired) return time;
    if (room < 0) return NEVER;
    // The first stamp after which the rest has room. At the last nothing is left, whatever the sums of fractions say.
    let [low, high] = [this.#first, this.#stamps.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#stamps[middle] as Stamp).through >= excess) high = middle;
      else low = middle + 1;
    }
    return (this.#stamps[low] as Stamp).end;
  }

  /** Takes a place: `freeAt` said that there is room. */
  reserve(units: number): void {
    this.#reserved += units;
    this.#reservations++;
  }

  /** What was reserved starts. */
  start(units: number, time: Milliseconds): void {
    this.cancel(units);
    this.#stamp(units, time);
  }

  /** What was reserved is given back. */
  cancel(units: number): void {
    this.#reservations--;
    this.#reserved = this.#reservations === 0 ? 0 : this.#reserved - units;
  }

  /** Counts units that have started already, beyond the limit if need be. */
  charge(units: number, time: Milliseconds): void {
    // More than all does not keep others waiting any longer, and would swallow the small numbers in the sums.
    this.#stamp(Math.min(units, this.limit), time);
  }

  #stamp(units: number, time: Milliseconds): void {
    this.#expire(time);
    if (units === 0) return;
    const end = time + this.interval;
    this.#total += units;
    const last = this.#stamps.at(-1);
    if (last !== undefined && end - last.from <= MERGED) {
      last.end = end;
      last.units += units;
      last.through = this.#total;
    } else {
      this.#stamps.push({ from: end, end, units, through: this.#total });
    }
  }

  #expire(time: Milliseconds): void {
    const stamps = this.#stamps;
    let first = stamps[this.#first];
    while (first !== undefined && first.end <= time) {
      this.#expired = first.through;
      first = stamps[++this.#first];
    }
    if (first !== undefined && (this.#first < SWEEP_FROM || this.#first < stamps.length / 2)) return;
    this.#stamps = stamps.slice(this.#first);
    this.#first = 0;
    this.#expired = 0;
    this.#total = 0;
    for (const stamp of this.#stamps) {
      this.#total += stamp.units;
      stamp.through = this.#total;
    }
  }
}
