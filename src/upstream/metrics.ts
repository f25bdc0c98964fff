import type { BreakerMetrics } from '../breaker/index.js';
import type { CoalescerMetrics } from '../coalescer/index.js';
import { now } from '../core/clock.js';
import { isRefusedError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';
import { DurationHistogram, type DurationSummary, summarize } from '../metrics/histogram.js';
import { Sampler } from '../metrics/sampler.js';
import type { PoolMetrics } from '../pool/index.js';
import type { RetryMetrics } from '../retry/index.js';

/** `calls = inFlight + fulfilled + failed + aborted + refused` at every turn. A stream is a call from its first `next()`. */
export interface UpstreamMetrics {
  readonly kind: 'upstream';
  readonly name: string;
  readonly calls: number;
  /** Callers without an answer. */
  readonly inFlight: number;
  readonly fulfilled: number;
  readonly failed: number;
  /** Callers who left, by their signal or out of a stream, and those whom `close` cut off. */
  readonly aborted: number;
  /** By any layer. */
  readonly refused: number;
  /** failed / (fulfilled + failed), 0..1; 0 while empty. */
  readonly failureRate: number;
  /** What callers saw, queueing and retries included; of calls that were answered. */
  readonly callMs: DurationSummary;
  /** Of the parts that there are. */
  readonly coalescer?: CoalescerMetrics;
  readonly streams?: CoalescerMetrics;
  readonly retry?: RetryMetrics;
  readonly breaker?: BreakerMetrics;
  readonly pool?: PoolMetrics;
}

/** How a call ended, as its caller sees it. */
export type Outcome = 'fulfilled' | 'failed' | 'aborted' | 'refused';

/** What an error makes of the call that ended with it. @param wasCut by `close`, after the grace. */
export function outcomeOf(error: unknown, signal: AbortSignal | undefined, wasCut: boolean): Outcome {
  if (wasCut || (signal?.aborted === true && Object.is(error, signal.reason))) return 'aborted';
  return isRefusedError(error) ? 'refused' : 'failed';
}

/** The exact numbers of one upstream, and the sampled time of its calls. */
export class UpstreamCounters {
  calls = 0;
  inFlight = 0;
  fulfilled = 0;
  failed = 0;
  aborted = 0;
  refused = 0;
  readonly #sampler = new Sampler();
  #durations: DurationHistogram | undefined;

  /** Counts a call in. Returns its moment if it is to be timed, else NaN. */
  begin(): Milliseconds {
    this.calls++;
    this.inFlight++;
    return this.#sampler.next() ? now() : Number.NaN;
  }

  end(outcome: Outcome, startedAt: Milliseconds): void {
    this.inFlight--;
    this[outcome]++;
    if (Number.isNaN(startedAt) || outcome === 'aborted' || outcome === 'refused') return;
    const time = now();
    this.#durations ??= new DurationHistogram(time);
    this.#durations.add(time - startedAt, time, this.#sampler.weight(startedAt));
  }

  snapshot(name: string): UpstreamMetrics {
    const { failed, fulfilled } = this;
    return {
      kind: 'upstream',
      name,
      ...this,
      failureRate: failed === 0 ? 0 : failed / (fulfilled + failed),
      callMs: summarize(this.#durations, now()),
    };
  }
}
