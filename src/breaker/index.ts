export { CircuitBreaker } from './circuit-breaker.js';
export { CircuitOpenError } from './circuit-open-error.js';
export type { BreakerHooks, BreakerState, BreakerStateEvent } from './hooks.js';
export type { BreakerMetrics } from './metrics.js';
export type { CircuitBreakerOptions } from './rules.js';
