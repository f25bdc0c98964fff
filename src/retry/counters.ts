import { now } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import { DurationHistogram, type DurationSummary, summarize } from '../metrics/histogram.js';
import type { RetryInfo } from './retry-info.js';

/** Counters count from construction: `calls = fulfilled + all of gaveUp + those that go on`. */
export interface RetryMetrics {
  readonly kind: 'retry';
  readonly name: string;
  /** Of `execute`, and items or chunks of batches under this policy. */
  readonly calls: number;
  /** Begun: first ones and retries. */
  readonly attempts: number;
  /** Begun after a failure. */
  readonly retries: number;
  readonly fulfilled: number;
  /** Fulfilled after at least one failed attempt. */
  readonly recovered: number;
  /** Calls that did not succeed, by the reason. */
  readonly gaveUp: { readonly [reason in RetryInfo['reason']]: number };
  /** Attempts of `execute` that ran on after their timeout or their caller's abort; what they did later was swallowed. */
  readonly abandoned: number;
  /** Waits before retries that began, as they were decided. */
  readonly delayMs: DurationSummary;
}

/** The exact counters of one policy, and its waits. */
export class RetryCounters {
  calls = 0;
  attempts = 0;
  retries = 0;
  fulfilled = 0;
  recovered = 0;
  abandoned = 0;
  readonly #gaveUp = { exhausted: 0, 'not-retryable': 0, budget: 0, deadline: 0, aborted: 0, 'hint-too-long': 0 };
  #delayMs: DurationHistogram | undefined;

  retried(delay: Milliseconds, time: Milliseconds): void {
    this.retries++;
    this.#delayMs ??= new DurationHistogram(time);
    this.#delayMs.add(delay, time);
  }

  gaveUp(reason: RetryInfo['reason']): void {
    this.#gaveUp[reason]++;
  }

  snapshot(name: string): RetryMetrics {
    const { calls, attempts, retries, fulfilled, recovered, abandoned } = this;
    return {
      kind: 'retry',
      name,
      calls,
      attempts,
      retries,
      fulfilled,
      recovered,
      gaveUp: { ...this.#gaveUp },
      abandoned,
      delayMs: summarize(this.#delayMs, now()),
    };
  }
}
