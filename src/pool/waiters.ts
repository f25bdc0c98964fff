import { AbortSubscription } from '../core/abort.js';

/** Those who wait for a pool to become quiet: idle, or with a shorter queue. Looked at only when something has left. */
export class Waiters {
  readonly #isDue: (size: number) => boolean;
  /** By what they wait for, as producers that share a pool wait for the same. */
  readonly #waiting = new Map<number, Set<() => void>>();

  /** @param isDue whether fewer than `size` wait; for 0, whether all is idle. */
  constructor(isDue: (size: number) => boolean) {
    this.#isDue = isDue;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Fulfils when `size` is due, at once if it is so now. Rejects with `signal.reason`. */
  wait(size: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      if (this.#isDue(size)) {
        resolve();
        return;
      }
      const same = this.#waiting.get(size) ?? new Set();
      const onAbort = (reason: unknown): void => {
        same.delete(done);
        if (same.size === 0) this.#waiting.delete(size);
        reject(reason);
      };
      const subscription = signal && new AbortSubscription(signal, { onAbort });
      const done = (): void => {
        subscription?.end();
        resolve();
      };
      this.#waiting.set(size, same.add(done));
    });
  }

  look(): void {
    for (const [size, same] of this.#waiting) {
      if (!this.#isDue(size)) continue;
      this.#waiting.delete(size);
      for (const done of same) done();
    }
  }
}
