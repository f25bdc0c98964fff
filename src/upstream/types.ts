import type { CircuitBreaker, CircuitBreakerOptions } from '../breaker/index.js';
import type { RequestCoalescer, RequestCoalescerOptions } from '../coalescer/index.js';
import type { Awaitable, Key, Milliseconds, Settled, Verdict, WaitUntil } from '../core/types.js';
import type { ExecuteOptions, PromisePool, PromisePoolOptions } from '../pool/index.js';
import type { AttemptContext, RetryPolicy, RetryRules } from '../retry/index.js';

/** Slots, rates and further gates. An `abortGrace` that is not given is the upstream's `timeout`. */
export interface UpstreamPoolOptions extends Omit<PromisePoolOptions, 'name' | 'timeout' | 'classify' | 'signal'> {}

export interface UpstreamCoalesceOptions extends Omit<RequestCoalescerOptions, 'name' | 'loadTimeout'> {
  /** For `stream`: most chunks kept of one stream. Integer >= 1; default 10_000. */
  maxBuffer?: number | undefined;
}

export interface UpstreamBreakerOptions extends Omit<CircuitBreakerOptions, 'name' | 'classify'> {}

export interface UpstreamOptions {
  /** Label of the whole and of its parts. */
  name: string;
  /**
   * Share identical calls (those with the same `key`). Default: off; `{}` for the defaults. A `RequestCoalescer` that is handed in serves
   * `execute`; streams are then shared while they run.
   */
  coalesce?: UpstreamCoalesceOptions | RequestCoalescer | undefined;
  /** Repeat failed attempts; a sleeping retry holds no slot. Default: off; `{}` for the defaults. */
  retry?: RetryRules | RetryPolicy | undefined;
  /** Default: off; `{}` for the defaults. */
  breaker?: UpstreamBreakerOptions | CircuitBreaker | undefined;
  /** Slots and rate. Default: unlimited. */
  pool?: UpstreamPoolOptions | PromisePool | undefined;
  /** Longest single attempt, once it runs, ms. Default Infinity. */
  timeout?: Milliseconds | undefined;
  /**
   * Longest whole call with queueing, retries and waits, ms; of a stream: until its first chunk. Default Infinity. A shared call has that of
   * its first caller.
   */
  totalTimeout?: Milliseconds | undefined;
  /**
   * What a result tells every layer that the upstream makes: pool, breaker, and whether the retry rules would repeat it. Default
   * `classifyResult`. One that throws counts as the default.
   */
  classify?: ((result: Settled<unknown>) => Verdict) | undefined;
}

export interface UpstreamExecuteOptions extends ExecuteOptions {
  /** Calls with equal keys share one result. Needs `coalesce`. It must contain whose view it is. */
  key?: Key | undefined;
  /** Skip the stored value. Needs `key`. */
  fresh?: boolean | undefined;
  /** Keeps a background refresh alive on edge platforms. Needs `key`. */
  waitUntil?: WaitUntil | undefined;
  /** Longest whole call, ms. Default: the upstream's. */
  totalTimeout?: Milliseconds | undefined;
}

/** What `execute` runs. */
export type UpstreamTask<T> = (context: AttemptContext) => Awaitable<T>;
/** What `stream` opens. */
export type UpstreamOpen<T> = (context: AttemptContext) => Awaitable<AsyncIterable<T>>;
