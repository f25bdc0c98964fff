import type { TaskContext } from './types.js';

/**
 * The context of one running task. Its signal is made on first read: an AbortController costs 5 µs, and most tasks never look.
 *
 * The owner aborts it through `abortContext`, which is kept off the public object.
 */
export class LazyContext implements TaskContext {
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  static abort(context: LazyContext, reason: unknown): void {
    if (context.#aborted) return;
    context.#aborted = true;
    context.#reason = reason;
    context.#controller?.abort(reason);
  }
}
