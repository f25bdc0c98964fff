import { describe, expect, test } from 'vitest';
import { CONTESTANTS, type Contestant, PHASES, run, SETTLE_MS } from './contest.js';
import { figures, type PhaseFigures } from './figures.js';
import { type ServerKind, simulate } from './simulation.js';

const SEEDS = [1, 2, 3];
const memo = new Map<string, PhaseFigures[][]>();

/** The three phases of each seed. */
function all(name: Contestant, kind: ServerKind): PhaseFigures[][] {
  const key = `${name} ${kind}`;
  const known = memo.get(key);
  if (known !== undefined) return known;
  const made = SEEDS.map((seed) => run(name, kind, seed).phases);
  memo.set(key, made);
  return made;
}

const worst = (name: Contestant, kind: ServerKind, phase: number, of: (figures: PhaseFigures) => number): number =>
  Math.max(...all(name, kind).map((phases) => of(phases[phase] as PhaseFigures)));
const mean = (name: Contestant, kind: ServerKind, phase: number, of: (figures: PhaseFigures) => number): number =>
  all(name, kind).reduce((sum, phases) => sum + of(phases[phase] as PhaseFigures), 0) / SEEDS.length;

const loss = ({ throughput }: PhaseFigures): number => 1 - throughput;
const p99 = ({ p99 }: PhaseFigures): number => p99;
const shed = ({ shedShare }: PhaseFigures): number => shedShare;
const deviation = ({ meanLimit, slots }: PhaseFigures): number => Math.abs(meanLimit / slots - 1);

test('the simulation knows what it should: a fixed limit at the number of slots is ideal, and nothing is above that', () => {
  for (const kind of ['silent', 'shedding'] as const) {
    for (const phases of all('fixed 40', kind)) {
      for (const { throughput } of phases) {
        expect(throughput).toBeGreaterThan(0.97);
        expect(throughput).toBeLessThan(1.04);
      }
    }
  }
});

describe.each([
  [0, 40],
  [1, 10],
  [2, 40],
])('phase %d, %d slots', (phase, slots) => {
  describe('the server that queues silently: vegasLimit', () => {
    test('reaches 90 % of what the slots can serve', () => {
      expect(worst('vegasLimit', 'silent', phase, loss)).toBeLessThan(0.1);
    });

    test('makes little queue', () => {
      const ideal = mean(slots === 10 ? 'fixed 10' : 'fixed 40', 'silent', phase, p99);
      expect(worst('vegasLimit', 'silent', phase, p99)).toBeLessThan(1.3 * ideal);
      expect(worst('vegasLimit', 'silent', phase, p99)).toBeLessThan(mean('fixed 200', 'silent', phase, p99) / 2);
    });

    test('stays near the right limit: neither 1 nor max', () => {
      expect(mean('vegasLimit', 'silent', phase, deviation)).toBeLessThan(0.25);
      expect(worst('vegasLimit', 'silent', phase, ({ highest }) => highest)).toBeLessThan(2 * slots);
      // At a half in probes.
      expect(worst('vegasLimit', 'silent', phase, ({ lowest }) => 1 / lowest)).toBeLessThanOrEqual(1 / (0.3 * slots));
    });
  });

  describe.each(['aimdLimit', 'vegasLimit'] as const)('the server that sheds: %s', (name) => {
    test('reaches 90 % of what the slots can serve', () => {
      expect(worst(name, 'shedding', phase, loss)).toBeLessThan(0.1);
    });

    test('is shed little', () => {
      expect(worst(name, 'shedding', phase, shed)).toBeLessThan(0.03);
      expect(worst(name, 'shedding', phase, shed)).toBeLessThan(mean('fixed 200', 'shedding', phase, shed) / 20);
    });

    test('stays near the right limit: neither 1 nor max', () => {
      expect(mean(name, 'shedding', phase, deviation)).toBeLessThan(0.25);
      expect(worst(name, 'shedding', phase, ({ settledAfter }) => settledAfter)).toBeLessThan(5_000);
    });
  });
});

// Where they are better than what is published with its defaults, and where not: the guide has the whole table.
describe('beside the defaults of concurrency-limits', () => {
  test('aimdLimit is shed less than AIMDLimit, for the same throughput', () => {
    for (const phase of [0, 1, 2]) {
      expect(worst('aimdLimit', 'shedding', phase, shed)).toBeLessThan(
        mean('Netflix AIMDLimit', 'shedding', phase, shed) / 5,
      );
      expect(worst('aimdLimit', 'shedding', phase, loss)).toBeLessThan(0.03);
    }
  });

  test('vegasLimit makes less queue than Gradient2Limit, for the same throughput', () => {
    for (const phase of [0, 1, 2]) {
      expect(worst('vegasLimit', 'silent', phase, p99)).toBeLessThan(
        mean('Netflix Gradient2Limit', 'silent', phase, p99) / 2,
      );
    }
  });

  test('vegasLimit serves more than Gradient2Limit over windows, and queues less where that has a floor of 20', () => {
    const rival = 'Netflix Gradient2Limit, windowed';
    for (const phase of [0, 2]) {
      expect(worst('vegasLimit', 'silent', phase, loss)).toBeLessThan(mean(rival, 'silent', phase, loss) - 0.1);
    }
    expect(worst('vegasLimit', 'silent', 1, p99)).toBeLessThan(mean(rival, 'silent', 1, p99));
  });

  test('AIMDLimit grows faster, by one a call; both are there in time', () => {
    expect(mean('Netflix AIMDLimit', 'shedding', 2, ({ settledAfter }) => settledAfter)).toBeLessThan(500);
    expect(worst('aimdLimit', 'shedding', 2, ({ settledAfter }) => settledAfter)).toBeLessThan(3_000);
  });
});

test('aimdLimit is no choice for a server that queues silently: nothing tells it to stop', () => {
  expect(mean('aimdLimit', 'silent', 2, ({ meanLimit }) => meanLimit)).toBeGreaterThan(190);
});

test.each([
  ['vegasLimit', 'silent'],
  ['vegasLimit', 'shedding'],
  ['aimdLimit', 'shedding'],
] as const)('%s, %s server: run times of a wide spread, and a tenth of failures, change little', (name, kind) => {
  for (const seed of SEEDS) {
    const trace = simulate(CONTESTANTS[name](), { kind, phases: PHASES, seed, sigma: 0.9, failures: 0.1 });
    for (const { throughput, meanLimit, slots } of figures(trace, PHASES, SETTLE_MS)) {
      // Nine tenths of what is served are successes.
      expect(throughput).toBeGreaterThan(0.8 * 0.9);
      expect(Math.abs(meanLimit / slots - 1)).toBeLessThan(0.3);
    }
  }
});

test('the same seed gives the same run', () => {
  expect(run('vegasLimit', 'silent', 7).trace.limits).toEqual(run('vegasLimit', 'silent', 7).trace.limits);
});
