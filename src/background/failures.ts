import { ignore, observe } from '../core/deferred.js';
import { reportError } from '../metrics/hooks.js';
import type { BackgroundTaskOptions, TaskOutcome } from './types.js';

export type ErrorHandler = NonNullable<BackgroundTaskOptions['onError']>;
export type Failure = Extract<TaskOutcome, { status: 'rejected' | 'refused' }>;

/** Names should be few, but may be anything: beyond these nothing is kept. */
const MAX_NAMES = 100;

/**
 * Where failures of one group go: the task's handler, else the group's, else the console. Nothing is swallowed, and nothing a
 * handler does can hurt: if it throws or rejects, that is shown once per handler, and the failure itself goes to the console.
 *
 * The console shows one refusal per name of a task: a full queue refuses thousands a second, and metrics count them.
 */
export class Failures {
  readonly #source: string;
  readonly #onError: ErrorHandler | undefined;
  readonly #brokenHandlers = new WeakSet<ErrorHandler>();
  readonly #refusedNames = new Set<string>();

  constructor(source: string, onError: ErrorHandler | undefined) {
    this.#source = source;
    this.#onError = onError;
  }

  tell(name: string, failure: Failure, onError = this.#onError): void {
    if (onError === undefined) {
      this.#show(name, failure);
      return;
    }
    const broken = (fault: unknown): void => {
      if (!this.#brokenHandlers.has(onError)) {
        this.#brokenHandlers.add(onError);
        reportError(`An \`onError\` of \`${this.#source}\` failed; further failures of it are not shown.`, fault);
      }
      this.#show(name, failure);
    };
    try {
      const answer: unknown = onError(failure.reason, { name, attempts: failure.attempts });
      if (answer !== undefined) observe(Promise.resolve(answer), ignore, broken);
    } catch (fault) {
      broken(fault);
    }
  }

  #show(name: string, { status, reason }: Failure): void {
    if (status === 'rejected') {
      reportError(`Task \`${name}\` of \`${this.#source}\` failed`, reason);
    } else if (!this.#refusedNames.has(name) && this.#refusedNames.size < MAX_NAMES) {
      this.#refusedNames.add(name);
      reportError(`\`${this.#source}\` refused task \`${name}\`; more of that name are counted, not shown.`, reason);
    }
  }
}
