import { outOfRange, wrongType } from '../core/options.js';
import type { Milliseconds } from '../core/types.js';
import { AdaptiveLimit, type LimitRule } from './adaptive-limit.js';
import {
  type AdaptiveLimitOptions,
  type ConcurrencyLimit,
  type LimitBounds,
  type LimitSample,
  limitBounds,
} from './concurrency-limit.js';
import { SampleWindow } from './sample-window.js';

/**
 * A limit that grows by one a window and shrinks to `backoffRatio` of itself on overload. For upstreams that shed (429, 503).
 * One that queues silently never tells it to stop: use `vegasLimit` there, or a `timeout`, which counts as an overload.
 *
 * A window is 10 successes of tasks that started since the last change or overload, and 100 ms at least; what started with
 * less than half of the limit in use does not count. The first overload shrinks the limit at once, the next one a window later at the
 * earliest, and only if its task started after the last cut. Failures that are no overload change nothing.
 *
 * Experimental: the numbers may change in any release.
 *
 * Source: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer
 * Networks" (1989); the ratio and the half are those of Netflix' concurrency-limits.
 *
 * @param options `backoffRatio` is above 0 and below 1, default 0.9.
 * @throws {TypeError | RangeError} an option is wrong.
 * @example
 * const pool = new PromisePool({ concurrency: aimdLimit({ max: 50 }) });
 */
export function aimdLimit(options?: AdaptiveLimitOptions & { backoffRatio?: number | undefined }): ConcurrencyLimit {
  const bounds = limitBounds(options);
  return new AdaptiveLimit(bounds, new AimdRule(bounds, ratio(options?.backoffRatio)));
}

function ratio(value = 0.9): number {
  if (typeof value !== 'number') throw wrongType('backoffRatio', 'a number above 0 and below 1', value);
  if (value > 0 && value < 1) return value;
  throw outOfRange('backoffRatio', 'a number above 0 and below 1', value);
}

class AimdRule implements LimitRule {
  readonly #bounds: LimitBounds;
  readonly #backoffRatio: number;
  #window = new SampleWindow();

  constructor(bounds: LimitBounds, backoffRatio: number) {
    this.#bounds = bounds;
    this.#backoffRatio = backoffRatio;
  }

  onSuccess(sample: LimitSample, limit: number): number {
    if (!this.#window.take(sample) || !this.#window.isFullAt(sample.atMs)) return limit;
    this.#window = new SampleWindow(sample.atMs);
    return Math.min(limit + 1, this.#bounds.max);
  }

  onOverload(limit: number, atMs: Milliseconds, mayCut: boolean): number {
    this.#window = new SampleWindow(atMs);
    if (!mayCut) return limit;
    return Math.max(Math.floor(limit * this.#backoffRatio), this.#bounds.min);
  }
}
