import { InnerSignal } from './abort.js';
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
  #inner: InnerSignal | undefined;

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
    context.#inner?.abort(reason);
  }

  /** The same signal for a layer of ours, without a controller. */
  static innerSignal(context: LazyContext): AbortSignal {
    if (context.#inner === undefined) {
      context.#inner = new InnerSignal();
      if (context.#early !== undefined) context.#inner.abort(context.#early.reason);
      else if (context.#controller?.signal.aborted === true) context.#inner.abort(context.#controller.signal.reason);
    }
    return context.#inner.asSignal;
  }
}
