import type { Milliseconds } from '../core/types.js';
import { AdaptiveLimit, type LimitRule } from './adaptive-limit.js';
import {
  type AdaptiveLimitOptions,
  type ConcurrencyLimit,
  type LimitBounds,
  type LimitSample,
  limitBounds,
} from './concurrency-limit.js';
import { SampleWindow, WINDOW_MS, WINDOW_SAMPLES } from './sample-window.js';

/*
 * Vegas asks how many of our tasks wait inside the upstream: limit * (1 - base / latency), where the base is the latency
 * without a queue. It wants a few, and moves the limit by what is missing. (The step is FAST TCP's: in proportion, where Vegas
 * moves by one.) All of it stands and falls with the base:
 *
 * - The shortest run ever seen, TCP's base, is no base here: run times spread, and the limit would collapse. Means are compared
 *   with means, of logarithms, so that a few very long runs do not lead them; and only as far as they are sure, by their
 *   standard error.
 * - A mean that learns from every window learns our own queue, and the limit runs off. So the base rises in probes alone: windows
 *   at half of the limit.
 * - A probe comes now and then, and at once when the limit has fallen by half: if latency did not fall with it, the upstream
 *   itself has become slower.
 *
 * Tuned, and to be tuned again, on test/limits/adaptive.
 */

/** Tasks that are to wait in the upstream, as a part of the limit; one at least. They are what makes it grow. */
const QUEUE_SHARE = 0.1;
/** The least that one window leaves of the limit. */
const MOST_SHRINK = 0.5;
/** What an overload leaves of it. */
const BACKOFF_RATIO = 0.9;
/** Samples of a window, for each slot of the limit; 10 at least. */
const SAMPLES_A_SLOT = 2;
/** What makes a base needs more of them, but not for too long where there are few slots. */
const BASE_SAMPLES = 100;
const BASE_SAMPLES_A_SLOT = 10;
/** Windows from one probe to the next. */
const PROBE_EVERY = 60;
/** The same at the start, where the initial limit may be too high, and after a fall, when a queue may have been left. */
const PROBE_SOON = 10;
const PROBE_SHARE = 0.5;
/** A base that moved by more than this is news, by less chance: then it is averaged with the one before. */
const NEWS = Math.log(4 / 3);
/** Standard errors by which a latency must exceed the base to count, or stay below it to lower it. */
const DOUBT = 1.5;
/** Shorter runs count as this long: not every clock tells them apart. */
const SHORTEST_RUN: Milliseconds = 1;

/**
 * A limit that shrinks when latency says that a queue builds up, and grows while none does. For upstreams that queue silently; it
 * heeds overloads too, so it is a choice where you do not know. Wrong where run times depend on the task rather than on the
 * load (say, by the length of an answer) and that mix changes.
 *
 * A window is 10 successes at least, two for each slot of the limit, and 100 ms; measuring starts when tasks that started under
 * the present limit come back. What started with less than half of the limit in use does not count. About once in 60
 * windows one runs at half of the limit, to learn anew what latency is without a queue. At most one cut a window, and no growth in
 * one with an overload. Failures that
 * are no overload change nothing, and never enter the latency.
 *
 * Experimental: the numbers may change in any release.
 *
 * Source: L. Brakmo and L. Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet" (1995), in the form of
 * C. Jin, D. Wei and S. Low, "FAST TCP" (2004); the half is that of Netflix' concurrency-limits.
 *
 * @throws {TypeError | RangeError} an option is wrong.
 * @example
 * const pool = new PromisePool({ concurrency: vegasLimit({ initial: 20 }) });
 */
export function vegasLimit(options?: AdaptiveLimitOptions): ConcurrencyLimit {
  const bounds = limitBounds(options);
  return new AdaptiveLimit(bounds, new VegasRule(bounds));
}

class VegasRule implements LimitRule {
  readonly #bounds: LimitBounds;
  /** The limit outside of probes, with its fraction. */
  #target: number;
  /** Its highest value since the last probe. */
  #peak: number;
  /** Logarithm of the latency without a queue. */
  #base = Number.NaN;
  #isProbing = false;
  #windowsToProbe = PROBE_SOON;

  #sinceChange = new SampleWindow();
  /** So many tasks that started under this limit must come back before measuring starts. */
  #settling = 0;
  /** No overload was heard of in this window. */
  #mayGrow = true;
  #measuredFrom: Milliseconds = Number.NaN;
  #samples = 0;
  #sum = 0;
  #sumOfSquares = 0;

  constructor(bounds: LimitBounds) {
    this.#bounds = bounds;
    this.#target = bounds.initial;
    this.#peak = bounds.initial;
  }

  onSuccess(sample: LimitSample, limit: number): number {
    const { atMs, runMs } = sample;
    if (!(runMs >= 0 && runMs < Number.POSITIVE_INFINITY)) return limit;
    if (this.#settling > 0) {
      if (this.#sinceChange.take(sample)) this.#settling--;
      this.#measuredFrom = atMs;
      return limit;
    }
    if (!(atMs >= this.#measuredFrom)) this.#measuredFrom = atMs;
    const log = Math.log(Math.max(runMs, SHORTEST_RUN));
    this.#samples++;
    this.#sum += log;
    this.#sumOfSquares += log * log;
    const isFull = this.#samples >= this.#samplesNeeded(limit) && atMs - this.#measuredFrom >= WINDOW_MS;
    if (!isFull) return limit;
    this.#judge(limit);
    return this.#openWindow(limit, atMs);
  }

  onOverload(limit: number, atMs: Milliseconds, mayCut: boolean): number {
    if (!mayCut) {
      this.#mayGrow = false;
      return limit;
    }
    // By one at least: a fraction of it would be lost in rounding.
    this.#target = Math.max(Math.min(this.#target * BACKOFF_RATIO, this.#target - 1), this.#bounds.min);
    return this.#openWindow(limit, atMs);
  }

  #samplesNeeded(limit: number): number {
    const makesBase = this.#isProbing || Number.isNaN(this.#base);
    const forBase = makesBase ? Math.min(BASE_SAMPLES_A_SLOT * limit, BASE_SAMPLES) : 0;
    return Math.max(WINDOW_SAMPLES, SAMPLES_A_SLOT * limit, forBase);
  }

  #judge(limit: number): void {
    const latency = this.#sum / this.#samples;
    const variance = Math.max(this.#sumOfSquares / this.#samples - latency * latency, 0);
    const error = Math.sqrt(variance / this.#samples);
    const before = this.#base;
    const surelyBelow = latency + DOUBT * error;
    // Nothing is below `min`, so what is measured there is as good as a probe.
    if (this.#isProbing || limit === this.#bounds.min || Number.isNaN(before)) {
      this.#base = Math.abs(latency - before) < NEWS ? (latency + before) / 2 : latency;
    } else if (surelyBelow < before) {
      this.#base = surelyBelow;
    }
    if (this.#isProbing) {
      this.#isProbing = false;
      this.#peak = this.#target;
      // So the base had a queue in it, and may have one still.
      if (before - latency > NEWS) this.#windowsToProbe = 1;
    } else {
      this.#move(latency - DOUBT * error);
    }
  }

  #move(latency: number): void {
    const { min, max } = this.#bounds;
    const target = this.#target;
    const withoutQueue = target * Math.min(Math.exp(this.#base - latency), 1);
    const wanted = Math.max(withoutQueue + Math.max(target * QUEUE_SHARE, 1), target * MOST_SHRINK);
    this.#target = Math.min(Math.max(wanted, min), this.#mayGrow ? max : target);
    this.#peak = Math.max(this.#peak, this.#target);
    const isDue = --this.#windowsToProbe <= 0;
    const hasFallen = this.#target <= this.#peak / 2;
    this.#isProbing = isDue || hasFallen;
    if (this.#isProbing) this.#windowsToProbe = hasFallen ? PROBE_SOON : PROBE_EVERY;
  }

  /** Returns the limit that is due now. */
  #openWindow(limit: number, atMs: Milliseconds): number {
    const due = Math.max(Math.round(this.#target * (this.#isProbing ? PROBE_SHARE : 1)), this.#bounds.min);
    if (due !== limit) {
      this.#sinceChange = new SampleWindow(atMs);
      this.#settling = Math.min(due, WINDOW_SAMPLES);
    }
    this.#mayGrow = true;
    this.#measuredFrom = atMs;
    this.#samples = 0;
    this.#sum = 0;
    this.#sumOfSquares = 0;
    return due;
  }
}
