import type { Milliseconds } from '../core/types.js';
import type { LimitSample } from './concurrency-limit.js';

/** With fewer samples than this, or in less time, chance speaks and not the upstream. */
export const WINDOW_SAMPLES = 10;
export const WINDOW_MS: Milliseconds = 100;

/**
 * What was heard since a limit changed. Tasks that started before ran under another limit and do not count, however long they
 * take: a window lasts as long as a task at least, as TCP counts in round trips.
 *
 * Comparisons are such that NaN counts for nothing; where the clock went back, the window's time starts anew.
 */
export class SampleWindow {
  #openedAt: Milliseconds;
  #samples = 0;

  /** @param openedAt default: when the first task that is heard of started. */
  constructor(openedAt: Milliseconds = Number.NaN) {
    this.#openedAt = openedAt;
  }

  /** Counts the sample if its task started in this window; says whether it did. */
  take({ atMs, runMs }: LimitSample): boolean {
    const startedAt = atMs - runMs;
    if (Number.isNaN(this.#openedAt)) this.#openedAt = startedAt;
    else if (atMs < this.#openedAt) this.#openedAt = atMs;
    const isOwn = startedAt >= this.#openedAt;
    if (isOwn) this.#samples++;
    return isOwn;
  }

  isFullAt(atMs: Milliseconds): boolean {
    return this.#samples >= WINDOW_SAMPLES && atMs - this.#openedAt >= WINDOW_MS;
  }
}
