import type { Deadline, Deadlines } from '../core/deadlines.js';
import { markHandled, observe } from '../core/deferred.js';
import { ClosedError, isBranded, TimeoutError } from '../core/errors.js';
import { read } from '../core/read.js';
import { LazyContext } from '../core/task-context.js';
import type { Executor, Milliseconds, SignalOptions, TaskContext } from '../core/types.js';
import { CallContext } from './call-context.js';

/** What a lane needs of the window it belongs to. `J` is what one call is about. */
export interface LaneOwner<J> {
  readonly settings: {
    readonly source: string;
    readonly pool: Executor | undefined;
    readonly timeout: Milliseconds;
    readonly signal: AbortSignal | undefined;
  };
  readonly deadlines: Deadlines;
  /** The work is about to be entered. */
  entered(job: J): void;
  makeContext(job: J, outer: TaskContext | undefined): CallContext;
  /** Enters the work. May throw. */
  call(job: J, context: CallContext): unknown;
  /** The work ended; not told of work that was given up. */
  exited(): void;
  /** The outcome of a job is known. Told once per job. @param freed the lane, if nothing of the job runs any more. */
  settled(job: J, isFulfilled: boolean, result: unknown, freed: Lane<J> | undefined): void;
  /** Nothing of a job that was settled before, or given up by the batch, runs any more. */
  vacated(lane: Lane<J>): void;
  /** Its work did not end in time: the lane is lost. @param running how many entries have no exit. */
  gaveUp(running: number): void;
}

/**
 * One lane of a window: one call at a time, its reactions made once and used for call after call.
 *
 * The outcome of a job and the end of its work are two events. Without a timeout and a pool they are one; a timeout
 * settles the job while its work goes on, and a pool may answer before, after or without the work. The lane is taken
 * until both have happened, or until the work has had a second `timeout` to notice the abort: the batch's own or, where
 * it has none, the one by which the pool gave the work up.
 */
export class Lane<J> {
  readonly #owner: LaneOwner<J>;
  /** Undefined once its outcome is known. */
  #job: J | undefined;
  /** Behind a pool: stands for this call, and is what the pool is told to abort by. */
  #submission: LazyContext | undefined;
  /** Of the work entered last. */
  #context: CallContext | undefined;
  /** What the pool gave to it. */
  #outer: TaskContext | undefined;
  /** The pool's own timeout that work of this call has not heeded, ms. */
  #unheeded: Milliseconds | undefined;
  #deadline: Deadline | undefined;
  /** Ends the pool's task before its work. */
  #release: ((reason: unknown) => void) | undefined;
  #isOverdue = false;
  #isGivenUp = false;
  /** The promise of the call, or of the pool, is not settled. */
  #isPending = false;
  /** Entries without an exit. More than one only if an executor of its own mind repeats what still runs. */
  #running = 0;

  constructor(owner: LaneOwner<J>) {
    this.#owner = owner;
  }

  start(job: J): void {
    const { pool } = this.#owner.settings;
    this.#job = job;
    this.#isPending = true;
    this.#isOverdue = false;
    observe(
      pool === undefined ? this.#enter(job, undefined) : this.#submit(pool, job),
      this.#fulfilled,
      this.#rejected,
    );
  }

  /** The batch is over: whatever comes of the call, nobody waits for it. */
  abort(reason: unknown): void {
    this.#job = undefined;
    this.#cut(reason);
  }

  #submit(pool: Executor, job: J): Promise<unknown> {
    const { settings } = this.#owner;
    const hasTimeout = settings.timeout !== Number.POSITIVE_INFINITY;
    const submission = new LazyContext();
    this.#submission = submission;
    // An executor may repeat a task, so there may be several entries; it may also come too late, when nobody waits any more.
    const task = (outer?: TaskContext): Promise<unknown> => {
      const isClosed = this.#submission !== submission || this.#job === undefined;
      if (isClosed) throw new ClosedError({ source: settings.source });
      // A repeat of what still runs.
      if (this.#running > 0) this.#noteTimeout();
      this.#outer = outer;
      const work = this.#enter(job, outer);
      const context = this.#context as CallContext;
      const exit = (): void => this.#exit(context);
      observe(work, exit, exit);
      return hasTimeout ? this.#untilGivenUp(work) : work;
    };
    // A signal per call is made only where the call can end alone.
    const options: SignalOptions = { signal: hasTimeout ? submission.signal : settings.signal };
    return promised(() => pool.execute(task, options));
  }

  /** Ends with the work or with the lane: what is given up must not hold the pool's slot either, or the batch would never end. */
  #untilGivenUp(work: Promise<unknown>): Promise<unknown> {
    const ended = new Promise((resolve, reject) => {
      this.#release = reject;
      observe(work, resolve, reject);
    });
    // An executor need not look at it.
    markHandled(ended);
    return ended;
  }

  #enter(job: J, outer: TaskContext | undefined): Promise<unknown> {
    const owner = this.#owner;
    const { timeout } = owner.settings;
    this.#running++;
    owner.entered(job);
    const context = owner.makeContext(job, outer);
    this.#context = context;
    if (timeout !== Number.POSITIVE_INFINITY) {
      this.#endDeadline();
      this.#deadline = owner.deadlines.add(timeout, this.#onTime);
    }
    try {
      return Promise.resolve(owner.call(job, context));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readonly #fulfilled = (value: unknown): void => this.#settle(true, value);
  readonly #rejected = (error: unknown): void => this.#settle(false, error);

  #settle(isFulfilled: boolean, result: unknown): void {
    this.#isPending = false;
    // Without a pool this promise is the work's own.
    if (this.#submission === undefined) this.#left();
    const job = this.#job;
    this.#job = undefined;
    const isFree = this.#clear();
    if (!isFree && job !== undefined) this.#setGrace(isFulfilled ? undefined : result);
    if (job !== undefined) this.#owner.settled(job, isFulfilled, result, isFree ? this : undefined);
    else if (isFree) this.#owner.vacated(this);
  }

  /** Work runs on behind the pool's answer. Where the pool's timeout gave it up, the lane need not wait for ever either. */
  #setGrace(error: unknown): void {
    const { settings, deadlines } = this.#owner;
    if (settings.timeout !== Number.POSITIVE_INFINITY) return;
    this.#noteTimeout();
    const grace = this.#unheeded ?? timeoutOf(error);
    if (grace === undefined) return;
    this.#isOverdue = true;
    this.#deadline = deadlines.add(grace, this.#onTime);
  }

  #noteTimeout(): void {
    this.#unheeded = timeoutOf(read(read(this.#outer, 'signal'), 'reason')) ?? this.#unheeded;
  }

  #exit(context: CallContext): void {
    CallContext.end(context);
    this.#left();
    // Between two entries of one call no time is counted.
    if (this.#running === 0 && !this.#isOverdue) this.#endDeadline();
    if (this.#clear()) this.#owner.vacated(this);
  }

  #left(): void {
    this.#running--;
    if (!this.#isGivenUp) this.#owner.exited();
  }

  /** Answers whether it is free. */
  #clear(): boolean {
    if (this.#isPending || this.#running > 0 || this.#isGivenUp) return false;
    this.#endDeadline();
    this.#submission = undefined;
    this.#context = undefined;
    this.#outer = undefined;
    this.#unheeded = undefined;
    return true;
  }

  /** The time of the work is up, or that of the work which should have ended by now. */
  readonly #onTime = (): void => {
    const { settings, deadlines } = this.#owner;
    const { source, timeout } = settings;
    if (this.#isOverdue) {
      this.#isGivenUp = true;
      this.#release?.(this.#context?.signal.reason);
      this.#owner.gaveUp(this.#running);
      return;
    }
    this.#isOverdue = true;
    this.#deadline = deadlines.add(timeout, this.#onTime);
    const error = new TimeoutError({ source, timeout, option: 'timeout' });
    const job = this.#job;
    this.#job = undefined;
    if (job !== undefined) this.#owner.settled(job, false, error, undefined);
    this.#cut(error);
  };

  #cut(reason: unknown): void {
    if (this.#submission !== undefined) LazyContext.abort(this.#submission, reason);
    if (this.#context !== undefined) CallContext.cut(this.#context, reason);
  }

  #endDeadline(): void {
    if (this.#deadline !== undefined) this.#owner.deadlines.cancel(this.#deadline);
    this.#deadline = undefined;
  }
}

/** The limit that was exceeded, ms, if `error` is a timeout of this package. */
function timeoutOf(error: unknown): Milliseconds | undefined {
  return isBranded(error) && error.code === 'TIMEOUT' ? (read(error, 'timeout') as Milliseconds) : undefined;
}

/** Calls `fn`; what it throws is a rejection like any other. */
function promised(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}
