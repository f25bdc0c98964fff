import { AbortSubscription } from './abort.js';
import { Timer } from './clock.js';

/**
 * Waits `delay` ms, never less. Rejects with `signal.reason` itself in the turn of the abort, and leaves neither a timer nor a
 * listener behind either way. Keeps the process alive: work is behind it. Infinity waits for the abort alone.
 */
export function sleep(delay: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const timer = delay === Number.POSITIVE_INFINITY ? undefined : new Timer(wake, delay);
    const subscription = signal && new AbortSubscription(signal, { onAbort });

    function wake(): void {
      subscription?.end();
      resolve();
    }
    function onAbort(reason: unknown): void {
      timer?.cancel();
      reject(reason);
    }
  });
}
