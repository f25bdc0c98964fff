import { LazyContext } from '../core/task-context.js';
import type { TaskContext } from '../core/types.js';
import { Finals } from './finals.js';

/** What one attempt is given. Its signal aborts on the caller's abort and on either timeout. */
export interface AttemptContext extends TaskContext {
  /** From 1. */
  readonly attempt: number;
  /** What the attempt before threw; undefined in the first. */
  readonly lastError: unknown;
  /**
   * Marks an error as final for this call and hands it back: `throw context.stop(new Error('gone'))`. It is still final where it is
   * wrapped, as the `cause` of what is thrown. An error that is marked but not thrown ends nothing.
   */
  stop<E>(error: E): E;
}

export class LazyAttemptContext extends LazyContext implements AttemptContext {
  readonly attempt: number;
  readonly lastError: unknown;
  #finals: Finals | undefined;

  /** @param finals what was stopped in this call; made when it is needed where there is none yet. */
  constructor(attempt: number, lastError: unknown, finals?: Finals) {
    super();
    this.attempt = attempt;
    this.lastError = lastError;
    this.#finals = finals;
  }

  // A getter, so that it can be taken off the context and costs nothing where it is not.
  get stop(): <E>(error: E) => E {
    return (error) => {
      LazyAttemptContext.finalsOf(this).add(error);
      return error;
    };
  }

  static finalsOf(context: LazyAttemptContext): Finals {
    context.#finals ??= new Finals();
    return context.#finals;
  }
}
