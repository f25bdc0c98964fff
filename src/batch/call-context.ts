import { AbortSubscription } from '../core/abort.js';
import { LazyContext } from '../core/task-context.js';
import type { TaskContext } from '../core/types.js';

/**
 * The context of one call. Its signal aborts with the batch, at the call's timeout and, behind a pool, with the context
 * that the pool gave, e.g. when the pool closes. That one is listened to only if somebody reads the signal.
 */
export abstract class CallContext extends LazyContext {
  #outer: TaskContext | undefined;
  #subscription: AbortSubscription | undefined;

  constructor(outer: TaskContext | undefined) {
    super();
    this.#outer = outer;
  }

  override get signal(): AbortSignal {
    const outer = this.#outer?.signal;
    this.#outer = undefined;
    if (outer?.aborted === true) LazyContext.abort(this, outer.reason);
    else if (outer !== undefined) {
      this.#subscription = new AbortSubscription(outer, { onAbort: (reason) => LazyContext.abort(this, reason) });
    }
    return super.signal;
  }

  /** The call is over: it listens no more. */
  static end(context: CallContext): void {
    context.#outer = undefined;
    context.#subscription?.end();
  }

  static cut(context: CallContext, reason: unknown): void {
    CallContext.end(context);
    LazyContext.abort(context, reason);
  }
}
