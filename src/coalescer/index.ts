export type {
  CoalescerHitEvent,
  CoalescerHooks,
  CoalescerJoinEvent,
  CoalescerLoadEndEvent,
  CoalescerLoadEvent,
} from './hooks.js';
export type { CoalescerMetrics } from './metrics.js';
export { ReaderBehindError } from './reader-behind-error.js';
export { RequestCoalescer } from './request-coalescer.js';
export { StreamCoalescer } from './stream-coalescer.js';
export type { StreamCoalescerOptions, StreamContext } from './stream-types.js';
export type { CoalesceOptions, LoadContext, LoadInfo, RequestCoalescerOptions } from './types.js';
