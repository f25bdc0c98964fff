import { deepStrictEqual } from 'node:assert/strict';
import { type Claim, gainOf, type Verdict, verdictOf } from './claims.js';

/** Fulfils when the clock is to stop, with what then tells the result. */
export type Way = () => Promise<() => unknown>;

export interface RowPlan<W extends string = string> {
  readonly name: string;
  readonly before: W;
  readonly after: W;
  readonly claim: Claim;
  /** Why a claim is not met, where that lies in the nature of the operation. */
  readonly reason?: string;
  /** The code of the seed itself, for comparison: nothing of ours that could meet a claim or not. */
  readonly isTheirs?: boolean;
}

/** An operation of a seed, ready to be measured. */
export interface Bench {
  /** The same work, done in several ways. */
  readonly ways: Readonly<Record<string, Way>>;
  readonly rows: readonly RowPlan[];
  /** Before each turn, outside the clock: nothing may be left of the turn before. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** ms, or a share. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly samples: readonly number[];
}

export interface Row {
  readonly seed: 1 | 2;
  readonly name: string;
  readonly claim: Claim;
  /** Absent where there is none, as of a rate. */
  readonly before: Summary | undefined;
  readonly after: Summary;
  readonly gain: number;
  readonly verdict: Verdict | undefined;
  readonly reason: string | undefined;
}

/** All ways in turn, round by round. @throws {AssertionError} two ways came to different results. */
export async function measure(bench: Bench, rounds: number, onRound: (round: number) => void): Promise<Row[]> {
  const names = Object.keys(bench.ways);
  const times = new Map<string, number[]>(names.map((name) => [name, []]));
  let expected: { readonly by: string; readonly result: unknown } | undefined;
  for (let round = 1; round <= rounds; round++) {
    onRound(round);
    for (const [name, way] of Object.entries(bench.ways)) {
      await bench.reset();
      const started = performance.now();
      const resultOf = await way();
      times.get(name)?.push(performance.now() - started);
      const result = await resultOf();
      expected ??= { by: name, result };
      deepStrictEqual(result, expected.result, `\`${name}\` came to another result than \`${expected.by}\``);
    }
  }
  const summary = (way: string) => summaryOf(times.get(way) ?? []);
  return bench.rows.map((plan) => rowOf(1, plan, summary(plan.before), summary(plan.after)));
}

export function rowOf(
  seed: Row['seed'],
  { name, claim, reason, isTheirs = false }: Omit<RowPlan, 'before' | 'after'>,
  before: Summary | undefined,
  after: Summary,
): Row {
  const gain = gainOf(claim.gain, before?.median ?? Number.NaN, after.median);
  const verdict = isTheirs ? undefined : verdictOf(claim, gain, after.median);
  return { seed, name, claim, before, after, gain, verdict, reason: verdict === 'not met' ? reason : undefined };
}

export function summaryOf(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (i: number) => sorted.at(i) ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    low: at(0),
    high: at(-1),
    samples: samples.map((sample) => Number(sample.toFixed(3))),
  };
}
