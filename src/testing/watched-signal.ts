interface Listening {
  /** The platform takes it away when the signal aborts. */
  readonly endsOnAbort: boolean;
  /** Ends it too. */
  readonly until: AbortSignal | undefined;
}

interface ListenerOptions {
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A genuine signal that counts its listeners, on any runtime: its own `addEventListener` and `removeEventListener` stand before
 * the platform's. What a runtime adds natively (its `fetch`, `AbortSignal.any`) it takes away itself, unseen.
 */
export class WatchedSignal {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #listeners = new Map<unknown, Listening>();

  constructor() {
    const { signal } = this.#controller;
    const add = signal.addEventListener;
    const remove = signal.removeEventListener;
    const listeners = this.#listeners;
    this.signal = Object.assign(signal, {
      addEventListener(type: 'abort', listener: () => void, options?: ListenerOptions): void {
        if (type === 'abort' && listener && !listeners.has(listener)) {
          const endsOnAbort = options?.once === true && !signal.aborted;
          listeners.set(listener, { endsOnAbort, until: options?.signal });
        }
        add.call(signal, type, listener, options);
      },
      removeEventListener(type: 'abort', listener: () => void): void {
        if (type === 'abort') listeners.delete(listener);
        remove.call(signal, type, listener);
      },
    });
  }

  /** How many listen now. */
  get listeners(): number {
    const { signal } = this;
    let count = (signal as { onabort?: unknown }).onabort ? 1 : 0;
    for (const { endsOnAbort, until } of this.#listeners.values()) {
      if (!(endsOnAbort && signal.aborted) && until?.aborted !== true) count++;
    }
    return count;
  }

  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }
}
