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
 * value's bucket is read off the bits of its double (exponent and first five bits of the mantissa), so there is no `Math.log`
 * and adding costs about 20 ns. The middle of a bucket is at most 1/64 = 1.6 % off.
 */
const STEPS = 32;
const FIRST_EXPONENT = -10;
const OCTAVES = 38;
const BUCKETS = STEPS * OCTAVES;
const LOWEST = 2 ** FIRST_EXPONENT;
const HIGHEST = 2 ** (FIRST_EXPONENT + OCTAVES);

/** A double's upper word holds sign, exponent (bias 1023) and 20 bits of mantissa; what is left after 15 are exponent and 5 bits. */
const SHIFT = 15;
const BASE = (1023 + FIRST_EXPONENT) * STEPS;

/** How long a generation takes values before it becomes the older one. */
const GENERATION = 60_000;

function middleOf(bucket: number): number {
  const octave = 2 ** (FIRST_EXPONENT + Math.floor(bucket / STEPS));
  return octave * (1 + ((bucket % STEPS) + 0.5) / STEPS);
}

/** Values of one minute. */
class Generation {
  readonly counts = new Uint32Array(BUCKETS);
  samples = 0;
  weight = 0;
  sum = 0;
  max = 0;

  clear(): void {
    if (this.samples === 0) return;
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
  // Scratch to look at the bits of a double.
  readonly #double = new Float64Array(1);
  readonly #words = new Uint32Array(this.#double.buffer);
  readonly #upper = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
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
    const bucket = this.#bucketOf(bounded);
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
    const [p50, p90, p99] = this.#quantiles([0.5 * weight, 0.9 * weight, 0.99 * weight], max);
    return { samples, mean: (young.sum + old.sum) / weight, p50, p90, p99, max };
  }

  #bucketOf(value: number): number {
    if (value < LOWEST) return 0;
    this.#double[0] = value;
    return Math.min(((this.#words[this.#upper] as number) >>> SHIFT) - BASE, BUCKETS - 1);
  }

  /** The values at three ranks, in one walk; ranks rise. */
  #quantiles(ranks: readonly [number, number, number], max: number): [number, number, number] {
    const found: [number, number, number] = [max, max, max];
    let seen = 0;
    let next = 0;
    for (let bucket = 0; bucket < BUCKETS && next < 3; bucket++) {
      seen += (this.#young.counts[bucket] as number) + (this.#old.counts[bucket] as number);
      while (next < 3 && seen > 0 && seen >= (ranks[next] as number)) {
        found[next] = bucket === 0 ? 0 : Math.min(middleOf(bucket), max);
        next++;
      }
    }
    return found;
  }

  #rotate(time: number): void {
    const age = time - this.#since;
    if (age < GENERATION) return;
    const emptied = this.#old;
    emptied.clear();
    this.#old = this.#young;
    this.#young = emptied;
    if (age >= 2 * GENERATION) {
      this.#old.clear();
      this.#since = time;
    } else {
      // Not `time`: a first write long after the minute would keep the older values for up to three.
      this.#since += GENERATION;
    }
  }
}

/** The summary of a histogram that may not have been made yet. */
export function summarize(histogram: DurationHistogram | undefined, time: number): DurationSummary {
  return histogram === undefined ? EMPTY : histogram.summary(time);
}
