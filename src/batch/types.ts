import type { Awaitable, Executor, Milliseconds, Settled, TaskContext } from '../core/types.js';
import type { ItemContext } from '../pool/types.js';
import type { RetryPolicy, RetryRules } from '../retry/index.js';
import type { ItemFailure } from './item-failure.js';

export interface BatchOptions {
  /**
   * Most calls at once. Integer >= 1 or Infinity. Default 5; with a `pool` that has a `concurrency`: that number, read
   * anew before each start.
   */
  concurrency?: number | undefined;
  /** Run every call through it: a `PromisePool`, or anything with its `execute`. */
  pool?: Executor | undefined;
  /** Least time between two starts, ms. Finite, >= 0; default 0. With a `pool`: between two submissions. */
  delay?: Milliseconds | undefined;
  /**
   * Longest single call, ms, from the moment the function is entered; then an abort and a `TimeoutError`. Default
   * Infinity. If the call runs on for as long again, its lane is given up and counted as `abandoned`, and with it the
   * slot in the `pool`, so that no work can hold a batch up. Without it the same follows from a timeout of the `pool`, but
   * the slot is the pool's to give up. It does not end the wait for an entry: see the pool's `queueTimeout`.
   */
  timeout?: Milliseconds | undefined;
  /**
   * Repeat what failed. Default: no repeats. Only failed items are sent again; one that waits for its turn holds no lane.
   *
   * A `RetryPolicy` brings its budget, hooks and counters, where each item (each chunk) is a call. Its `attemptTimeout`
   * is the default of `timeout`; of its `totalTimeout`: no repeat is waited for that would begin after it.
   */
  retry?: RetryRules | RetryPolicy | undefined;
  /** Stops; what is not done is `skipped`. The report still resolves. */
  signal?: AbortSignal | undefined;
  /** Called after each item. One that throws or rejects is shown on the console once and changes nothing. */
  onProgress?: ((progress: BatchProgress) => void) | undefined;
}

export interface BatchStreamOptions extends BatchOptions {
  /** Default 'input'. 'completion' yields each result as soon as it is there. */
  order?: 'input' | 'completion' | undefined;
  /**
   * Results kept ready ahead of the reader. Integer >= 0 or Infinity; default: the concurrency. What was pulled and not
   * read never exceeds `max(concurrency, buffer)`.
   */
  buffer?: number | undefined;
}

export interface BatchContext extends ItemContext {
  /** 1 at first. */
  readonly attempt: number;
}

interface BatchItem<I> {
  readonly item: I;
  readonly index: number;
  /** Calls that were made for it. 0: none was, e.g. because the pool refused it. */
  readonly attempts: number;
}

export interface BatchFulfilled<I, R> extends BatchItem<I> {
  readonly status: 'fulfilled';
  readonly value: R;
}

export interface BatchRejected<I> extends BatchItem<I> {
  readonly status: 'rejected';
  readonly reason: unknown;
}

/** Never finished: the batch was aborted, with `reason`. */
export interface BatchSkipped<I> extends BatchItem<I> {
  readonly status: 'skipped';
  readonly reason: unknown;
}

/** Same fields as `PromiseSettledResult`, and which item it was. */
export type BatchResult<I, R> = BatchFulfilled<I, R> | BatchRejected<I> | BatchSkipped<I>;

export interface BatchProgress {
  /** Unknown for what is no array. */
  readonly total: number | undefined;
  readonly fulfilled: number;
  readonly rejected: number;
  /** Calls that run now. */
  readonly inFlight: number;
  /** Settled items, since the start. 0 while no time has passed. */
  readonly perSecond: number;
  /** At this speed; unknown without a `total` or a speed. */
  readonly remainingMs: Milliseconds | undefined;
}

export interface BatchStats {
  readonly total: number;
  readonly fulfilled: number;
  readonly rejected: number;
  readonly skipped: number;
  /** Calls sent, repeats included. */
  readonly calls: number;
  readonly retries: number;
  /** Chunks that were halved. */
  readonly splits: number;
  /** Most calls that ran at once; those that were given up do not count. */
  readonly peakInFlight: number;
  /** Calls that still ran one timeout after they had timed out, here or in the pool: their lane was given up. */
  readonly abandoned: number;
  readonly durationMs: Milliseconds;
  /** Settled items. 0 if no time passed. */
  readonly perSecond: number;
  /** rejected / (fulfilled + rejected), 0..1 */
  readonly failureRate: number;
}

export interface BatchReport<I, R> {
  /** Every item fulfilled, and the source was read to its end. */
  readonly ok: boolean;
  /** In input order, dense: `results[i].item` is item i. */
  readonly results: readonly BatchResult<I, R>[];
  /** Values of fulfilled items, in input order. */
  readonly values: readonly R[];
  /** Rejected items, in input order. */
  readonly errors: readonly BatchRejected<I>[];
  readonly stats: BatchStats;
  readonly aborted: boolean;
  /** What the source threw. Present only if it did: it may have thrown `undefined`. */
  readonly inputError?: unknown;
  /**
   * All values, in input order.
   * @throws {AggregateError} not `ok`; `errors` holds the reasons of rejected items, then the abort's, then the
   *   source's error.
   */
  unwrap(): readonly R[];
}

export interface ChunkOptions<I> extends BatchOptions {
  /** Most items in one call. Integer >= 1. */
  size: number;
  /**
   * A second bound, e.g. tokens: items of a call weigh `max` at most; a heavier one goes alone. Weights are numbers >=
   * 0. An item whose `of` throws or gives another value rejects with that error and is not sent.
   */
  weight?: { readonly of: (item: I) => number; readonly max: number } | undefined;
  /** How an item is looked up in a `Map` answer. Default: the item itself. Arrays of primitives are compared by content. */
  key?: ((item: I) => unknown) | undefined;
  /**
   * A call that failed for good: its items reject (default), or it is halved until the bad ones are found. Halves get
   * one attempt each: at most `2 * ceil(log2 n)` extra calls for one bad item among n. Items that `fail` inside a half
   * are decided by the rules, with attempts of their own. A refused call never ran and is not halved.
   */
  onChunkError?: 'reject' | 'split' | undefined;
}

export interface ChunkContext extends TaskContext {
  /** Position of the chunk's first item in the input. */
  readonly offset: number;
  /** 1 at first. Repeats and halves go on counting. */
  readonly attempt: number;
  /**
   * Put this in the answer in place of a value: that item failed. `retry: false` makes it final, `true` has it sent
   * again even if the rules would not. `retryAfter`: the least wait before that, ms; >= 0 or Infinity.
   * @throws {TypeError | RangeError} an option of another type or out of range.
   */
  fail(reason: unknown, options?: { retry?: boolean | undefined; retryAfter?: Milliseconds | undefined }): ItemFailure;
}

/**
 * What a chunk's call answers.
 * - an array: one entry per item, same order, same length. An array of another length says nothing about any of them:
 *   the whole call failed, with a `MissingResultError`;
 * - a `Map`: looked up by `key(item)`, in any order. What it does not cover rejects with `MissingResultError`.
 *
 * A missing result is not sent again, only halved under `onChunkError: 'split'` if the length was wrong: the same call
 * would be answered the same way.
 */
export type ChunkAnswer<R> = Awaitable<readonly (R | ItemFailure)[] | ReadonlyMap<unknown, R | ItemFailure>>;

export interface GatherOptions {
  /** Most tasks at once. Integer >= 1 or Infinity (default): all at once. */
  concurrency?: number | undefined;
  /** Run every task through it. */
  pool?: Executor | undefined;
  /** Longest single task, ms, from the moment it is entered. Default Infinity. */
  timeout?: Milliseconds | undefined;
  /** Repeat what failed. Default: no repeats. */
  retry?: RetryRules | RetryPolicy | undefined;
  /** Stops; what is not done rejects with its reason. */
  signal?: AbortSignal | undefined;
}

export interface GatherReport<T> {
  /** All of it arrived. */
  readonly ok: boolean;
  readonly results: { readonly [N in keyof T]: Settled<T[N]> };
  /** What arrived. Destructure with defaults: `const { history = [] } = report.values`. */
  readonly values: { readonly [N in keyof T]?: T[N] };
  /** What did not. A task may have thrown `undefined`: look for the name, not the value, where that matters. */
  readonly errors: { readonly [N in keyof T]?: unknown };
  /** All of it. @throws {AggregateError} not `ok`; `errors` holds the reasons. */
  unwrap(): { readonly [N in keyof T]: T[N] };
}
