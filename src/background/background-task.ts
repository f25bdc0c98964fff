import { AbortSubscription } from '../core/abort.js';
import { now } from '../core/clock.js';
import type { Deadline, Deadlines } from '../core/deadlines.js';
import { ignore, observe, type PromiseMaker, type Resolve } from '../core/deferred.js';
import { type RefusedError, TimeoutError } from '../core/errors.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, WaitUntil } from '../core/types.js';
import { keepAlive } from '../core/wait-until.js';
import { reportError } from '../metrics/hooks.js';
import { isPolicy, retryWithBackoff } from '../retry/index.js';
import type { TaskSpec } from './task-spec.js';
import type { BackgroundContext, TaskHandle, TaskOutcome } from './types.js';

/** What a task needs of its group, and what it tells it. */
export interface TaskGroup {
  readonly name: string;
  readonly deadlines: Deadlines;
  readonly promises: PromiseMaker;
  /** Is about to be entered. */
  onStart(task: BackgroundTask): void;
  /** Counts an outcome; `done` is settled after this. Once. */
  count(task: BackgroundTask, outcome: TaskOutcome, runMs: Milliseconds): void;
  /** Tells the observers of it. Once. */
  tell(task: BackgroundTask, outcome: TaskOutcome, runMs: Milliseconds): void;
  /** None of its work runs any more, and none will. Once, after `tell`. */
  onEnd(task: BackgroundTask): void;
}

class AttemptContext extends LazyContext implements BackgroundContext {
  readonly name: string;
  readonly attempt: number;

  constructor(name: string, attempt: number) {
    super();
    this.name = name;
    this.attempt = attempt;
  }
}

/** The reason of an abort that gave none, as the platform makes it. */
function defaultReason(): unknown {
  const controller = new AbortController();
  controller.abort();
  return controller.signal.reason;
}

/*
 * The life of a task:
 *
 *   new --admit--> waiting --start, a microtask--> entered --its work ends--------------> ended
 *    |                |                               |                                     ^
 *    |                |                               +--cancel, timeout--> overdue --------+
 *    +----------------+--cancel, refusal, a bad argument------------------------------------+
 *
 * The outcome is decided once, on leaving one of the first three. What an overdue task still answers is dropped.
 */
export class BackgroundTask {
  readonly spec: TaskSpec;
  readonly handle: TaskHandle;
  /** The group's own: it waits in the queue. */
  isQueued = false;
  readonly #group: TaskGroup;
  readonly #settleDone: Resolve<TaskOutcome>;
  #openGate: Resolve<undefined> | undefined;
  #releasePlatform: Resolve<undefined> | undefined;
  #subscription: AbortSubscription | undefined;
  #deadline: Deadline | undefined;
  #context: AttemptContext | undefined;
  /** Ends the wait between two attempts. */
  #retrying: AbortController | undefined;
  #enteredAt: Milliseconds | undefined;
  #isSettled = false;
  #attempts = 0;
  /** Attempts whose work has not ended: more than one where an attempt was overdue when the next began. */
  #live = 0;

  constructor(group: TaskGroup, spec: TaskSpec) {
    this.#group = group;
    this.spec = spec;
    const done = group.promises.make<TaskOutcome>();
    this.#settleDone = group.promises.takeResolve();
    this.handle = { name: spec.name, done, cancel: (reason) => this.cancel(reason) };
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get wasAdmitted(): boolean {
    return this.#openGate !== undefined;
  }

  get wasEntered(): boolean {
    return this.#enteredAt !== undefined;
  }

  /**
   * Accepted, and counted by the group as such. To be called inside `run`: the task will be entered from a reaction that is added
   * here, hence in its caller's async context, however long it waits for `start`, and never inside the call.
   */
  admit(): void {
    const gate = this.#group.promises.make<undefined>();
    this.#openGate = this.#group.promises.takeResolve();
    observe(gate, this.#enter, ignore);
    const { signal, waitUntil } = this.spec;
    if (signal !== undefined)
      this.#subscription = new AbortSubscription(signal, { onAbort: (reason) => this.cancel(reason) });
    if (waitUntil !== undefined) this.#register(waitUntil);
  }

  start(): void {
    this.#openGate?.(undefined);
  }

  fail(reason: unknown): void {
    this.#settle({ status: 'rejected', reason, attempts: this.#attempts });
  }

  /** Only before it was entered. */
  refuse(reason: RefusedError): void {
    this.#settle({ status: 'refused', reason, attempts: 0 });
  }

  cancel(given?: unknown): void {
    if (this.#isSettled) return;
    const reason = given === undefined ? defaultReason() : given;
    this.#settle({ status: 'cancelled', reason, attempts: this.#attempts });
    this.#retrying?.abort(reason);
    if (this.#context !== undefined) LazyContext.abort(this.#context, reason);
  }

  #register(waitUntil: WaitUntil): void {
    const ended = this.#group.promises.make<undefined>();
    this.#releasePlatform = this.#group.promises.takeResolve();
    keepAlive(waitUntil, ended, (error) => {
      // Too late to be the outcome only where the platform's answer was a promise.
      if (this.#isSettled || this.wasEntered) reportError('A `waitUntil` rejected', error);
      else this.fail(error);
    });
  }

  readonly #enter = (): void => {
    if (this.#isSettled) return;
    this.#enteredAt = now();
    this.#group.onStart(this);
    // A hook may have cancelled it.
    if (this.#isSettled) return;
    observe(
      this.#work(),
      () => this.#settle({ status: 'fulfilled', attempts: this.#attempts }),
      (reason) => {
        this.fail(reason);
        // The `totalTimeout` of its policy may have fallen inside an attempt.
        if (this.#live > 0 && this.#context !== undefined) LazyContext.abort(this.#context, reason);
      },
    );
  };

  #work(): Promise<unknown> {
    const { retry } = this.spec;
    if (retry === undefined) return this.#attempt(1);
    this.#retrying = new AbortController();
    const { signal } = this.#retrying;
    const work = ({ attempt }: { readonly attempt: number }): Promise<unknown> => this.#attempt(attempt);
    // Its timeout of an attempt is ours: `spec.timeout`.
    if (isPolicy(retry)) return retry.execute(work, { signal, attemptTimeout: Number.POSITIVE_INFINITY });
    return retryWithBackoff(work, { ...retry, signal });
  }

  #attempt(attempt: number): Promise<unknown> {
    const { fn, name, timeout } = this.spec;
    const context = new AttemptContext(name, attempt);
    this.#context = context;
    this.#attempts = attempt;
    this.#live++;
    const work = new Promise((resolve) => resolve(fn(context)));
    observe(work, this.#leave, this.#leave);
    return timeout === Number.POSITIVE_INFINITY ? work : this.#bounded(work, context, timeout);
  }

  #bounded(work: Promise<unknown>, context: AttemptContext, timeout: Milliseconds): Promise<unknown> {
    const { deadlines, name } = this.#group;
    return new Promise((resolve, reject) => {
      // The work may have cancelled its own task.
      const deadline = this.#isSettled ? undefined : deadlines.add(timeout, expire);
      this.#deadline = deadline;
      observe(work, ended, ended);

      function expire(): void {
        const error = new TimeoutError({ source: name, timeout, option: 'timeout' });
        reject(error);
        LazyContext.abort(context, error);
      }
      function ended(): void {
        if (deadline !== undefined) deadlines.cancel(deadline);
        resolve(work);
      }
    });
  }

  readonly #leave = (): void => {
    this.#live--;
    if (this.#isSettled && this.#live === 0) this.#end();
  };

  #settle(outcome: TaskOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#subscription?.end();
    if (this.#deadline !== undefined) this.#group.deadlines.cancel(this.#deadline);
    const runMs = this.#enteredAt === undefined ? 0 : Math.max(0, now() - this.#enteredAt);
    this.#group.count(this, outcome, runMs);
    this.#settleDone(outcome);
    this.#group.tell(this, outcome, runMs);
    if (this.#live === 0) this.#end();
  }

  #end(): void {
    this.#releasePlatform?.(undefined);
    this.#group.onEnd(this);
  }
}
