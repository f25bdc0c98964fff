import { AbortSubscription } from '../core/abort.js';
import { NEVER, now } from '../core/clock.js';
import { ignore } from '../core/deferred.js';
import { ClosedError, type RefusedError } from '../core/errors.js';
import type { AcquireRequest, LocalGate } from '../core/gate.js';
import * as check from '../core/options.js';
import type { Permit } from '../core/permit.js';
import type {
  Awaitable,
  CloseOptions,
  CloseReport,
  Executor,
  Milliseconds,
  SignalOptions,
  Task,
} from '../core/types.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import { checkMap, limitOf, turnstileOf } from './check-options.js';
import { Closing } from './closing.js';
import { PoolEngine } from './engine.js';
import { ClearedError } from './errors.js';
import type { PoolHooks } from './hooks.js';
import { Intake } from './intake.js';
import { MapItems } from './map.js';
import type { PoolMetrics } from './metrics.js';
import { Quiet } from './quiet.js';
import { openSource } from './source.js';
import { StreamItems } from './stream.js';
import type {
  AcquireOptions,
  ExecuteOptions,
  ItemContext,
  MapOptions,
  PromisePoolOptions,
  StreamOptions,
} from './types.js';

const HOLDS_NOTHING = { work: ignore, group: undefined, signal: undefined };

/**
 * Bounds how much runs at once. A slot is held until the task's promise settles, whatever the caller was told.
 *
 * Use one pool for each thing that can be overwhelmed: an API, a database, a disk. A task starts inside `execute` if a slot is free;
 * else it waits, first in, first out within a priority and group. Every promise settles, also on `clear` and `close`, provided
 * running tasks end or `abortGrace` is finite. Cost: O(1) a task, whatever the backlog, the limit and the number of groups.
 *
 * Do not await a task of a pool inside a task of the same pool: with all slots held by such tasks nobody can go on. `queueTimeout` then
 * ends the wait.
 *
 * @throws {TypeError | RangeError} from the constructor: an option is out of range.
 * @example
 * const pool = new PromisePool({ concurrency: 5, maxQueue: 1_000, name: 'openai' });
 * const answer = await pool.execute(({ signal }) => fetch(url, { signal }), { timeout: 30_000 });
 */
export class PromisePool implements LocalGate, Executor, AsyncDisposable {
  readonly name: string;
  readonly #engine: PoolEngine;
  readonly #intake: Intake;
  readonly #timeout: Milliseconds;
  readonly #quiet: Quiet;
  readonly #subscription: AbortSubscription | undefined;
  /** See `PoolEngine.kept`. */
  readonly #kept: unknown[] = [];
  #closing: Closing | undefined;

  constructor(options: PromisePoolOptions) {
    check.object('options', options, 'an object with `concurrency`');
    const perGroup = check.options('perGroup', options.perGroup).concurrency;
    this.name = check.text('name', options.name, 'pool');
    const queueTimeout = check.duration('queueTimeout', options.queueTimeout, NEVER);
    this.#timeout = check.duration('timeout', options.timeout, NEVER);
    this.#engine = new PoolEngine({
      name: this.name,
      ...limitOf(options.concurrency),
      perGroup: perGroup === undefined ? NEVER : check.limit('perGroup.concurrency', perGroup),
      maxQueue: check.count('maxQueue', options.maxQueue, NEVER),
      abortGrace: check.duration('abortGrace', options.abortGrace, NEVER),
      hooks: options.hooks,
      classify: check.optionalCallable('classify', options.classify),
      maxPause: check.duration('maxPause', options.maxPause, 60_000),
      turnstile: (deadlines, wake) => turnstileOf(options, deadlines, wake),
    });
    this.#intake = new Intake(this.#engine, this.#timeout, queueTimeout);
    this.#quiet = new Quiet(this.#engine);
    this.#engine.onQuiet = () => this.#onQuiet();
    const signal = check.abortSignal('signal', options.signal);
    if (signal?.aborted === true) this.#closeBySignal(signal.reason);
    else if (signal !== undefined)
      this.#subscription = new AbortSubscription(signal, { onAbort: (reason) => this.#closeBySignal(reason) });
  }

  /**
   * The limit now. Setting it resizes at once: growth starts waiting work in the same turn, shrinking waits for running work to end. A number
   * replaces an adaptive limit.
   */
  get concurrency(): number {
    return this.#engine.admission.limit;
  }

  set concurrency(limit: number | ConcurrencyLimit) {
    const { limit: number, adaptive } = limitOf(limit);
    this.#engine.feedback.adaptive = adaptive;
    this.#engine.admission.resize(number);
  }

  /** Tasks in a slot, those that are overdue included. */
  get running(): number {
    return this.#engine.counters.running;
  }

  /** Tasks that wait. */
  get queued(): number {
    return this.#engine.counters.queued;
  }

  get isPaused(): boolean {
    return this.#engine.admission.isPaused;
  }

  /**
   * Runs `task` when a slot is free and settles as it does. The task runs in the async context of this call.
   *
   * The task gets a signal that aborts on the caller's abort, on `timeout` and on `close`. The caller is then answered at once; a
   * task that does not listen runs on and keeps its slot (it is overdue).
   *
   * @throws {RefusedError} it never ran: queue full, waited too long, cleared, closed, a gate said no.
   * @throws {TimeoutError} it ran longer than `timeout`.
   */
  execute<T>(task: Task<T>, options?: ExecuteOptions): Promise<T> {
    try {
      return this.#intake.submit(check.callable('task', task), options) as Promise<T>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same function, through the pool. It sees neither the signal nor `this`: where they matter, write
   * `(id) => pool.execute(...)`.
   */
  wrap<A extends unknown[], R>(fn: (...args: A) => Awaitable<R>, options?: ExecuteOptions): (...args: A) => Promise<R> {
    check.callable('fn', fn);
    return (...args) => this.execute(() => fn(...args), options);
  }

  /**
   * Results in input order. The first error aborts the other items, waits for them, closes the source, then rejects; the caller's
   * abort rejects at once. To keep every outcome, use `batchAllSettled`.
   *
   * Sources are read lazily, as slots come free: an infinite generator is fine. Items are tasks in every counter, outside `maxQueue`
   * and `queueTimeout`.
   */
  map<I, R>(
    items: Iterable<I> | AsyncIterable<I>,
    work: (item: I, context: ItemContext) => Awaitable<R>,
    options?: MapOptions<I>,
  ): Promise<R[]> {
    try {
      const checked = checkMap(this.#engine, this.#timeout, items, work, options);
      if (this.#engine.isClosing) throw new ClosedError({ source: this.name });
      if (checked.signal?.aborted === true) throw checked.signal.reason;
      this.#engine.wasIdle = false;
      this.#kept[0] ??= new MapItems({ ...checked, ...openSource([]), ...HOLDS_NOTHING });
      const map = new MapItems<I, R>({ ...checked, ...openSource(items) });
      map.begin();
      return map.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * `map` as a stream, with back-pressure: nothing is pulled before the first `next()`, and what was pulled but not read never exceeds
   * `max(concurrency, buffer)`. Leaving the loop aborts what runs and closes the source. After an error of its own it yields what is ready
   * in order, waits for what runs, and throws.
   *
   * @throws {TypeError | RangeError} at once: a bad argument.
   */
  stream<I, R>(
    items: Iterable<I> | AsyncIterable<I>,
    work: (item: I, context: ItemContext) => Awaitable<R>,
    options?: StreamOptions<I>,
  ): AsyncGenerator<R, void, undefined> {
    const checked = { ...checkMap(this.#engine, this.#timeout, items, work, options), ...openSource(items) };
    const order = check.oneOf('order', options?.order, ['input', 'completion'], 'input');
    const buffer = options?.buffer === undefined ? undefined : check.count('buffer', options.buffer, 0);
    this.#engine.wasIdle = false;
    this.#kept[1] ??= new StreamItems({ ...checked, order, buffer, ...openSource([]), ...HOLDS_NOTHING });
    return new StreamItems<I, R>({ ...checked, order, buffer });
  }

  /**
   * A slot to hold by hand, e.g. while a stream is read: `using slot = await pool.acquire({ signal })`. It counts as running until
   * it is released; `signal` ends the wait only. On `close` the permit's own signal aborts after the grace.
   *
   * @throws {RefusedError} as `execute`.
   */
  acquire(options?: AcquireOptions): Promise<Permit> {
    try {
      const given = check.options('options', options);
      if ((given as ExecuteOptions).timeout !== undefined) {
        throw new TypeError('A held slot has no run `timeout`: release it when its work has ended');
      }
      return this.#intake.submit(undefined, given) as Promise<Permit>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * A held slot, if there is one now that nobody waits for: for those who admit work themselves. Else the refusal, or ms until it is worth
   * asking again (Infinity: when `onChange` calls). A pool with gates beyond this process refuses: they cannot answer at once.
   *
   * @throws {TypeError | RangeError} a bad `cost` or `group`.
   */
  tryAcquire(request?: AcquireRequest): Permit | RefusedError | Milliseconds {
    return this.#intake.tryAcquire(request);
  }

  /** `wake` is called when a slot has come free, or the pool closes. Returns the function that ends it. */
  onChange(wake: () => void): () => void {
    return this.#quiet.onChange(wake);
  }

  /** @internal */
  get isRemote(): boolean {
    return (this.#engine.admission.turnstile?.remotes.length ?? 0) > 0;
  }

  /**
   * What `execute` would say of its options, in a throw.
   *
   * @internal
   */
  check(options: ExecuteOptions): void {
    this.#intake.check(options);
  }

  /** @internal */
  shutReason(): RefusedError | undefined {
    return this.#engine.isClosing ? new ClosedError({ source: this.name }) : undefined;
  }

  /** Starts nothing new until `resume`. Running tasks go on, new ones are accepted and wait. */
  pause(): void {
    if (this.#closing === undefined) this.#engine.admission.isPaused = true;
  }

  resume(): void {
    this.#engine.admission.isPaused = false;
    this.#engine.admission.pump();
  }

  /**
   * Empties the queue: its tasks reject with `reason`, default a `ClearedError`. Returns how many. Running tasks and `map` calls go on,
   * the pool stays usable. A cleared promise that nobody looks at is no unhandled rejection.
   */
  clear(reason?: unknown): number {
    return this.#engine.refuseAll(reason === undefined ? new ClearedError({ source: this.name }) : reason);
  }

  /** Fulfils when nothing runs and nothing waits. With tasks waiting in a paused pool, that is after `resume`. */
  onIdle(options?: SignalOptions): Promise<void> {
    return this.#quiet.wait(0, options);
  }

  /** Fulfils when fewer than `size` tasks wait: for producers that must not run ahead. */
  onQueueBelow(size: number, options?: SignalOptions): Promise<void> {
    try {
      check.positiveInteger('size', size);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#quiet.wait(size, options);
  }

  /**
   * Takes nothing new: later submissions reject with `ClosedError`. Accepted work may finish for `grace`; then waiting tasks reject with
   * `ClosedError` and running ones are aborted with `reason`. A paused pool resumes. Idempotent: all calls get the same report, and a
   * later one may only shorten the grace.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    try {
      const closing = this.#closing ?? new Closing(this.#engine);
      const isFirst = this.#closing === undefined;
      this.#closing = closing;
      this.#engine.isWatched = true;
      this.#engine.isClosing = true;
      try {
        closing.ask(options, now());
      } catch (error) {
        if (isFirst) this.#reopen();
        throw error;
      }
      this.#subscription?.end();
      this.resume();
      return closing.report;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `close()`: the block ends when the work has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Adds hooks; returns the function that ends it. @throws {TypeError} not an object of functions. */
  subscribe(hooks: PoolHooks): () => void {
    return this.#engine.hooks.subscribe(hooks);
  }

  getMetrics(): PoolMetrics {
    return this.#engine.counters.snapshot(this.name, this.concurrency, this.isPaused);
  }

  /** A first `close` with bad options has not happened. */
  #reopen(): void {
    this.#closing = undefined;
    this.#engine.isClosing = false;
  }

  #closeBySignal(reason: unknown): void {
    void this.close({ grace: 0, reason });
  }

  /** Something has left the queue or a slot. */
  #onQuiet(): void {
    this.#quiet.look();
    this.#closing?.look();
    this.#engine.isWatched = this.#closing !== undefined || this.#quiet.isAwaited;
    if (this.#engine.wasIdle || !this.#engine.isIdle) return;
    this.#engine.wasIdle = true;
    const { hooks } = this.#engine;
    const { onIdle } = hooks.listeners;
    if (onIdle !== undefined) hooks.tell(onIdle, { name: this.name });
  }
}
