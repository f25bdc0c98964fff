/** A duration in milliseconds. */
export type Milliseconds = number;

/** A value, or a promise (or thenable) of it. */
export type Awaitable<T> = T | PromiseLike<T>;

/** One part of a tuple key. */
export type KeyPart = string | number | bigint | boolean | null | undefined;

/**
 * Names a value (`RequestCoalescer`) or a group (`PromisePool`). Tuples are compared by content: `['a-b', 'c']` and
 * `['a', 'b-c']` differ, and so do `1` and `'1'`. Objects are a TypeError: pass their id.
 */
export type Key = string | number | bigint | symbol | readonly KeyPart[];

export interface TaskContext {
  /** Aborts on the caller's abort, on a timeout and on `close`. Made on first read: free when unused. */
  readonly signal: AbortSignal;
}

/** A function to run once. It must be a function, not a promise: a promise has already started. */
export type Task<T> = (context: TaskContext) => Awaitable<T>;

export interface SignalOptions {
  /** Gives up waiting; rejects with `signal.reason` itself. */
  signal?: AbortSignal | undefined;
}

/** Whatever runs a task: a `PromisePool`, an `Upstream`, a `CircuitBreaker`, a `RetryPolicy`, or your own. */
export interface Executor {
  execute<T>(task: Task<T>, options?: SignalOptions): Promise<T>;
}

/** How a call ended. */
export type Settled<T> =
  | { readonly status: 'fulfilled'; readonly value: T }
  | { readonly status: 'rejected'; readonly reason: unknown };

/**
 * What a call told about its upstream.
 * - `success`: healthy. The answer may be a 404: the upstream works.
 * - `failure`: broken. Counts against a breaker, leaves an adaptive limit alone.
 * - `overload`: too busy (429, 503, 529, a timeout). Counts against both.
 * - `ignore`: tells nothing (the caller's abort, our own refusal).
 */
export type Verdict = 'success' | 'failure' | 'overload' | 'ignore';

/**
 * The platform's way to keep background work alive: Cloudflare's `ctx` itself (not `ctx.waitUntil`, which cannot be
 * detached), Next's `after`, `waitUntil` of Vercel or `cloudflare:workers`.
 */
export type WaitUntil = { waitUntil(promise: Promise<unknown>): void } | ((promise: Promise<unknown>) => void);

export interface CloseOptions {
  /** How long accepted work may finish, ms. Default Infinity; 0 aborts at once. */
  grace?: Milliseconds | undefined;
  /** How long aborted work may react before it is given up, ms. Default 1_000. */
  abortGrace?: Milliseconds | undefined;
  /** Reaches tasks as `signal.reason`. Default a `ClosedError`. */
  reason?: unknown;
}

export interface CloseReport {
  /** Nothing was aborted, refused or left. */
  readonly clean: boolean;
  readonly finished: number;
  readonly aborted: number;
  /** Queued work that never ran. */
  readonly refused: number;
  /** Still running when we stopped waiting: names of background tasks, `pool#group` of pool tasks. */
  readonly left: readonly string[];
}
