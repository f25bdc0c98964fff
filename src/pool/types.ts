import type { Awaitable, Key, Milliseconds, SignalOptions, TaskContext } from '../core/types.js';
import type { PoolHooks } from './hooks.js';

export interface PromisePoolOptions {
  /** Most tasks at once: integer >= 1, or `Infinity`. */
  concurrency: number;
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
  /** Limits for each group (`execute(task, { group })`). Groups share fairly even without it. */
  perGroup?: GroupLimits | undefined;
  /** Its abort closes the pool with `grace: 0`. */
  signal?: AbortSignal | undefined;
  hooks?: PoolHooks | undefined;
}

export interface GroupLimits {
  /** Most tasks of one group at once, those without a group being one. Default: the pool's. */
  concurrency?: number | undefined;
}

/** How a task waits for its slot. */
export interface AcquireOptions extends SignalOptions {
  /** Default 'normal'. Low priority is never starved. */
  priority?: 'high' | 'normal' | 'low' | undefined;
  /** Whose work it is: tenant, host, channel. Groups of the same priority take turns. */
  group?: Key | undefined;
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
}

export interface StreamOptions<I = unknown> extends MapOptions<I> {
  /** Default 'input'. 'completion' yields each result as soon as it is there. */
  order?: 'input' | 'completion' | undefined;
  /** Results kept ready ahead of the reader. Integer >= 0; default: the concurrency. */
  buffer?: number | undefined;
}
