import { random } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';

export type Jitter = 'full' | 'equal' | 'none';

export interface Backoff {
  /** The first wait, ms; finite. */
  readonly baseDelay: Milliseconds;
  /** The longest wait, ms. */
  readonly maxDelay: Milliseconds;
  /** Growth per attempt; >= 1, finite. */
  readonly factor: number;
  readonly jitter: Jitter;
}

/** How much of a wait is left to chance. */
const SPREAD: { readonly [jitter in Jitter]: number } = { full: 1, equal: 0.5, none: 0 };

/**
 * How long to wait after failed attempt number `attempt` (from 1), ms: `baseDelay * factor^(attempt - 1)`, capped by `maxDelay`
 * and only then jittered. Finite, >= 0 and, without a floor, never above `maxDelay`, for any attempt number.
 *
 * "Full" and "equal" jitter are those of "Exponential Backoff And Jitter" (M. Brooker, AWS Architecture Blog, 2015).
 *
 * @param floor the least wait, e.g. a server's hint. The jitter comes on top of it: it must not be undercut, and a fleet that got
 *   the same hint must not come back in the same instant.
 */
export function backoffDelay(attempt: number, backoff: Backoff, floor: Milliseconds = 0): Milliseconds {
  const { baseDelay, maxDelay, factor, jitter } = backoff;
  // The power overflows to Infinity some day, and 0 * Infinity is NaN.
  const grown = baseDelay === 0 ? 0 : baseDelay * factor ** (attempt - 1);
  const capped = Math.min(grown, maxDelay, Number.MAX_VALUE);
  const chance = capped * SPREAD[jitter];
  return Math.min(Math.max(capped - chance, floor) + random() * chance, Number.MAX_VALUE);
}
