import { AbortSubscription } from '../core/abort.js';
import { LazyContext } from '../core/task-context.js';
import type { TaskContext } from '../core/types.js';

/** What aborts one call. */
class CallAbort extends LazyContext {
  #outer: TaskContext | undefined;
  #subscription: AbortSubscription | undefined;

  constructor(outer?: TaskContext) {
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
  end(): void {
    this.#outer = undefined;
    this.#subscription?.end();
  }
}

/**
 * The context of one call. Its signal aborts with the batch, at the call's timeout and, behind a pool, with the context
 * that the pool gave, e.g. when the pool closes. That one is listened to only if somebody reads the signal.
 *
 * Made for each call, so it is as small as can be: one field, made by the constructor, and those of subclasses declared.
 */
export abstract class CallContext implements TaskContext {
  #abort: CallAbort | undefined;

  constructor(outer: TaskContext | undefined) {
    this.#abort = outer && new CallAbort(outer);
  }

  get signal(): AbortSignal {
    this.#abort ??= new CallAbort();
    return this.#abort.signal;
  }

  static end(context: CallContext): void {
    context.#abort?.end();
  }

  static cut(context: CallContext, reason: unknown): void {
    context.#abort ??= new CallAbort();
    context.#abort.end();
    LazyContext.abort(context.#abort, reason);
  }
}
