export type { UpstreamMetrics } from './metrics.js';
export type {
  UpstreamBreakerOptions,
  UpstreamCoalesceOptions,
  UpstreamExecuteOptions,
  UpstreamOptions,
  UpstreamPoolOptions,
} from './types.js';
export { Upstream } from './upstream.js';
