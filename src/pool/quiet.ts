import * as check from '../core/options.js';
import type { SignalOptions } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';
import type { PoolEngine } from './engine.js';
import { Waiters } from './waiters.js';

/** Those who are told when something has left the queue or a slot: by promise, by `onChange`, by the hook `onIdle`. */
export class Quiet {
  readonly #engine: PoolEngine;
  readonly #waiters: Waiters;
  readonly #wakes = new Set<{ readonly wake: () => void }>();

  constructor(engine: PoolEngine) {
    this.#engine = engine;
    this.#waiters = new Waiters((size) => (size === 0 ? engine.isIdle : engine.counters.queued < size));
  }

  get isAwaited(): boolean {
    return !this.#waiters.isEmpty || this.#wakes.size > 0;
  }

  /** @param size how few have to wait; 0: nothing waits or runs. */
  wait(size: number, options: SignalOptions | undefined): Promise<void> {
    try {
      const signal = check.abortSignal('signal', check.options('options', options).signal);
      this.#engine.isWatched = true;
      return this.#waiters.wait(size, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  onChange(wake: () => void): () => void {
    const listener = { wake: check.callable('wake', wake) };
    this.#wakes.add(listener);
    this.#engine.isWatched = true;
    this.#engine.admission.listen();
    return () => {
      this.#wakes.delete(listener);
      if (this.#wakes.size === 0) this.#engine.admission.unlisten();
    };
  }

  look(): void {
    const { admission, isClosing } = this.#engine;
    this.#waiters.look();
    if (!isClosing && !admission.hasFreeSlot) return;
    for (const listener of [...this.#wakes]) {
      try {
        if (this.#wakes.has(listener)) listener.wake();
      } catch (error) {
        reportError(`A listener of \`${this.#engine.name}\` failed.`, error);
      }
    }
  }
}
