export type {
  CoalescerHitEvent,
  CoalescerHooks,
  CoalescerJoinEvent,
  CoalescerLoadEndEvent,
  CoalescerLoadEvent,
} from './hooks.js';
export type { CoalescerMetrics } from './metrics.js';
export { RequestCoalescer } from './request-coalescer.js';
export type { CoalesceOptions, LoadContext, LoadInfo, RequestCoalescerOptions } from './types.js';
