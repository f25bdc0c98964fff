import { describe, expect, it } from 'vitest';
import { callsSent, contend, contendOften, delaysAfter } from './simulate.js';

describe('calls sent while an upstream fails', () => {
  const rates = Array.from({ length: 11 }, (_, i) => i / 10);

  it.each([3, 4])('without a budget, %i attempts are as many times the load in an outage', (maxAttempts) => {
    expect(callsSent(0, maxAttempts, false)).toBe(1_000);
    expect(callsSent(1, maxAttempts, false)).toBe(maxAttempts * 1_000);
  });

  it.each([3, 4])('with one, %i attempts never add a quarter, and nothing to speak of in an outage', (maxAttempts) => {
    for (const rate of rates) {
      const withBudget = callsSent(rate, maxAttempts, true);
      // ratio 0.2 per success, 0.5 a second for 10 s, and what chance moves.
      expect(withBudget).toBeLessThanOrEqual(1_000 + 0.2 * 1_000 * (1 - rate) + 5 + 60);
      expect(withBudget).toBeLessThanOrEqual(callsSent(rate, maxAttempts, false));
    }
    expect(callsSent(1, maxAttempts, true)).toBeLessThanOrEqual(1_006);
  });

  it('while few calls fail it changes nothing', () => {
    for (const rate of [0, 0.01, 0.05, 0.1]) expect(callsSent(rate, 3, true)).toBe(callsSent(rate, 3, false));
  });
});

describe('a hundred clients that contend for one row', () => {
  it('with jitter they need less than half of the calls, and a small part of the time', () => {
    const [none, equal, full] = (['none', 'equal', 'full'] as const).map((jitter) => contendOften(100, jitter));
    if (none === undefined || equal === undefined || full === undefined) throw new Error();
    for (const jittered of [equal, full]) {
      expect(jittered.calls).toBeLessThan(none.calls / 2 + 10);
      expect(jittered.doneAfter).toBeLessThan(none.doneAfter / 5);
    }
    expect(full.doneAfter).toBeLessThan(equal.doneAfter);
  });

  it('all get through, with any seed', () => {
    for (let seed = 1; seed <= 10; seed++) expect(contend(100, 'full', seed).calls).toBeGreaterThanOrEqual(100);
  });
});

describe('delays after attempts 1 to 1,000,000', () => {
  const attempts = [1, 2, 3, 5, 8, 9, 10, 64, 1_023, 1_024, 1_025, 1_026, 2_000, 65_536, 1_000_000];

  it.each([
    ['full', 0],
    ['equal', 0.5],
    ['none', 1],
  ] as const)('jitter %s: within its bounds, each of a hundred', (jitter, share) => {
    for (const attempt of attempts) {
      const computed = Math.min(100 * 2 ** (attempt - 1), 20_000);
      const { least, mean, greatest } = delaysAfter(attempt, jitter);
      expect(least).toBeGreaterThanOrEqual(computed * share);
      expect(greatest).toBeLessThanOrEqual(computed);
      expect(mean).toBeGreaterThan((computed * (1 + share)) / 2 - computed * 0.1);
      expect(mean).toBeLessThanOrEqual((computed * (1 + share)) / 2 + computed * 0.1);
    }
  });
});
