import { AbortSubscription } from '../core/abort.js';
import { NEVER } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { derive, ignore, observe } from '../core/deferred.js';
import type { Awaitable, Milliseconds, Settled } from '../core/types.js';
import { invoke } from './invoke.js';

export interface Bounds {
  readonly signal: AbortSignal | undefined;
  /** Infinity: no limit. */
  readonly limit: Milliseconds;
  /** Whose timer is used. Needed only where there may be a limit. */
  readonly deadlines: Deadlines | undefined;
}

/** Why work was left alone. */
export type Cut = 'aborted' | 'overdue';

/**
 * Runs `work(argument)` until it ends, the signal aborts or the limit is over, whichever comes first; never rejects. What work that was
 * cut does later is swallowed. `onCut` is told in the turn of the cut; it must not throw.
 *
 * The argument is apart, and the work is called outside of any closure that holds it: V8 keeps the functions on the stack of an error
 * until somebody reads that, and from a closure on an attempt's context there is a way to the error before, and so on.
 */
export function bounded<A, T>(
  work: (argument: A) => Awaitable<T>,
  argument: A,
  { signal, limit, deadlines }: Bounds,
  onCut: (cut: Cut) => void,
): Promise<Settled<T> | Cut> {
  // Whoever calls with an aborted signal wants the work done all the same.
  const listens = signal !== undefined && !signal.aborted;
  if (!listens && limit === NEVER) {
    return derive(invoke(work, argument) as Promise<unknown>, fulfilled, rejected) as Promise<Settled<T>>;
  }
  const race = new Race<T>(onCut);
  if (listens) race.subscription = new AbortSubscription(signal, race);
  if (limit !== NEVER) race.limitBy(limit, deadlines);
  observe(invoke(work, argument), race.fulfilled, race.rejected);
  return race.outcome;
}

class Race<T> {
  readonly outcome: Promise<Settled<T> | Cut>;
  subscription: AbortSubscription | undefined;
  readonly #onCut: (cut: Cut) => void;
  #resolve: (ending: Settled<T> | Cut) => void = ignore;
  #endDeadline: () => void = ignore;

  constructor(onCut: (cut: Cut) => void) {
    this.#onCut = onCut;
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  limitBy(limit: Milliseconds, deadlines: Deadlines | undefined): void {
    const deadline = deadlines?.add(limit, () => this.#cut('overdue'));
    if (deadline !== undefined) this.#endDeadline = () => deadlines?.cancel(deadline);
  }

  onAbort(): void {
    this.#cut('aborted');
  }

  readonly fulfilled = (value: T): void => this.#end({ status: 'fulfilled', value });
  readonly rejected = (reason: unknown): void => this.#end({ status: 'rejected', reason });

  #cut(by: Cut): void {
    this.#end(by);
    this.#onCut(by);
  }

  #end(ending: Settled<T> | Cut): void {
    this.subscription?.end();
    this.#endDeadline();
    this.#resolve(ending);
  }
}

const fulfilled = (value: unknown): Settled<unknown> => ({ status: 'fulfilled', value });
const rejected = (reason: unknown): Settled<unknown> => ({ status: 'rejected', reason });
