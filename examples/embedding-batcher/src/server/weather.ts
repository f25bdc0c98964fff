import { hash, randomFrom } from './random.js';

/** What the network does to a call, so that the demo meets what an app meets. */
export interface WeatherOptions {
  readonly seed: number;
  /** Median time of an answer, ms. */
  readonly delay: number;
  /** Every how manyth call fails; 0: none. */
  readonly failEvery: number;
}

export type Fault = 'rate-limited' | 'broken';

// A refusal costs the server nothing, so it comes back at once.
const FAULT_DELAY_MS = 30;
// exp(0.25 z): nine of ten answers take 0.66 to 1.5 times the median, as the tail of a hosted API does.
const SIGMA = 0.25;

/**
 * Drawn from the texts and not from the order of arrival: whoever sends the same texts waits as long, however many calls are in flight.
 * Two runs over the same passages can be compared for that reason only.
 */
export function delayOf(texts: readonly string[], { seed, delay }: WeatherOptions): number {
  const random = randomFrom(hash(texts.join('\n'), seed));
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return delay * Math.exp(SIGMA * Math.max(-3, Math.min(3, normal)));
}

/** Counted, so that every run meets as many: in turn a 429 with Retry-After and a 500. */
export function faultOf(callNumber: number, { failEvery }: WeatherOptions): Fault | undefined {
  if (failEvery === 0 || callNumber % failEvery !== 0) return undefined;
  return (callNumber / failEvery) % 2 === 1 ? 'rate-limited' : 'broken';
}

export function faultDelay({ delay }: WeatherOptions): number {
  return Math.min(FAULT_DELAY_MS, delay);
}
