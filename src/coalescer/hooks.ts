import type { Key, Milliseconds } from '../core/types.js';

/** Plain synchronous functions. Keys are for logs: use none of them as a label of a metric. */
export interface CoalescerHooks {
  onHit?: ((event: CoalescerHitEvent) => void) | undefined;
  /** A call joined a load in flight. Runs in that caller's async context. */
  onCoalesce?: ((event: CoalescerJoinEvent) => void) | undefined;
  onLoadStart?: ((event: CoalescerLoadEvent) => void) | undefined;
  onLoadEnd?: ((event: CoalescerLoadEndEvent) => void) | undefined;
  /** A settled value or error had to make room for a newer one. */
  onEvict?: ((event: { readonly name: string; readonly key: Key }) => void) | undefined;
}

export interface CoalescerHitEvent {
  readonly name: string;
  readonly key: Key;
  readonly kind: 'fresh' | 'stale' | 'error';
  readonly ageMs: Milliseconds;
}

export interface CoalescerJoinEvent {
  readonly name: string;
  readonly key: Key;
  /** Who waits for the load now, this caller included. */
  readonly callers: number;
}

export interface CoalescerLoadEvent {
  readonly name: string;
  readonly key: Key;
  readonly reason: 'miss' | 'refresh';
}

export interface CoalescerLoadEndEvent extends CoalescerLoadEvent {
  /** `timeout`: it exceeded `loadTimeout`. `aborted`: the last caller left, `forget` ended it, or the coalescer was closed. */
  readonly status: 'fulfilled' | 'rejected' | 'timeout' | 'aborted';
  readonly error: unknown;
  readonly runMs: Milliseconds;
  /** The value, or with `errorTtl` the error, is kept. */
  readonly stored: boolean;
}

export const COALESCER_HOOKS = ['onHit', 'onCoalesce', 'onLoadStart', 'onLoadEnd', 'onEvict'] as const;
