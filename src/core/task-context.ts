import type { TaskContext } from './types.js';

/** Stands in for the controller of a context that was aborted before anybody looked. */
class EarlyAbort {
  constructor(readonly reason: unknown) {}
}

/**
 * The context of one running task. Its signal is made on first read: an AbortController costs 5 µs, and most tasks never look.
 *
 * The owner aborts it through the static method, which is kept off the object that tasks see.
 */
export class LazyContext implements TaskContext {
  #abort: AbortController | EarlyAbort | undefined;

  get signal(): AbortSignal {
    const before = this.#abort;
    if (before instanceof AbortController) return before.signal;
    const controller = new AbortController();
    if (before !== undefined) controller.abort(before.reason);
    this.#abort = controller;
    return controller.signal;
  }

  /** Aborts with `reason`; only the first call counts. */
  static abort(context: LazyContext, reason: unknown): void {
    const before = context.#abort;
    if (before === undefined) context.#abort = new EarlyAbort(reason);
    else if (before instanceof AbortController) before.abort(reason);
  }
}
