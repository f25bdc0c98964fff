import type { Awaitable, Key, Milliseconds, TaskContext, WaitUntil } from '../core/types.js';
import type { CoalescerHooks } from './hooks.js';

export interface RequestCoalescerOptions<V = unknown, K extends Key = Key> {
  /** Label in metrics and errors. Default 'coalescer'. */
  name?: string | undefined;
  /**
   * How long a value is served, ms >= 0 or Infinity, from the end of its load. Default 0: calls share a load only while it
   * is in flight. As a function it is asked once for each value that may be kept; 0 and less keep nothing, nor the value that it
   * replaces, and if it throws or returns no number, the load has failed with that error.
   */
  ttl?: Milliseconds | ((value: V, info: LoadInfo<K>) => Milliseconds) | undefined;
  /**
   * How long an error is served, ms >= 0 or Infinity. Default 0: never. Refusals, aborts and our own `loadTimeout` are never
   * kept, and no error takes the place of a value that may still be served.
   */
  errorTtl?: Milliseconds | undefined;
  /**
   * After `ttl`: how long the old value is served while one refresh runs, also if that fails, ms >= 0 or Infinity. Default 0.
   * After a refresh that failed or brought only a fallback (`noStore`), none is tried for `ttl`, at most 1 s.
   */
  staleTtl?: Milliseconds | undefined;
  /** Largest share by which a `ttl` is shortened at random, 0..1, so that entries do not expire together. Default 0. */
  jitter?: number | undefined;
  /** Most settled values and errors, >= 1 or Infinity; least recently used go first. Default 1000. Flights are never evicted. */
  maxEntries?: number | undefined;
  /**
   * Longest load, ms, then `TimeoutError` to all callers and the key is free again. Default 60_000; Infinity allowed. It
   * never keeps the process alive.
   */
  loadTimeout?: Milliseconds | undefined;
  /** When the last caller left a load: abort it (default), or finish and keep its value. */
  whenOrphaned?: 'abort' | 'finish' | undefined;
  /**
   * Gives each caller its own copy, the first one too, e.g. `structuredClone`. If it throws, that caller's promise rejects.
   * Default: all share one value, so nobody should change it.
   */
  clone?: ((value: V) => V) | undefined;
  /** Told of background refreshes and prefetches, where they outlive the request. Also per call. */
  waitUntil?: WaitUntil | undefined;
  hooks?: CoalescerHooks | undefined;
}

export interface LoadInfo<K extends Key = Key> {
  readonly key: K;
  /** `refresh`: in the background, while a stored value is served. `miss`: every other load. */
  readonly reason: 'miss' | 'refresh';
}

export interface LoadContext<V = unknown, K extends Key = Key> extends LoadInfo<K>, TaskContext {
  /** The value that this load replaces, if there is one: for ETags and other conditional requests. */
  readonly stale: { readonly value: V; readonly ageMs: Milliseconds } | undefined;
  /** Give the value to the waiting callers, but do not keep it: it is a fallback. Does nothing once the load has ended. */
  noStore(): void;
}

/** Makes the value of a key. */
export type Load<T, V, K extends Key> = (context: LoadContext<V, K>) => Awaitable<T>;

export interface CoalesceOptions {
  /** This caller leaves; the others stay. The load is aborted when the last one left. */
  signal?: AbortSignal | undefined;
  /** Skip the stored value; joins a load in flight. To read after a write, `forget` first. Default false. */
  fresh?: boolean | undefined;
  /** Keeps a background refresh alive on edge platforms. Default: the coalescer's. */
  waitUntil?: WaitUntil | undefined;
}

/** What is stored, as `peek` shows it. */
export interface PeekedValue<V> {
  readonly value: V;
  readonly state: 'fresh' | 'stale';
  /** Since the end of its load, ms. */
  readonly ageMs: Milliseconds;
}
