import { AbortSubscription, InnerSignal } from '../core/abort.js';
import type { Deadlines } from '../core/deadlines.js';
import { observe } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import type { Key, Milliseconds, TaskContext } from '../core/types.js';
import type { ExecuteOptions } from '../pool/index.js';
import type { AttemptContext } from '../retry/index.js';
import { UpstreamContext } from './context.js';
import type { HeldSlot } from './stream-run.js';
import type { UpstreamTask } from './types.js';

/** The upstream, as its calls see it. */
export interface CallOwner {
  /** Its pool knows what still runs; of a pool that was handed in the calls keep count themselves. */
  readonly ownsPool: boolean;
  /** In the order of the layers: the first one down the line. */
  attempt<T>(call: Call, work: (context: AttemptContext | undefined, signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Breaker, slot and rate. Its task is entered when all of them let it in. */
  admit<T>(task: (context: TaskContext) => unknown, call: Call, signal: AbortSignal): Promise<T>;
  /** A slot to hold by hand. */
  acquire(call: Call, signal: AbortSignal): Promise<HeldSlot>;
  /** Its caller has been told. */
  onAnswered(call: Call): void;
  /** Its caller has been told, and nothing of it runs. */
  onOver(call: Call): void;
}

/**
 * One passage through the layers: of one caller, or of all who share it. It is also the signal that its layers hear.
 *
 * It is over when it was settled and what it runs has ended: until then the upstream can abort and name it.
 */
export class Call extends InnerSignal {
  readonly options: ExecuteOptions;
  readonly totalTimeout: Milliseconds;
  /** Its function was entered, at least once. */
  isEntered = false;
  readonly #owner: CallOwner;
  /** Its caller has the answer. */
  isSettled = false;
  #subscription: AbortSubscription | undefined;
  #endDeadline: (() => void) | undefined;
  #running = 0;

  /** @param signal of its caller, or of the load that it is. */
  constructor(owner: CallOwner, options: ExecuteOptions, totalTimeout: Milliseconds, signal: AbortSignal | undefined) {
    super();
    this.#owner = owner;
    this.options = options;
    this.totalTimeout = totalTimeout;
    if (signal?.aborted === true) this.abort(signal.reason);
    else if (signal !== undefined) this.#subscription = new AbortSubscription(signal, this);
  }

  /** Aborts it when its `totalTimeout` is over, unless it has settled. */
  endWithin(deadlines: Deadlines, source: string): void {
    const timeout = this.totalTimeout;
    const expire = (): void => this.abort(new TimeoutError({ source, timeout, option: 'totalTimeout' }));
    const deadline = deadlines.add(timeout, expire);
    this.#endDeadline = () => deadlines.cancel(deadline);
  }

  /** From now on it may take any time. */
  endDeadline(): void {
    this.#endDeadline?.();
    this.#endDeadline = undefined;
  }

  get group(): Key | undefined {
    return this.options.group;
  }

  get isOver(): boolean {
    return this.isSettled && this.#running === 0;
  }

  onAbort(reason: unknown): void {
    this.abort(reason);
  }

  /** To be followed by `settled`. */
  run<T>(task: UpstreamTask<T>): Promise<T> {
    return this.#owner.attempt(this, (attempt, signal) =>
      this.#owner.admit<T>((context) => this.#enter(task, context, attempt), this, signal),
    );
  }

  readonly settled = (): void => {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#subscription?.end();
    this.endDeadline();
    this.#owner.onAnswered(this);
    this.#look();
  };

  /** Something of it runs until `exited`. */
  entered(): void {
    this.isEntered = true;
    if (!this.#owner.ownsPool) this.#running++;
  }

  readonly exited = (): void => {
    if (this.#owner.ownsPool) return;
    this.#running--;
    this.#look();
  };

  #enter<T>(task: UpstreamTask<T>, context: TaskContext, attempt: AttemptContext | undefined): unknown {
    this.entered();
    if (this.#owner.ownsPool) return task(new UpstreamContext(context, attempt));
    let promise: Promise<unknown>;
    try {
      promise = Promise.resolve(task(new UpstreamContext(context, attempt)));
    } catch (error) {
      this.exited();
      throw error;
    }
    observe(promise, this.exited, this.exited);
    return promise;
  }

  #look(): void {
    if (this.isOver) this.#owner.onOver(this);
  }
}
