/** How much better, as the seed words it: a share of the time (or of the calls) that is gone, a factor, or a rate that is reached. */
export interface Gain {
  readonly kind: 'less' | 'factor' | 'rate';
  readonly from: number;
  /** Where the seed gives a range. */
  readonly to?: number;
}

/** What a seed says of an operation. */
export interface Claim {
  /** ms. */
  readonly before?: number;
  readonly after?: number;
  /** A target of the seed's besides, ms. */
  readonly below?: number;
  readonly gain: Gain;
}

export type Verdict = 'met' | 'beaten' | 'not met';

/**
 * Latencies are kept to the millisecond and every request costs something besides, in both ways: so a claim counts as met within one
 * percentage point, or one hundredth of a factor.
 */
const TOLERANCE = 0.01;

/** In the claim's own measure. @param after of a `rate`: the rate itself. */
export function gainOf({ kind }: Gain, before: number, after: number): number {
  if (kind === 'rate') return after;
  return kind === 'factor' ? before / after : 1 - after / before;
}

export function verdictOf({ gain, below }: Claim, measured: number, after: number): Verdict {
  const slack = TOLERANCE * (gain.kind === 'factor' ? gain.from : 1);
  const isFast = below === undefined || after < below;
  if (!(measured >= gain.from - slack && isFast)) return 'not met';
  return measured > (gain.to ?? gain.from) + slack ? 'beaten' : 'met';
}

/** The part of the time before that is left, for the chart. */
export function leftOf(kind: Gain['kind'], gain: number): number {
  return kind === 'factor' ? 1 / gain : 1 - gain;
}

export function gainText(kind: Gain['kind'], value: number): string {
  return kind === 'factor' ? `${round(value, 1)}x` : `${round(100 * value, 1)} %`;
}

export function rangeText({ kind, from, to }: Gain): string {
  if (to === undefined) return gainText(kind, from);
  return `${gainText(kind, from).replace(/( %|x)$/, '')} to ${gainText(kind, to)}`;
}

function round(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
