/*
 * Abort fan-out: one listener on each signal, however many tasks share it.
 *
 * Adding a listener per task is quadratic on Node (each addition scans the list: 40k waiters on one signal block it for
 * seconds), warns about leaks after ten, and `AbortSignal.any` retains its children on long-lived signals. Here a signal
 * has one listener while anybody waits on it and none afterwards. Subscribing and leaving are O(1), amortised.
 */

interface AbortListener {
  /** Told once, in the order of subscription. Must not throw. */
  onAbort(reason: unknown): void;
}

/** Keyed by the callers' own signals, so a fan lives no longer than its signal. */
const fans = new WeakMap<AbortSignal, Fan>();

const COMPACT_FROM = 32;

class Fan {
  readonly #signal: AbortSignal;
  // In order of subscription; who left leaves a hole, and the holes are closed when they are more than half.
  #places: (AbortSubscription | undefined)[] = [];
  #alive = 0;
  #dispatching = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    fans.set(signal, this);
    signal.addEventListener('abort', this.#dispatch);
  }

  add(subscription: AbortSubscription): number {
    this.#alive++;
    return this.#places.push(subscription) - 1;
  }

  remove(place: number): void {
    this.#places[place] = undefined;
    this.#alive--;
    if (this.#dispatching) return;
    if (this.#alive === 0) this.#end();
    else if (this.#places.length >= COMPACT_FROM && this.#alive < this.#places.length / 2) this.#compact();
  }

  #end(): void {
    fans.delete(this.#signal);
    this.#signal.removeEventListener('abort', this.#dispatch);
  }

  #compact(): void {
    this.#places = this.#places.filter((each) => each !== undefined);
    for (let i = 0; i < this.#places.length; i++) this.#places[i]?.moveTo(i);
  }

  readonly #dispatch = (): void => {
    this.#dispatching = true;
    const { reason } = this.#signal;
    for (let i = 0; i < this.#places.length; i++) this.#places[i]?.fire(reason);
    this.#end();
  };
}

/** One waiter on one signal. */
export class AbortSubscription {
  readonly #fan: Fan;
  readonly #listener: AbortListener;
  #place: number;

  /** @param signal one that is not aborted: look at `signal.aborted` first. */
  constructor(signal: AbortSignal, listener: AbortListener) {
    this.#listener = listener;
    this.#fan = fans.get(signal) ?? new Fan(signal);
    this.#place = this.#fan.add(this);
  }

  /** Leaves. A second call, or one after the abort, does nothing. */
  end(): void {
    const place = this.#place;
    if (place < 0) return;
    this.#place = -1;
    this.#fan.remove(place);
  }

  /** The fan's own: a new place after holes were closed. */
  moveTo(place: number): void {
    this.#place = place;
  }

  /** The fan's own: the signal aborted. */
  fire(reason: unknown): void {
    this.end();
    this.#listener.onAbort(reason);
  }
}
