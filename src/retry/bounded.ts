import { AbortSubscription } from '../core/abort.js';
import type { Deadlines } from '../core/deadlines.js';
import { observe } from '../core/deferred.js';
import type { Awaitable, Milliseconds, Settled } from '../core/types.js';

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
 * Runs `work` until it ends, the signal aborts or the limit is over, whichever comes first; never rejects. What work that was cut
 * does later is swallowed. `onCut` is told in the turn of the cut; it must not throw.
 */
export function bounded<T>(
  work: () => Awaitable<T>,
  { signal, limit, deadlines }: Bounds,
  onCut: (cut: Cut) => void,
): Promise<Settled<T> | Cut> {
  return new Promise((resolve) => {
    const end = (ending: Settled<T> | Cut): void => {
      subscription?.end();
      if (deadline !== undefined) deadlines?.cancel(deadline);
      resolve(ending);
    };
    const cut = (by: Cut): void => {
      end(by);
      onCut(by);
    };
    // Whoever calls with an aborted signal wants the work done all the same.
    const listens = signal !== undefined && !signal.aborted;
    const subscription = listens ? new AbortSubscription(signal, { onAbort: () => cut('aborted') }) : undefined;
    const deadline = limit === Number.POSITIVE_INFINITY ? undefined : deadlines?.add(limit, () => cut('overdue'));
    observe(
      invoke(work),
      (value) => end({ status: 'fulfilled', value }),
      (reason) => end({ status: 'rejected', reason }),
    );
  });
}

/** Turns a throw, a thenable or a plain value into a promise. A promise is taken as it is: to adopt it would cost three ticks. */
function invoke<T>(work: () => Awaitable<T>): Promise<T> {
  try {
    const result = work();
    return result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    return Promise.reject(error);
  }
}
