import type { Key, Milliseconds } from '../core/types.js';

/** Plain synchronous functions. State changes first, the hook is told second. A hook that throws is contained and reported once. */
export interface PoolHooks {
  /** A task has to wait. */
  onQueue?: ((event: PoolQueueEvent) => void) | undefined;
  onStart?: ((event: PoolStartEvent) => void) | undefined;
  /** The function has ended; on `timeout` and `aborted` its caller may have been told long before. */
  onSettle?: ((event: PoolSettleEvent) => void) | undefined;
  /** A task never ran. */
  onRefuse?: ((event: PoolRefuseEvent) => void) | undefined;
  /** A caller was told of a timeout or left, and its task runs on. */
  onOverdue?: ((event: PoolAbandonEvent) => void) | undefined;
  /** A slot was given up although its task runs on. */
  onAbandon?: ((event: PoolAbandonEvent) => void) | undefined;
  onIdle?: ((event: { readonly name: string }) => void) | undefined;
  onLimitChange?: ((event: { readonly name: string; readonly from: number; readonly to: number }) => void) | undefined;
}

export const POOL_HOOKS = [
  'onQueue',
  'onStart',
  'onSettle',
  'onRefuse',
  'onOverdue',
  'onAbandon',
  'onIdle',
  'onLimitChange',
] as const satisfies readonly (keyof PoolHooks)[];

interface PoolTaskEvent {
  readonly name: string;
  readonly group: Key | undefined;
}
export interface PoolQueueEvent extends PoolTaskEvent {
  readonly queued: number;
}
export interface PoolStartEvent extends PoolTaskEvent {
  readonly running: number;
  readonly waitMs: Milliseconds;
}
export interface PoolSettleEvent extends PoolTaskEvent {
  readonly status: 'fulfilled' | 'rejected' | 'timeout' | 'aborted';
  readonly error: unknown;
  readonly waitMs: Milliseconds;
  readonly runMs: Milliseconds;
}
export interface PoolRefuseEvent extends PoolTaskEvent {
  readonly reason: unknown;
  readonly waitMs: Milliseconds;
}
export interface PoolAbandonEvent extends PoolTaskEvent {
  readonly runMs: Milliseconds;
}
