import { AbortSubscription } from '../core/abort.js';
import { Fifo } from '../core/fifo.js';
import type { Permit } from '../core/permit.js';
import type { Milliseconds } from '../core/types.js';

/** One call of `acquire` that has to wait. */
export class RateWaiter {
  /** It left; its place in the line is a tombstone. */
  isDead = false;
  readonly #subscription: AbortSubscription | undefined;

  /**
   * @param since when it came.
   * @param onAbort must take it out of the line.
   */
  constructor(
    readonly units: number,
    readonly since: Milliseconds,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (permit: Permit) => void,
    readonly reject: (reason: unknown) => void,
    onAbort: (waiter: RateWaiter) => void,
  ) {
    this.#subscription = signal && new AbortSubscription(signal, { onAbort: () => onAbort(this) });
  }

  left(): void {
    this.isDead = true;
    this.#subscription?.end();
  }
}

/** Fewer tombstones than this are left lying. */
const SWEEP_FROM = 32;

/** First come, first served. Whoever leaves from the middle leaves a tombstone: each call is O(1), amortised. */
export class RateLine {
  #waiters = new Fifo<RateWaiter>();
  #length = 0;
  #units = 0;

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  /** What they wait for. */
  get units(): number {
    return this.#units;
  }

  /** Who is next. */
  get head(): RateWaiter | undefined {
    while (this.#waiters.peek()?.isDead === true) this.#waiters.shift();
    return this.#waiters.peek();
  }

  push(waiter: RateWaiter): void {
    this.#waiters.push(waiter);
    this.#length++;
    this.#units += waiter.units;
  }

  /** Takes out one that waits, wherever it stands. */
  remove(waiter: RateWaiter): void {
    waiter.left();
    this.#length--;
    this.#units -= waiter.units;
    if (this.#length === 0) {
      this.#waiters = new Fifo();
      this.#units = 0;
    } else if (this.#waiters.length > 2 * this.#length + SWEEP_FROM) {
      this.#waiters.filter(({ isDead }) => !isDead);
    }
  }
}
