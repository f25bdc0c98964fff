import { AbortSubscription } from '../core/abort.js';
import { NEVER } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { derive, observe } from '../core/deferred.js';
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
 * Runs `work` until it ends, the signal aborts or the limit is over, whichever comes first; never rejects. What work that was cut
 * does later is swallowed. `onCut` is told in the turn of the cut; it must not throw.
 */
export function bounded<T>(
  work: () => Awaitable<T>,
  { signal, limit, deadlines }: Bounds,
  onCut: (cut: Cut) => void,
): Promise<Settled<T> | Cut> {
  // Whoever calls with an aborted signal wants the work done all the same.
  const listens = signal !== undefined && !signal.aborted;
  if (!listens && limit === NEVER) {
    const running = invoke(work, undefined) as Promise<unknown>;
    return derive(running, fulfilled, rejected) as Promise<Settled<T>>;
  }
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
    const subscription = listens ? new AbortSubscription(signal, { onAbort: () => cut('aborted') }) : undefined;
    const deadline = limit === NEVER ? undefined : deadlines?.add(limit, () => cut('overdue'));
    observe(
      invoke(work, undefined),
      (value) => end({ status: 'fulfilled', value }),
      (reason) => end({ status: 'rejected', reason }),
    );
  });
}

const fulfilled = (value: unknown): Settled<unknown> => ({ status: 'fulfilled', value });
const rejected = (reason: unknown): Settled<unknown> => ({ status: 'rejected', reason });
