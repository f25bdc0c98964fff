import { now } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import { DurationHistogram, type DurationSummary, summarize } from '../metrics/histogram.js';

/** At every turn: `calls = hits + staleHits + errorHits + coalesced + loads + refused`. */
export interface CoalescerMetrics {
  readonly kind: 'coalescer';
  readonly name: string;
  /** Settled values and errors that may still be served. */
  readonly entries: number;
  /** Loads that have not ended, detached ones included. */
  readonly inFlight: number;
  /** Calls of `execute`. `prefetch`, `set`, `peek` and refreshes are not calls. */
  readonly calls: number;
  readonly hits: number;
  readonly staleHits: number;
  readonly errorHits: number;
  /** Joined a load in flight; never counted as a hit. */
  readonly coalesced: number;
  /** Calls that had to load. All loads are `loads + refreshes + prefetches`. */
  readonly loads: number;
  /** After `close`, or with a signal that was aborted already. */
  readonly refused: number;
  readonly refreshes: number;
  /** Loads that `prefetch` started. */
  readonly prefetches: number;
  readonly loadFailures: number;
  readonly loadTimeouts: number;
  /** Loads whose last caller left. */
  readonly orphaned: number;
  readonly evicted: number;
  /** (hits + staleHits) / calls, 0..1: stored values only. Who joined a load is in `coalesced`; for calls saved see `savedRate`. */
  readonly hitRate: number;
  /** Share of calls that needed no load of their own: 1 - loads / (calls - refused), 0..1. The "calls saved" of a report. */
  readonly savedRate: number;
  readonly loadMs: DurationSummary;
}

/** The exact counters of one coalescer, and the durations of its loads. */
export class Counters {
  calls = 0;
  hits = 0;
  staleHits = 0;
  errorHits = 0;
  coalesced = 0;
  loads = 0;
  refused = 0;
  refreshes = 0;
  prefetches = 0;
  loadFailures = 0;
  loadTimeouts = 0;
  orphaned = 0;
  evicted = 0;
  #loadMs: DurationHistogram | undefined;

  addDuration(duration: Milliseconds, time: Milliseconds): void {
    this.#loadMs ??= new DurationHistogram(time);
    this.#loadMs.add(duration, time);
  }

  snapshot(name: string, entries: number, inFlight: number): CoalescerMetrics {
    const { calls, hits, staleHits, loads, refused } = this;
    const served = calls - refused;
    return {
      kind: 'coalescer',
      name,
      entries,
      inFlight,
      ...this,
      hitRate: calls === 0 ? 0 : (hits + staleHits) / calls,
      savedRate: served === 0 ? 0 : 1 - loads / served,
      loadMs: summarize(this.#loadMs, now()),
    };
  }
}
