import type { Milliseconds } from '../core/types.js';

/**
 * - `closed`: all calls go, their results are counted.
 * - `open`: none goes.
 * - `half-open`: a few trial calls go, to find out.
 */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** Plain synchronous functions. State changes first, the hook is told second. A hook that throws is contained and reported once. */
export interface BreakerHooks {
  /** There are no timers: `half-open` is told when the first one looks after `openFor`. */
  onStateChange?: ((event: BreakerStateEvent) => void) | undefined;
  onRefuse?: ((event: { readonly name: string; readonly retryAfter: Milliseconds }) => void) | undefined;
}

export interface BreakerStateEvent {
  readonly name: string;
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** Of the window that ends with this change, 0..1; while half-open, of the trial calls. */
  readonly failureRate: number;
}

export const BREAKER_HOOKS = ['onStateChange', 'onRefuse'] as const satisfies readonly (keyof BreakerHooks)[];
