import type { Milliseconds } from '../core/types.js';
import type { DurationSummary } from '../metrics/histogram.js';

export interface RateLimit {
  /** Starts (or units of cost) in any window of `interval`. Integer >= 1. */
  limit: number;
  /** Length of the sliding window, ms; > 0, finite. */
  interval: Milliseconds;
  /** What is counted: `calls` (1 each, default), or the `cost` of each call. */
  counts?: 'calls' | 'cost' | undefined;
}

export interface RateLimiterOptions extends RateLimit {
  /** Label in metrics and errors. Default 'rate-limiter'. */
  name?: string | undefined;
  /** Longest wait, ms, else `RateLimitedError`. Default Infinity; 0 = never wait. */
  maxWait?: Milliseconds | undefined;
  hooks?: RateLimiterHooks | undefined;
}

/** Plain synchronous functions. State changes first, the hook is told second. A hook that throws is contained and reported once. */
export interface RateLimiterHooks {
  /** Somebody has to wait: `waitMs` if those who have a place start now and nobody leaves. */
  onWait?: ((event: { readonly name: string; readonly waitMs: Milliseconds }) => void) | undefined;
  /** Starts stop for `durationMs` from now. Not told of a pause within a longer one. */
  onPause?: ((event: { readonly name: string; readonly durationMs: Milliseconds }) => void) | undefined;
}

export const RATE_LIMITER_HOOKS = ['onWait', 'onPause'] as const satisfies readonly (keyof RateLimiterHooks)[];

/** Counters count from construction, gauges tell now. */
export interface RateLimiterMetrics {
  readonly kind: 'rate-limiter';
  readonly name: string;
  readonly limit: number;
  readonly intervalMs: Milliseconds;
  /** Permits given by `acquire`, and those of `tryAcquire` that started: one that only asked was not admitted. */
  readonly admitted: number;
  /** Calls of `acquire` that wait now. */
  readonly waiting: number;
  /** `RateLimitedError`s. */
  readonly refused: number;
  /** What is left of a pause; 0 = not paused. */
  readonly pausedMs: Milliseconds;
  /** How long those whom `acquire` admitted had waited. */
  readonly waitMs: DurationSummary;
}
