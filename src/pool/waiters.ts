import { AbortSubscription } from '../core/abort.js';

interface QuietWaiter {
  readonly isDue: () => boolean;
  readonly done: () => void;
}

/** Those who wait for a pool to become quiet: idle, or with a shorter queue. Looked at only when something has left. */
export class Waiters {
  readonly #waiting = new Set<QuietWaiter>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Fulfils when `isDue`, at once if it is so now. Rejects with `signal.reason`. */
  wait(isDue: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      if (isDue()) {
        resolve();
        return;
      }
      const onAbort = (reason: unknown): void => {
        this.#waiting.delete(waiter);
        reject(reason);
      };
      const subscription = signal && new AbortSubscription(signal, { onAbort });
      const done = (): void => {
        subscription?.end();
        resolve();
      };
      const waiter = { isDue, done };
      this.#waiting.add(waiter);
    });
  }

  look(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.isDue()) continue;
      this.#waiting.delete(waiter);
      waiter.done();
    }
  }
}
