import type { BackgroundMetrics } from '../background/types.js';
import type { CoalescerMetrics } from '../coalescer/metrics.js';
import type { RateLimiterMetrics } from '../limits/rate-limiter-types.js';
import type { PoolMetrics } from '../pool/metrics.js';

/** A snapshot of any kind; `kind` tells which. */
export type Metrics = PoolMetrics | CoalescerMetrics | RateLimiterMetrics | BackgroundMetrics;

/** Whatever has metrics. */
export interface MetricsSource {
  readonly name: string;
  getMetrics(): Metrics;
}

/** By kind, then by name. */
export interface MetricsSnapshot {
  readonly pools: { readonly [name: string]: PoolMetrics };
  readonly coalescers: { readonly [name: string]: CoalescerMetrics };
  readonly rateLimiters: { readonly [name: string]: RateLimiterMetrics };
  readonly background: { readonly [name: string]: BackgroundMetrics };
}

/** Where a kind stands in a snapshot. */
export const PLACE_OF_KIND = {
  pool: 'pools',
  coalescer: 'coalescers',
  'rate-limiter': 'rateLimiters',
  background: 'background',
} as const satisfies { readonly [K in Metrics['kind']]: keyof MetricsSnapshot };
