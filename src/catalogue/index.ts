export { isRefusedError } from '../core/errors.js';
export { type ErrorByCode, isPacelineError } from './errors.js';
export type { Metrics, MetricsSnapshot, MetricsSource } from './metrics.js';
export { MetricsRegistry } from './registry.js';
