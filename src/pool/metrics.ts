import { NEVER, now } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import { DurationHistogram, type DurationSummary, summarize } from '../metrics/histogram.js';

/** Counters count from construction, gauges tell now: `calls = running - overdue + queued + fulfilled + failed + timedOut + aborted + refused`. */
export interface PoolMetrics {
  readonly kind: 'pool';
  readonly name: string;
  /** null: unlimited. */
  readonly concurrency: number | null;
  readonly running: number;
  readonly queued: number;
  /** Running although their caller has left (timeout or abort): they hold a slot. */
  readonly overdue: number;
  readonly isPaused: boolean;
  readonly calls: number;
  readonly fulfilled: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly aborted: number;
  readonly refused: number;
  readonly abandoned: number;
  readonly peakRunning: number;
  readonly peakQueued: number;
  /** (failed + timedOut) / (fulfilled + failed + timedOut), 0..1; 0 while empty. */
  readonly failureRate: number;
  readonly waitMs: DurationSummary;
  readonly runMs: DurationSummary;
}

/** The exact numbers of one pool and its sampled durations. Plain fields: the engine counts in place. */
export class PoolCounters {
  calls = 0;
  running = 0;
  queued = 0;
  overdue = 0;
  fulfilled = 0;
  failed = 0;
  timedOut = 0;
  aborted = 0;
  refused = 0;
  abandoned = 0;
  peakRunning = 0;
  peakQueued = 0;
  #wait: DurationHistogram | undefined;
  #run: DurationHistogram | undefined;

  enqueued(): void {
    this.queued++;
    if (this.queued > this.peakQueued) this.peakQueued = this.queued;
  }

  waited(duration: Milliseconds, time: Milliseconds, weight: number): void {
    this.#wait ??= new DurationHistogram(time);
    this.#wait.add(duration, time, weight);
  }

  ran(duration: Milliseconds, time: Milliseconds, weight: number): void {
    this.#run ??= new DurationHistogram(time);
    this.#run.add(duration, time, weight);
  }

  snapshot(name: string, concurrency: number, isPaused: boolean): PoolMetrics {
    const bad = this.failed + this.timedOut;
    const time = now();
    return {
      kind: 'pool',
      name,
      concurrency: concurrency === NEVER ? null : concurrency,
      isPaused,
      ...this,
      failureRate: bad === 0 ? 0 : bad / (this.fulfilled + bad),
      waitMs: summarize(this.#wait, time),
      runMs: summarize(this.#run, time),
    };
  }
}
