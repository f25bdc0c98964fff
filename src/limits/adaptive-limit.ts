import type { Milliseconds } from '../core/types.js';
import type { ConcurrencyLimit, LimitBounds, LimitSample } from './concurrency-limit.js';
import { SampleWindow } from './sample-window.js';

/** What differs from algorithm to algorithm. Both return the new limit, an integer inside of the bounds. */
export interface LimitRule {
  /** A success, of a task that started with half of the limit or more in use. */
  onSuccess(sample: LimitSample, limit: number): number;
  /** @param mayCut its task started after the last cut, and that was a window ago or more. */
  onOverload(limit: number, atMs: Milliseconds, mayCut: boolean): number;
}

/**
 * What adaptive limits have in common. Failures change nothing. A client that does not use its limit learns nothing about it,
 * so those samples neither raise nor lower it. And one cut a window: the tasks that were under way at a cut tell of the limit
 * before it, say a minute long, one timeout after the other.
 */
export class AdaptiveLimit implements ConcurrencyLimit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly #rule: LimitRule;
  #limit: number;
  #sinceCut: SampleWindow | undefined;

  constructor({ initial, min, max }: LimitBounds, rule: LimitRule) {
    this.initial = initial;
    this.min = min;
    this.max = max;
    this.#rule = rule;
    this.#limit = initial;
  }

  onSample(sample: LimitSample): number {
    const { verdict, inFlight, atMs } = sample;
    const before = this.#limit;
    if (verdict === 'failure') return before;
    const sinceCut = this.#sinceCut;
    const mayCut = sinceCut === undefined || (sinceCut.take(sample) && sinceCut.isFullAt(atMs));
    if (verdict === 'overload') {
      this.#limit = this.#rule.onOverload(before, atMs, mayCut);
    } else if (2 * inFlight >= before) {
      this.#limit = this.#rule.onSuccess(sample, before);
    }
    if (this.#limit < before) this.#sinceCut = new SampleWindow(atMs);
    return this.#limit;
  }
}
