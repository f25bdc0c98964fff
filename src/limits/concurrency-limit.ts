import { options as optionsOf, outOfRange, positiveInteger } from '../core/options.js';
import type { Milliseconds, Verdict } from '../core/types.js';

/** What one task told about the limit it ran under. The pool makes one when a task ends. */
export interface LimitSample {
  /** Running time, ms; never includes waiting. */
  readonly runMs: Milliseconds;
  /** Tasks running when this one started, itself included. */
  readonly inFlight: number;
  readonly verdict: Exclude<Verdict, 'ignore'>;
  /** When it ended. Monotonic ms. */
  readonly atMs: Milliseconds;
}

/**
 * An algorithm: samples in, number out; no clock and no chance, so the same samples give the same numbers. It keeps state: one
 * instance for one pool.
 *
 * Experimental: it may change in any release.
 */
export interface ConcurrencyLimit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** Returns the new limit, an integer from `min` to `max`. */
  onSample(sample: LimitSample): number;
}

/** Experimental: it may change in any release. */
export interface AdaptiveLimitOptions {
  /** Where it starts. Integer from `min` to `max`; default 10, or the bound nearest to it. */
  initial?: number | undefined;
  /** Integer >= 1. Default 1. */
  min?: number | undefined;
  /** Integer >= `min`. Default 200. */
  max?: number | undefined;
}

export type LimitBounds = Pick<ConcurrencyLimit, 'initial' | 'min' | 'max'>;

export function limitBounds(options: AdaptiveLimitOptions | undefined): LimitBounds {
  const { min: low = 1, max: high = 200, initial: first } = optionsOf('options', options);
  const min = positiveInteger('min', low);
  const max = positiveInteger('max', high);
  if (max < min) throw outOfRange('max', `an integer >= \`min\` (${min})`, max);
  const initial = first === undefined ? Math.min(Math.max(10, min), max) : positiveInteger('initial', first);
  if (initial < min || initial > max) {
    throw outOfRange('initial', `an integer from \`min\` (${min}) to \`max\` (${max})`, initial);
  }
  return { initial, min, max };
}
