import * as fc from 'fast-check';
import type { ConcurrencyLimit, LimitSample } from '../../../src/limits/concurrency-limit.js';

const verdict = fc.oneof(
  { weight: 6, arbitrary: fc.constant('success' as const) },
  { weight: 1, arbitrary: fc.constantFrom('overload' as const, 'failure' as const) },
);

const odd = fc.constantFrom(Number.NaN, 0, -0, -1, 1e-300, 2 ** 31, 1e300, Number.MAX_VALUE, Infinity, -Infinity);

/** Anything at all, with a clock that stands still, jumps, goes back, or is none. */
export const wild: fc.Arbitrary<LimitSample[]> = fc.array(
  fc.record({
    runMs: fc.oneof(odd, fc.double({ min: 0, max: 1_000, noNaN: true })),
    inFlight: fc.oneof(odd, fc.integer({ min: 0, max: 300 })),
    verdict,
    atMs: fc.oneof(odd, fc.double({ min: 0, max: 1_000, noNaN: true })),
  }),
  { maxLength: 400, size: 'max' },
);

/** What a pool could have seen: time goes on, runs end after they start. Long enough for many windows. */
export const plausible: fc.Arbitrary<LimitSample[]> = fc
  .tuple(
    fc.constantFrom(0, 2, 100),
    fc.constantFrom(20, 500),
    fc.array(
      fc.record({
        gap: fc.integer({ min: 0, max: 30 }),
        runMs: fc.integer({ min: 1, max: 60 }),
        addedMs: fc.integer({ min: 0, max: 100 }),
        inFlight: fc.oneof(fc.integer({ min: 5, max: 200 }), fc.integer({ min: 1, max: 10 })),
        fate: fc.nat(999),
      }),
      { minLength: 100, maxLength: 600, size: 'max' },
    ),
  )
  .map(([overloads, times, rows]) => {
    let atMs = 0;
    return rows.map(({ gap, runMs, addedMs, inFlight, fate }) => {
      atMs += gap;
      const verdict = fate < overloads ? 'overload' : fate >= 950 ? 'failure' : 'success';
      // A few take long, in some of the cases.
      return { runMs: addedMs > 90 ? runMs * times : runMs, inFlight, verdict, atMs };
    });
  });

export function feed(limit: ConcurrencyLimit, samples: readonly LimitSample[]): number[] {
  return samples.map((sample) => limit.onSample(sample));
}

export interface Steady {
  readonly runMs?: number | ((i: number) => number);
  readonly every?: number;
  readonly inFlight?: number;
  readonly verdict?: LimitSample['verdict'];
}

/** A hand that feeds one limit: successes of 50 ms, one each 5 ms, with the whole limit in use, unless told otherwise. */
export class Feeder {
  readonly limit: ConcurrencyLimit;
  current: number;
  atMs = 1_000;

  constructor(limit: ConcurrencyLimit) {
    this.limit = limit;
    this.current = limit.initial;
  }

  one({ runMs = 50, every = 5, inFlight = this.current, verdict = 'success' }: Steady = {}, i = 0): number {
    this.atMs += every;
    const ms = typeof runMs === 'number' ? runMs : runMs(i);
    this.current = this.limit.onSample({ runMs: ms, inFlight, verdict, atMs: this.atMs });
    return this.current;
  }

  many(count: number, steady: Steady = {}): number[] {
    return Array.from({ length: count }, (_, i) => this.one(steady, i));
  }
}
