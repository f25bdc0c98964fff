import type { TaskContext } from './types.js';

/**
 * The context of one running task. Its signal is made on first read: an AbortController costs 5 µs, and most tasks never look.
 *
 * The owner aborts it through the static method, which is kept off the object that tasks see.
 */
export class LazyContext implements TaskContext {
  #controller: AbortController | undefined;
  /** Of an abort that came before anybody looked. */
  #early: { readonly reason: unknown } | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#early !== undefined) this.#controller.abort(this.#early.reason);
    }
    return this.#controller.signal;
  }

  /** Aborts with `reason`; only the first call counts. */
  static abort(context: LazyContext, reason: unknown): void {
    if (context.#controller === undefined) context.#early ??= { reason };
    else context.#controller.abort(reason);
  }
}
