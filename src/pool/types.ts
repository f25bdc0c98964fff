import type { AcquireRequest, Gate } from '../core/gate.js';
import type { Awaitable, Key, Milliseconds, Settled, SignalOptions, TaskContext, Verdict } from '../core/types.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import type { RateLimit, RateLimiter } from '../limits/rate-limiter.js';
import type { PoolHooks } from './hooks.js';

export interface PromisePoolOptions {
  /** Most tasks at once: integer >= 1, `Infinity`, or an adaptive limit: `aimdLimit()`, `vegasLimit()`. */
  concurrency: number | ConcurrencyLimit;
  /** Label in metrics and errors. Default 'pool'. */
  name?: string | undefined;
  /** Most tasks that wait; one more rejects with `QueueFullError`. Default Infinity: set it in servers. 0 = never wait. */
  maxQueue?: number | undefined;
  /** Longest wait for a slot, ms, else `QueueTimeoutError`. Default Infinity. */
  queueTimeout?: Milliseconds | undefined;
  /**
   * Longest run, ms: the caller gets `TimeoutError`, the task an abort; the slot stays taken until the task really ends.
   * Default Infinity.
   */
  timeout?: Milliseconds | undefined;
  /**
   * After a timeout or abort: ms until the slot is given up although the task runs on (counted as `abandoned`).
   * Default Infinity.
   */
  abortGrace?: Milliseconds | undefined;
  /**
   * Starts per time. Several may hold at once, e.g. requests and tokens a minute. A waiting task holds no slot. The task at the head waits
   * for its turn, and all others behind it, so a large cost is never overtaken by small ones.
   */
  rateLimit?: RateLimit | RateLimiter | readonly (RateLimit | RateLimiter)[] | undefined;
  /**
   * A result with a Retry-After pauses the rate limits until then, but never longer than this, ms. Default 60_000; 0 = never. Without
   * `rateLimit` nothing is paused.
   */
  maxPause?: Milliseconds | undefined;
  /**
   * Further admission, asked in order once a slot is free: a breaker, a semaphore shared over Redis. Gates of this process are asked before
   * the slot is taken, those beyond it while the slot is held. What they throw rejects the task. If the `signal` of a permit from beyond
   * this process aborts, the task is aborted.
   */
  gates?: readonly Gate[] | undefined;
  /** Limits for each group (`execute(task, { group })`). Groups share fairly even without it. */
  perGroup?: GroupLimits | undefined;
  /** What a result tells gates and adaptive limits. Default `classifyResult`. One that throws counts as the default. */
  classify?: ((result: Settled<unknown>) => Verdict) | undefined;
  /** Its abort closes the pool with `grace: 0`. */
  signal?: AbortSignal | undefined;
  hooks?: PoolHooks | undefined;
}

export interface GroupLimits {
  /** Most tasks of one group at once, those without a group being one. Default: the pool's. */
  concurrency?: number | undefined;
  /** Starts per time of one group, e.g. one request a second to each host. Others pass by a group that has to wait. */
  rateLimit?: RateLimit | undefined;
}

/** How a task waits for its slot. */
export interface AcquireOptions extends AcquireRequest {
  /** Default 'normal'. Low priority is never starved. */
  priority?: 'high' | 'normal' | 'low' | undefined;
  /** Longest wait for a slot, ms. Default: the pool's. 0 = now or never. */
  queueTimeout?: Milliseconds | undefined;
}

export interface ExecuteOptions extends AcquireOptions {
  /** Longest run, ms. Default: the pool's. */
  timeout?: Milliseconds | undefined;
}

export interface ItemContext extends TaskContext {
  /** Position in the input, from 0. */
  readonly index: number;
}

/** A function to run for each item. */
export type ItemWork<I, R> = (item: I, context: ItemContext) => Awaitable<R>;

/** `map` and `stream` pull their items as slots come free: they wait outside `maxQueue` and `queueTimeout`. */
export interface MapOptions<I = unknown> extends SignalOptions {
  /**
   * Most items of this call at once, within the pool's limit. Default: the pool's; needed over an unlimited pool, unless `items`
   * is an array.
   */
  concurrency?: number | undefined;
  /** Longest run of one item, ms. Default: the pool's. */
  timeout?: Milliseconds | undefined;
  priority?: ExecuteOptions['priority'];
  /** Whose work an item is. */
  group?: Key | ((item: I) => Key) | undefined;
  /** Units of rate limits that count cost. */
  cost?: number | ((item: I) => number) | undefined;
}

export interface StreamOptions<I = unknown> extends MapOptions<I> {
  /** Default 'input'. 'completion' yields each result as soon as it is there. */
  order?: 'input' | 'completion' | undefined;
  /** Results kept ready ahead of the reader. Integer >= 0; default: the concurrency. */
  buffer?: number | undefined;
}
