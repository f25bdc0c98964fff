import type { ConcurrencyLimit, LimitSample } from '../../../src/limits/concurrency-limit.js';

/*
 * What is published elsewhere, written down again from its description with its defaults, to have something to be measured
 * against: github.com/Netflix/concurrency-limits (Apache 2.0), January 2026.
 */

/** A limit that never changes. */
export function fixedLimit(limit: number): ConcurrencyLimit {
  return { initial: limit, min: limit, max: limit, onSample: () => limit };
}

/** `AIMDLimit`: one more for each success, a tenth less for each drop, from 20 to 200. */
export function netflixAimd(): ConcurrencyLimit {
  const timeoutMs = 5_000;
  let limit = 20;
  return {
    initial: 20,
    min: 20,
    max: 200,
    onSample({ runMs, inFlight, verdict }) {
      if (verdict === 'failure') return limit;
      if (verdict === 'overload' || runMs > timeoutMs) limit = Math.floor(limit * 0.9);
      else if (inFlight * 2 >= limit) limit++;
      limit = Math.min(200, Math.max(20, limit));
      return limit;
    },
  };
}

/** `Gradient2Limit`: the last latency against an average of the last 600, with 1.5 of tolerance, smoothed by 0.2, from 20 to 200. */
export function netflixGradient2(): ConcurrencyLimit {
  const longWindow = 600;
  const warmUp = 10;
  let limit = 20;
  let long = 0;
  let sum = 0;
  let count = 0;
  return {
    initial: 20,
    min: 20,
    max: 200,
    onSample({ runMs, inFlight, verdict }) {
      // It takes no notice of drops: what the limiter reports as ignored never comes here, and what it drops is a sample.
      if (verdict === 'failure') return Math.floor(limit);
      if (count < warmUp) {
        count++;
        sum += runMs;
        long = sum / count;
      } else {
        long += (runMs - long) * (2 / (longWindow + 1));
      }
      if (long / runMs > 2) long *= 0.95;
      if (inFlight < limit / 2) return Math.floor(limit);
      const gradient = Math.max(0.5, Math.min(1, (1.5 * long) / runMs));
      const wanted = limit * gradient + 4;
      limit = Math.max(20, Math.min(200, limit * 0.8 + wanted * 0.2));
      return Math.floor(limit);
    },
  };
}

/** `VegasLimit`: the shortest latency since the last probe as the base, steps by the logarithm of the limit, up to 1,000. */
export function netflixVegas(random: () => number): ConcurrencyLimit {
  let limit = 20;
  let base = 0;
  let probes = 0;
  let jitter = 0.5 + random() / 2;
  const log10 = (n: number): number => Math.max(1, Math.floor(Math.log10(n)));
  return {
    initial: 20,
    min: 1,
    max: 1_000,
    onSample({ runMs, inFlight, verdict }) {
      if (verdict === 'failure') return Math.floor(limit);
      probes++;
      if (jitter * 30 * limit <= probes) {
        jitter = 0.5 + random() / 2;
        probes = 0;
        base = runMs;
        return Math.floor(limit);
      }
      if (base === 0 || runMs < base) {
        base = runMs;
        return Math.floor(limit);
      }
      const queue = Math.ceil(limit * (1 - base / runMs));
      const step = log10(limit);
      if (verdict === 'overload') limit -= step;
      else if (inFlight * 2 < limit) return Math.floor(limit);
      else if (queue <= step) limit += 6 * step;
      else if (queue < 3 * step) limit += step;
      else if (queue > 6 * step) limit -= step;
      limit = Math.max(1, Math.min(1_000, limit));
      return Math.floor(limit);
    },
  };
}

/** `WindowedLimit`: hands on one sample a second, the mean of what came, where 10 or more did. */
export function netflixWindowed(inner: ConcurrencyLimit): ConcurrencyLimit {
  let limit = inner.initial;
  let next = 0;
  let sum = 0;
  let count = 0;
  let inFlight = 0;
  let didDrop = false;
  return {
    initial: inner.initial,
    min: inner.min,
    max: inner.max,
    onSample(sample: LimitSample) {
      if (sample.verdict === 'failure') return limit;
      sum += sample.runMs;
      count++;
      inFlight = Math.max(inFlight, sample.inFlight);
      didDrop ||= sample.verdict === 'overload';
      if (sample.atMs <= next) return limit;
      next = sample.atMs + 1_000;
      if (count >= 10) {
        const verdict = didDrop ? 'overload' : 'success';
        limit = inner.onSample({ runMs: sum / count, inFlight, verdict, atMs: sample.atMs });
      }
      sum = count = inFlight = 0;
      didDrop = false;
      return limit;
    },
  };
}
