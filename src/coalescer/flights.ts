import { AbortSubscription } from '../core/abort.js';
import { derive, observe, type Resolve } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import type { MapKey } from '../core/keys.js';
import { LazyContext } from '../core/task-context.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { FlightContext } from './load-context.js';
import type { LoadTimeouts } from './load-timeouts.js';
import type { Load } from './types.js';

/** How a flight ended. */
export type FlightEnd<V> =
  | { readonly status: 'fulfilled'; readonly value: V }
  | { readonly status: 'rejected' | 'timeout' | 'aborted'; readonly reason: unknown };

/** The coalescer, as its flights see it. */
export interface FlightOwner<V, K extends Key> {
  readonly rules: FlightRules<V>;
  /** Undefined if loads may take for ever. */
  readonly timeouts: LoadTimeouts<Flight<V, K>> | undefined;
  /** The last caller left. */
  onOrphan(): void;
  /** It ended: to be written down before `flight.tell(end)` tells the callers. */
  onEnd(flight: Flight<V, K>, end: FlightEnd<V>): void;
  /** Its load settled after it had ended. */
  onLanding(flight: Flight<V, K>): void;
}

interface FlightRules<V> {
  readonly name: string;
  readonly loadTimeout: Milliseconds;
  readonly whenOrphaned: 'abort' | 'finish';
  copy?(value: V): V;
}

interface Leavable {
  leave(leaver: Leaver, reason: unknown): void;
}

/** A caller with a signal: it may leave before the flight ends. */
class Leaver {
  readonly #flight: Leavable;
  readonly #resolve: Resolve<unknown>;
  readonly #subscription: AbortSubscription;

  constructor(flight: Leavable, resolve: Resolve<unknown>, signal: AbortSignal) {
    this.#flight = flight;
    this.#resolve = resolve;
    this.#subscription = new AbortSubscription(signal, this);
  }

  onAbort(reason: unknown): void {
    this.#resolve(Promise.reject(reason));
    this.#flight.leave(this, reason);
  }

  tell(end: FlightEnd<unknown>): void {
    this.#subscription.end();
    resolveWith(this.#resolve, end);
  }
}

/**
 * One load shared by callers, from its start until it settles, times out, is aborted, or its last caller left. Whatever comes
 * first ends it, once; what the load does afterwards is not looked at.
 *
 * Callers without a signal cannot leave: the first of them gets the one shared promise, each other one derived from it. Callers
 * with a signal have a promise each. So a flight that nobody waits for has no promise that could be "unhandled".
 */
export class Flight<V, K extends Key> {
  readonly id: MapKey;
  readonly context: FlightContext<V, K>;
  readonly startedAt: Milliseconds;
  elder: Flight<V, K> | undefined = undefined;
  younger: Flight<V, K> | undefined = undefined;
  readonly #owner: FlightOwner<V, K>;
  #leavers: Set<Leaver> | undefined;
  #staying = 0;
  #shared: Promise<V> | undefined;
  #resolveShared: Resolve<unknown> | undefined;
  #held = false;
  #ended = false;

  constructor(owner: FlightOwner<V, K>, id: MapKey, context: FlightContext<V, K>, startedAt: Milliseconds) {
    this.#owner = owner;
    this.id = id;
    this.context = context;
    this.startedAt = startedAt;
  }

  /** How many wait for it. */
  get callers(): number {
    return this.#staying + (this.#leavers?.size ?? 0);
  }

  /** To be called once, after it was entered in the table and joined: the load may call the coalescer, abort, or throw. */
  run(load: Load<V, V, K>): void {
    if (this.#ended) {
      this.#owner.onLanding(this);
      return;
    }
    observe(
      start(load, this.context),
      (value) => this.#land({ status: 'fulfilled', value }),
      (reason) => this.#land({ status: 'rejected', reason }),
    );
    // The load may have ended it from within.
    if (!this.#ended) this.#owner.timeouts?.add(this);
  }

  /** A promise of its own for one more caller. @param signal one that is not aborted. */
  join(signal: AbortSignal | undefined): Promise<V> {
    const outcome = signal === undefined ? this.#stay() : this.#joinUntil(signal);
    const { copy } = this.#owner.rules;
    return copy === undefined ? outcome : derive(outcome, copy);
  }

  /** Goes on though nobody waits: a refresh, a prefetch, or an orphan that may finish. */
  hold(): void {
    this.#held = true;
  }

  /** Settles with the flight, never rejects. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => resolve();
      observe(this.#share(), settle, settle);
    });
  }

  abort(reason: unknown): void {
    if (!this.#ended) this.#end({ status: 'aborted', reason });
  }

  timeOut(): void {
    const { name, loadTimeout } = this.#owner.rules;
    const reason = new TimeoutError({ source: name, timeout: loadTimeout, option: 'loadTimeout' });
    this.#end({ status: 'timeout', reason });
  }

  /** A caller's signal aborted. */
  leave(leaver: Leaver, reason: unknown): void {
    this.#leavers?.delete(leaver);
    if (this.#ended || this.#held || this.callers > 0) return;
    this.#owner.onOrphan();
    if (this.#owner.rules.whenOrphaned === 'finish') this.hold();
    else this.abort(reason);
  }

  /** Tells the callers, then the load if it is not wanted any more. */
  tell(end: FlightEnd<V>): void {
    if (this.#resolveShared !== undefined) resolveWith(this.#resolveShared, end);
    if (this.#leavers !== undefined) for (const leaver of this.#leavers) leaver.tell(end);
    this.#leavers = undefined;
    if (end.status === 'timeout' || end.status === 'aborted') LazyContext.abort(this.context, end.reason);
  }

  #stay(): Promise<V> {
    this.#staying++;
    return this.#shared === undefined ? this.#share() : derive(this.#shared);
  }

  #share(): Promise<V> {
    if (this.#shared === undefined) {
      this.#shared = new Promise((resolve) => {
        this.#resolveShared = resolve as Resolve<unknown>;
      });
    }
    return this.#shared;
  }

  #joinUntil(signal: AbortSignal): Promise<V> {
    this.#leavers ??= new Set();
    const leavers = this.#leavers;
    return new Promise((resolve) => {
      leavers.add(new Leaver(this, resolve as Resolve<unknown>, signal));
    });
  }

  #land(end: FlightEnd<V>): void {
    if (this.#ended) this.#owner.onLanding(this);
    else this.#end(end);
  }

  #end(end: FlightEnd<V>): void {
    this.#ended = true;
    this.#owner.timeouts?.remove(this);
    this.#owner.onEnd(this, end);
  }
}

/** A load may throw, answer with a plain value, or with anything that has a `then`. */
function start<V, K extends Key>(load: Load<V, V, K>, context: FlightContext<V, K>): Promise<V> {
  try {
    return Promise.resolve(load(context));
  } catch (error) {
    return Promise.reject(error);
  }
}

function resolveWith(resolve: Resolve<unknown>, end: FlightEnd<unknown>): void {
  resolve(end.status === 'fulfilled' ? end.value : Promise.reject(end.reason));
}
