import type { BackgroundMetrics } from '../background/types.js';
import type { BreakerMetrics } from '../breaker/metrics.js';
import type { CoalescerMetrics } from '../coalescer/metrics.js';
import type { RateLimiterMetrics } from '../limits/rate-limiter-types.js';
import type { PoolMetrics } from '../pool/metrics.js';
import type { RetryMetrics } from '../retry/counters.js';
import type { UpstreamMetrics } from '../upstream/metrics.js';

/** A snapshot of any kind; `kind` tells which. */
export type Metrics =
  | PoolMetrics
  | CoalescerMetrics
  | RetryMetrics
  | BreakerMetrics
  | RateLimiterMetrics
  | BackgroundMetrics
  | UpstreamMetrics;

/** Whatever has metrics. */
export interface MetricsSource {
  readonly name: string;
  getMetrics(): Metrics;
}

/** By kind, then by name. */
export interface MetricsSnapshot {
  readonly pools: { readonly [name: string]: PoolMetrics };
  readonly coalescers: { readonly [name: string]: CoalescerMetrics };
  readonly retries: { readonly [name: string]: RetryMetrics };
  readonly breakers: { readonly [name: string]: BreakerMetrics };
  readonly rateLimiters: { readonly [name: string]: RateLimiterMetrics };
  readonly background: { readonly [name: string]: BackgroundMetrics };
  readonly upstreams: { readonly [name: string]: UpstreamMetrics };
}

/** Where a kind stands in a snapshot. */
export const PLACE_OF_KIND = {
  pool: 'pools',
  coalescer: 'coalescers',
  retry: 'retries',
  breaker: 'breakers',
  'rate-limiter': 'rateLimiters',
  background: 'background',
  upstream: 'upstreams',
} as const satisfies { readonly [K in Metrics['kind']]: keyof MetricsSnapshot };
