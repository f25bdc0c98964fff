import type { Milliseconds } from '../core/types.js';

/** Of the last one to two minutes, ms; all 0 while empty. Relative error under 2 %. Counters are exact; durations are sampled when a pool is very busy. */
export interface DurationSummary {
  /** How many were measured. */
  readonly samples: number;
  readonly mean: Milliseconds;
  readonly p50: Milliseconds;
  readonly p90: Milliseconds;
  readonly p99: Milliseconds;
  readonly max: Milliseconds;
}

/*
 * Log-linear buckets, as in HdrHistogram: 32 equal steps in each octave, from 2^-10 ms (1 µs) to 2^28 ms (three days). A
 * value's bucket is read off the bits of its float (exponent and first five bits of the mantissa), so there is no `Math.log`
 * and adding costs about 20 ns. The middle of a bucket is at most 1/64 = 1.6 % off.
 */
const STEPS = 32;
const FIRST_EXPONENT = -10;
const OCTAVES = 38;
/** One more, for the highest value itself. */
const BUCKETS = STEPS * OCTAVES + 1;
const HIGHEST = 2 ** (FIRST_EXPONENT + OCTAVES);

/** A float's 32 bits are sign, exponent (bias 127) and 23 bits of mantissa; what is left after 18 are exponent and 5 bits. */
const SHIFT = 18;
const BASE = (127 + FIRST_EXPONENT) * STEPS;

/** How long a generation takes values before it becomes the older one. */
const GENERATION = 60_000;

/** Values of one minute. */
class Generation {
  readonly counts = new Uint32Array(BUCKETS);
  samples = 0;
  weight = 0;
  sum = 0;
  max = 0;

  clear(): void {
    this.counts.fill(0);
    this.samples = 0;
    this.weight = 0;
    this.sum = 0;
    this.max = 0;
  }
}

const EMPTY: DurationSummary = { samples: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 };

/**
 * Durations of the last one to two minutes in fixed memory (two generations of 4.75 KiB). Old values are forgotten when
 * somebody writes or reads: there is no timer. Time is an argument.
 */
export class DurationHistogram {
  // Scratch to look at the bits of a float.
  readonly #float = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#float.buffer);
  #young = new Generation();
  #old = new Generation();
  #since: number;

  constructor(time: number) {
    this.#since = time;
  }

  /**
   * Never throws. NaN is left out, below 0 counts as 0 (a clock may step back), above three days as three days.
   * @param weight how many tasks this one stands for, integer >= 1.
   */
  add(value: number, time: number, weight = 1): void {
    if (Number.isNaN(value)) return;
    const bounded = Math.min(Math.max(value, 0), HIGHEST);
    this.#rotate(time);
    const young = this.#young;
    this.#float[0] = bounded;
    const bucket = Math.max(((this.#bits[0] as number) >>> SHIFT) - BASE, 0);
    young.counts[bucket] = (young.counts[bucket] as number) + weight;
    young.samples++;
    young.weight += weight;
    young.sum += bounded * weight;
    if (bounded > young.max) young.max = bounded;
  }

  summary(time: number): DurationSummary {
    this.#rotate(time);
    const [young, old] = [this.#young, this.#old];
    const samples = young.samples + old.samples;
    if (samples === 0) return EMPTY;
    const weight = young.weight + old.weight;
    const max = Math.max(young.max, old.max);
    const quantile = (share: number): number => {
      let [bucket, seen] = [-1, 0];
      while (seen < share * weight) {
        bucket++;
        seen += (young.counts[bucket] as number) + (old.counts[bucket] as number);
      }
      return bucket === 0 ? 0 : Math.min(this.#middleOf(bucket), max);
    };
    return {
      samples,
      mean: (young.sum + old.sum) / weight,
      p50: quantile(0.5),
      p90: quantile(0.9),
      p99: quantile(0.99),
      max,
    };
  }

  #middleOf(bucket: number): number {
    this.#bits[0] = (bucket + BASE + 0.5) * 2 ** SHIFT;
    return this.#float[0] as number;
  }

  #rotate(time: number): void {
    const age = time - this.#since;
    if (age < GENERATION) return;
    [this.#young, this.#old] = [this.#old, this.#young];
    this.#young.clear();
    // Not always `time`: a first write long after the minute would keep the older values for up to three.
    this.#since += GENERATION;
    if (age < 2 * GENERATION) return;
    this.#old.clear();
    this.#since = time;
  }
}

/** The summary of a histogram that may not have been made yet. */
export function summarize(histogram: DurationHistogram | undefined, time: number): DurationSummary {
  return histogram === undefined ? EMPTY : histogram.summary(time);
}
