/*
 * Abort fan-out: one listener on each signal, however many tasks share it.
 *
 * Adding a listener per task is quadratic on Node (each addition scans the list: 40k waiters on one signal block it for
 * seconds), warns about leaks after ten, and `AbortSignal.any` retains its children on long-lived signals. Here a signal
 * has one listener while anybody waits on it and none afterwards. Subscribing and leaving are O(1): half the cost of a `Set`.
 */

interface AbortListener {
  /** Told once, in the order of subscription. Must not throw. */
  onAbort(reason: unknown): void;
}

/** Keyed by the callers' own signals, so a fan lives no longer than its signal. */
const fans = new WeakMap<AbortSignal, Fan>();

/** A link of a ring; alone at first. */
class Link {
  next: Link = this;
  previous: Link = this;
}

/** Where the ring of one signal's subscriptions begins and ends. */
class Fan extends Link {
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    super();
    this.signal = signal;
    fans.set(signal, this);
    // Not `once`: options are slow on Node.
    signal.addEventListener('abort', this.#tell);
  }

  end(): void {
    fans.delete(this.signal);
    this.signal.removeEventListener('abort', this.#tell);
  }

  readonly #tell = (): void => {
    while (this.next !== this) (this.next as AbortSubscription).fire(this.signal.reason);
    this.end();
  };
}

/**
 * A signal among our own layers, which subscribe to it as to any other and never show it to anybody: an `AbortController` costs 5 µs, and
 * most calls through several layers are never aborted.
 */
export class InnerSignal extends Link {
  aborted = false;
  reason: unknown;

  /** Only the first call counts. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    while (this.next !== this) (this.next as AbortSubscription).fire(reason);
  }

  /** As our options want it. Only for functions of this package: it has no events. */
  get asSignal(): AbortSignal {
    return this as unknown as AbortSignal;
  }

  /** @internal Looked for where options are checked. */
  addEventListener(): never {
    throw new TypeError('An inner signal has no events');
  }

  /** The fan's part. */
  get signal(): this {
    return this;
  }

  /** The fan's part: there is no listener to take off. */
  end(): void {}
}

function fanOf(signal: AbortSignal): Fan {
  return fans.get(signal) ?? new Fan(signal);
}

/** One waiter on one signal. */
export class AbortSubscription extends Link {
  readonly #fan: Fan | InnerSignal;
  readonly #listener: AbortListener;

  /** @param signal one that is not aborted: look at `signal.aborted` first. */
  constructor(signal: AbortSignal, listener: AbortListener) {
    super();
    this.#listener = listener;
    this.#fan = (signal as unknown) instanceof InnerSignal ? (signal as unknown as InnerSignal) : fanOf(signal);
    this.next = this.#fan;
    this.previous = this.#fan.previous;
    this.previous.next = this;
    this.next.previous = this;
  }

  /** Leaves. A second call, or one after the abort, does nothing. */
  end(): void {
    if (this.next === this) return;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this;
    // While the signal aborts the fan stays: who subscribes meanwhile is told too.
    if (this.#fan.next === this.#fan && !this.#fan.signal.aborted) this.#fan.end();
  }

  /** The fan's own: the signal aborted. */
  fire(reason: unknown): void {
    this.end();
    this.#listener.onAbort(reason);
  }
}
