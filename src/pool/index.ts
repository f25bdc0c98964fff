export { ClearedError, QueueFullError, QueueTimeoutError } from './errors.js';
export type {
  PoolAbandonEvent,
  PoolHooks,
  PoolQueueEvent,
  PoolRefuseEvent,
  PoolSettleEvent,
  PoolStartEvent,
} from './hooks.js';
export type { PoolMetrics } from './metrics.js';
export { PromisePool } from './promise-pool.js';
export type {
  AcquireOptions,
  ExecuteOptions,
  GroupLimits,
  ItemContext,
  MapOptions,
  PromisePoolOptions,
  StreamOptions,
} from './types.js';
