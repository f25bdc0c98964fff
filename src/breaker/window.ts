import type { Milliseconds } from '../core/types.js';

const BUCKETS = 20;

/**
 * How many results there were of late, how many of them bad, and until when they asked us to wait: a ring of counters, each for a
 * twentieth of the window, so memory is fixed whatever the traffic. Time is an argument, and moves the ring on; nothing else does.
 *
 * The first result after an empty window begins a bucket. A result counts until the end of the last bucket that its own may share the
 * ring with, that is for more than 95 % of the window, and never longer than the window.
 */
export class ResultWindow {
  total = 0;
  bad = 0;
  readonly #width: Milliseconds;
  readonly #totals: number[] = new Array(BUCKETS).fill(0);
  readonly #bads: number[] = new Array(BUCKETS).fill(0);
  /** The latest moment that a result asked for. Few ever do. */
  #asked: number[] | undefined;
  #at = 0;
  // A number with a fraction from the start, or V8 would make a new hidden class for the first one.
  #bucketEnd = Number.NaN;

  constructor(length: Milliseconds) {
    this.#width = length / BUCKETS;
  }

  /** Share of bad results, 0..1. Move on first. */
  get rate(): number {
    return this.total === 0 ? 0 : this.bad / this.total;
  }

  /** The latest moment that a result in the window asked for; 0 if none did. */
  get askedUntil(): number {
    return Math.max(0, ...(this.#asked ?? []));
  }

  /** A time before the last one counts as that. */
  add(isBad: boolean, time: number): void {
    if (this.total > 0) this.moveTo(time);
    if (this.total === 0) this.#bucketEnd = time + this.#width;
    const at = this.#at;
    this.total++;
    this.#totals[at] = (this.#totals[at] as number) + 1;
    if (!isBad) return;
    this.bad++;
    this.#bads[at] = (this.#bads[at] as number) + 1;
  }

  /** The result added last asked us to wait until then. */
  ask(until: number): void {
    this.#asked ??= new Array(BUCKETS).fill(0);
    this.#asked[this.#at] = Math.max(this.#asked[this.#at] as number, until);
  }

  /** Forgets what is too old. */
  moveTo(time: number): void {
    if (time < this.#bucketEnd || this.total === 0) return;
    const steps = Math.floor((time - this.#bucketEnd) / this.#width) + 1;
    if (steps >= BUCKETS) {
      this.clear();
      return;
    }
    for (let step = 0; step < steps; step++) {
      const at = (this.#at + 1) % BUCKETS;
      this.#at = at;
      this.total -= this.#totals[at] as number;
      this.bad -= this.#bads[at] as number;
      this.#totals[at] = 0;
      this.#bads[at] = 0;
      if (this.#asked !== undefined) this.#asked[at] = 0;
    }
    this.#bucketEnd += steps * this.#width;
  }

  clear(): void {
    this.total = 0;
    this.bad = 0;
    this.#totals.fill(0);
    this.#bads.fill(0);
    this.#asked = undefined;
  }
}
