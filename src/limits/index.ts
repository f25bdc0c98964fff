export { aimdLimit } from './aimd.js';
export type { AdaptiveLimitOptions, ConcurrencyLimit, LimitSample } from './concurrency-limit.js';
export { RateLimitedError } from './rate-limited-error.js';
export {
  type RateLimit,
  RateLimiter,
  type RateLimiterHooks,
  type RateLimiterMetrics,
  type RateLimiterOptions,
} from './rate-limiter.js';
export { retryAfter } from './retry-after.js';
export { RetryBudget } from './retry-budget.js';
export { vegasLimit } from './vegas.js';
