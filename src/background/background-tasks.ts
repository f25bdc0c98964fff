import { AbortSubscription } from '../core/abort.js';
import { Deadlines } from '../core/deadlines.js';
import { ignore, observe, PromiseMaker } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import {
  abortSignal,
  count,
  duration,
  limit,
  oneOf,
  optionalCallable,
  options,
  text,
  wrongType,
} from '../core/options.js';
import type { CloseOptions, CloseReport, Milliseconds } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import { QueueFullError } from '../pool/errors.js';
import { BackgroundTask, type TaskGroup } from './background-task.js';
import { BoundedWait } from './bounded-wait.js';
import { Closing } from './closing.js';
import { Counters, type Tally } from './counters.js';
import { Failures } from './failures.js';
import { TaskQueue } from './task-queue.js';
import { readSpec } from './task-spec.js';
import type {
  BackgroundContext,
  BackgroundHooks,
  BackgroundMetrics,
  BackgroundTaskOptions,
  BackgroundTasksOptions,
  TaskHandle,
  TaskOutcome,
} from './types.js';

/** Microtasks that a group must have been empty for. */
const LOOKS = 8;

function needs(option: string, other: string, value: unknown): void {
  if (value === undefined) throw new TypeError(`\`${option}\` has no effect without \`${other}\``);
}

/**
 * Owns detached work: bounded, counted, drained at shutdown.
 *
 * - Nothing crashes the process and nothing is swallowed: a failure goes to the task's `onError`, else the group's, else the
 *   console. A cancelled task did not fail.
 * - A task starts in a microtask, never inside `run`, first in, first out, and in its caller's async context, also where it had
 *   to wait. It holds its place until its work has really ended, whatever its outcome was by then.
 * - Every handle's `done` settles, provided the work ends, has a `timeout`, is cancelled, or the group is closed.
 * - An idle group holds no timer and never keeps the process alive. There are no signal handlers and no `process.exit` here:
 *   call `close` from your own.
 *
 * Not durable: what must survive a crash goes to a job queue. O(1) per task in backlog and signals.
 *
 * @example
 * const background = new BackgroundTasks({ name: 'analytics', concurrency: 4, maxQueue: 1_000, overflow: 'drop-oldest' });
 * background.run(() => track('chat'), { name: 'track', timeout: 5_000, retry: {} });
 * process.on('SIGTERM', async () => {
 *   const { left } = await background.close({ grace: 10_000 });
 *   if (left.length > 0) console.warn('lost', left);
 * });
 */
export class BackgroundTasks implements AsyncDisposable {
  static #shared: BackgroundTasks | undefined;

  /** The group behind `fireAndForget`, made on first use. Assign your own at start-up: to log, to bound, to test. */
  static get shared(): BackgroundTasks {
    BackgroundTasks.#shared ??= new BackgroundTasks();
    return BackgroundTasks.#shared;
  }

  /** @throws {TypeError} not such a group. */
  static set shared(tasks: BackgroundTasks) {
    // By shape: it may come from another copy of the package.
    const isGroup = typeof (tasks as { run?: unknown } | null | undefined)?.run === 'function';
    if (!isGroup) throw wrongType('BackgroundTasks.shared', 'a BackgroundTasks', tasks);
    BackgroundTasks.#shared = tasks;
  }

  readonly name: string;
  readonly #group: TaskGroup;
  readonly #concurrency: number;
  readonly #maxQueue: number;
  readonly #dropsOldest: boolean;
  readonly #failures: Failures;
  readonly #hooks: HookSet<BackgroundHooks>;

  /** Those with a place. Held strongly: a task that nobody else refers to would vanish with its work. */
  readonly #running = new Set<BackgroundTask>();
  readonly #queue = new TaskQueue();
  readonly #counters = new Counters();
  readonly #waits = new Set<BoundedWait>();
  #closing: Closing | undefined;
  /** How often to look still before the group counts as empty; 0 while nobody looks. */
  #looks = 0;

  /** @throws {TypeError | RangeError} an option is of a wrong type or out of range. */
  constructor(given?: BackgroundTasksOptions) {
    const asked = options('options', given);
    this.name = text('name', asked.name, 'background');
    this.#concurrency =
      asked.concurrency === undefined ? Number.POSITIVE_INFINITY : limit('concurrency', asked.concurrency);
    this.#maxQueue = count('maxQueue', asked.maxQueue, Number.POSITIVE_INFINITY);
    this.#dropsOldest = oneOf('overflow', asked.overflow, ['reject', 'drop-oldest'], 'reject') === 'drop-oldest';
    // What has no effect misleads: such a group is not bounded.
    if (asked.maxQueue !== undefined) needs('maxQueue', 'concurrency', asked.concurrency);
    if (asked.overflow !== undefined) needs('overflow', 'maxQueue', asked.maxQueue);
    this.#failures = new Failures(this.name, optionalCallable('onError', asked.onError));
    this.#hooks = new HookSet<BackgroundHooks>(this.name, ['onStart', 'onSettle'], asked.hooks);
    this.#group = {
      name: this.name,
      deadlines: new Deadlines(),
      promises: new PromiseMaker(),
      onStart: (task) => this.#onStart(task),
      count: (task, outcome, runMs) => {
        this.#queue.remove(task);
        this.#counters.count(task, outcome, runMs);
      },
      tell: (task, outcome, runMs) => this.#tell(task, outcome, runMs),
      onEnd: (task) => this.#onEnd(task),
    };
  }

  /** Tasks with a place, those included whose outcome is known but whose work goes on. */
  get running(): number {
    return this.#running.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Starts `task` in a microtask if there is a place, else queues it, and returns at once. Its result is dropped.
   * Never throws: a refusal, a bad argument and a `waitUntil` that cannot be called are outcomes, and `onError` is told.
   */
  run(task: (context: BackgroundContext) => unknown, given?: BackgroundTaskOptions): TaskHandle {
    const spec = readSpec(task, given);
    const entry = new BackgroundTask(this.#group, spec);
    if (spec.fault !== undefined) {
      entry.fail(spec.fault.error);
    } else if (spec.signal?.aborted === true) {
      this.#counters.accepted++;
      entry.cancel(spec.signal.reason);
    } else if (this.#closing !== undefined) {
      entry.refuse(new ClosedError({ source: this.name }));
    } else if (this.#running.size < this.#concurrency) {
      this.#counters.accepted++;
      this.#running.add(entry);
      entry.admit();
      entry.start();
    } else if (this.#queue.length < this.#maxQueue) {
      this.#enqueue(entry);
    } else {
      this.#overflow(entry);
    }
    return entry.handle;
  }

  /**
   * Waits until nothing is left, tasks born meanwhile included (also up to 8 microtasks after the last `done`), or `timeout` (ms,
   * >= 0, default Infinity) is over. Still takes new tasks. The report counts from this call; `left` names what runs or waits.
   * @throws {TypeError | RangeError} a bad argument. Rejects with `signal.reason` itself when `signal` aborts.
   */
  async drain(given?: { timeout?: Milliseconds | undefined; signal?: AbortSignal | undefined }): Promise<CloseReport> {
    const asked = options('options', given);
    const timeout = duration('timeout', asked.timeout, Number.POSITIVE_INFINITY);
    const signal = abortSignal('signal', asked.signal);
    signal?.throwIfAborted();
    const since = this.#counters.tally();
    const wait = new BoundedWait(timeout);
    const subscription = signal && new AbortSubscription(signal, { onAbort: wait.end });
    await this.#untilEmpty(wait);
    subscription?.end();
    signal?.throwIfAborted();
    return this.#report(since);
  }

  /**
   * Takes nothing new, lets accepted work finish for `grace`, then refuses what has not begun and aborts what runs, waits
   * `abortGrace`, and names in `left` what runs on even so. Every `done` has settled by then.
   *
   * Idempotent: all calls share one report. A later call can only shorten the two times, and give a `reason` where none was given.
   * @throws {TypeError | RangeError} a bad argument; the group stays open.
   */
  close(given?: CloseOptions): Promise<CloseReport> {
    try {
      const { grace, abortGrace, reason } = options('options', given);
      this.#close(
        duration('grace', grace, Number.POSITIVE_INFINITY),
        duration('abortGrace', abortGrace, 1_000),
        reason,
      );
      return (this.#closing as Closing).done;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `close()`: the block ends when the work has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Adds observers; returns the function that ends it. One that throws or rejects is contained and reported once. */
  subscribe(hooks: BackgroundHooks): () => void {
    return this.#hooks.subscribe(hooks);
  }

  getMetrics(): BackgroundMetrics {
    return this.#counters.metrics(this.name, this.running, this.queued);
  }

  get #isEmpty(): boolean {
    return this.#running.size === 0 && this.#queue.length === 0;
  }

  #enqueue(task: BackgroundTask): void {
    this.#counters.accepted++;
    this.#queue.push(task);
    task.admit();
  }

  #overflow(task: BackgroundTask): void {
    const full = new QueueFullError({ source: this.name, maxQueue: this.#maxQueue });
    const oldest = this.#dropsOldest ? this.#queue.shift() : undefined;
    if (oldest === undefined) {
      task.refuse(full);
    } else {
      this.#enqueue(task);
      oldest.refuse(full);
    }
  }

  #onStart(task: BackgroundTask): void {
    const { onStart } = this.#hooks.listeners;
    if (onStart !== undefined) this.#hooks.tell(onStart, { name: this.name, task: task.spec.name });
  }

  #tell({ spec }: BackgroundTask, outcome: TaskOutcome, runMs: Milliseconds): void {
    if (outcome.status === 'rejected' || outcome.status === 'refused')
      this.#failures.tell(spec.name, outcome, spec.onError);
    const { onSettle } = this.#hooks.listeners;
    if (onSettle !== undefined) this.#hooks.tell(onSettle, { name: this.name, task: spec.name, outcome, runMs });
  }

  #onEnd(task: BackgroundTask): void {
    if (!this.#running.delete(task)) return;
    while (this.#queue.length > 0 && this.#running.size < this.#concurrency) {
      const next = this.#queue.shift() as BackgroundTask;
      this.#running.add(next);
      next.start();
    }
    if (!this.#isEmpty || this.#waits.size === 0) return;
    if (this.#looks === 0) observe(Promise.resolve(), this.#look, ignore);
    this.#looks = LOOKS;
  }

  /** Some microtasks later: whoever awaited the last task's `done` has had its turn, and may have started another. */
  readonly #look = (): void => {
    this.#looks = this.#isEmpty ? this.#looks - 1 : 0;
    if (this.#looks > 0) observe(Promise.resolve(), this.#look, ignore);
    else if (this.#isEmpty) for (const wait of this.#waits) wait.end();
  };

  async #untilEmpty(wait: BoundedWait): Promise<void> {
    if (this.#isEmpty) wait.end();
    this.#waits.add(wait);
    await wait.over;
    this.#waits.delete(wait);
  }

  #close(grace: Milliseconds, abortGrace: Milliseconds, reason: unknown): void {
    if (this.#closing !== undefined) {
      this.#closing.shorten(grace, abortGrace, reason);
      return;
    }
    const since = this.#counters.tally();
    const group = {
      isEmpty: () => this.#isEmpty,
      untilEmpty: (wait: BoundedWait) => this.#untilEmpty(wait),
      abort: (given: unknown) => this.#abort(given),
      report: () => this.#report(since),
    };
    this.#closing = new Closing(group, abortGrace, reason);
    this.#closing.begin(grace);
  }

  #abort(given: unknown): void {
    const closed = new ClosedError({ source: this.name });
    const reason = given === undefined ? closed : given;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) task.refuse(closed);
    for (const task of [...this.#running]) {
      if (task.wasEntered) task.cancel(reason);
      else task.refuse(closed);
    }
  }

  #report(since: Tally): CloseReport {
    const left = [...this.#running, ...this.#queue.list()].map(({ spec }) => spec.name);
    return this.#counters.reportSince(since, left);
  }
}
