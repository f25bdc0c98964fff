import type { TaskContext } from '../core/types.js';
import type { AttemptContext } from '../retry/index.js';

const FIRST = 1;
const same = <E>(error: E): E => error;

/** What a task is given: the attempt's number from the retry, the signal from where it runs. */
export class UpstreamContext implements AttemptContext {
  readonly #run: TaskContext;
  readonly #attempt: AttemptContext | undefined;

  /** @param attempt undefined: nothing is repeated. */
  constructor(run: TaskContext, attempt: AttemptContext | undefined) {
    this.#run = run;
    this.#attempt = attempt;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get attempt(): number {
    return this.#attempt?.attempt ?? FIRST;
  }

  get lastError(): unknown {
    return this.#attempt?.lastError;
  }

  get stop(): <E>(error: E) => E {
    return this.#attempt?.stop ?? same;
  }
}
