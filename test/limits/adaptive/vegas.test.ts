import { expect, test } from 'vitest';
import { vegasLimit } from '../../../src/limits/vegas.js';
import { Feeder } from './samples.js';
import { chance, lognormal, simulate } from './simulation.js';

test('grows while latency stays, shrinks when it rises, in proportion', () => {
  const feeder = new Feeder(vegasLimit({ initial: 20 }));
  feeder.many(600);
  const grown = feeder.current;
  expect(grown).toBeGreaterThan(25);
  feeder.many(400, { runMs: 200 });
  expect(feeder.current).toBeLessThan(grown / 2);
});

test('no window takes more than half of it, and the probe it calls for half of that', () => {
  const feeder = new Feeder(vegasLimit({ initial: 100 }));
  let before = feeder.many(250, { every: 1 }).at(-1) ?? 0;
  const values = feeder.many(3_000, { every: 1, runMs: 400 });
  for (const value of values) {
    expect(value).toBeGreaterThanOrEqual(Math.floor(before / 4));
    before = value;
  }
  expect(Math.min(...values)).toBeLessThan(50);
});

test('probes at half of the limit, about once in 60 windows', () => {
  const feeder = new Feeder(vegasLimit({ initial: 40, max: 40 }));
  // A window lasts for some 100 ms: 300 s are less than 3,000 of them.
  const values = feeder.many(300_000, { every: 1 });
  const probes = values.filter((value, i) => value === 20 && values[i - 1] !== 20).length;
  expect(new Set(values)).toEqual(new Set([40, 20]));
  expect(probes).toBeGreaterThan(20);
  expect(probes).toBeLessThan(60);
});

test('an overload takes one at least', () => {
  expect(new Feeder(vegasLimit({ initial: 3 })).one({ verdict: 'overload' })).toBe(2);
});

// ADAPT-5: with the shortest run as the base, the usual spread of run times looks like a queue, and the limit collapses.
test.each([0.2, 0.5, 1])('the spread of run times is no queue (sigma %d)', (sigma) => {
  const random = chance(3);
  const feeder = new Feeder(vegasLimit({ initial: 40, max: 80 }));
  const values = feeder.many(20_000, { every: 1, runMs: () => 50 * lognormal(random, sigma) });
  // 20 is a probe of 40.
  expect(Math.min(...values)).toBeGreaterThanOrEqual(18);
  expect(values.filter((value) => value > 60).length).toBeGreaterThan(values.length / 2);
});

// ADAPT-6: one answer that took a minute is no queue either.
test('a few very long runs do not lead it', () => {
  const feeder = new Feeder(vegasLimit({ initial: 40, max: 40 }));
  const values = feeder.many(10_000, { every: 1, runMs: (i) => (i % 200 === 0 ? 60_000 : 50) });
  expect(Math.min(...values)).toBeGreaterThanOrEqual(20);
});

// ADAPT-7: failures are fast (a refused connection) or slow (a time limit): as latency, they say the wrong thing.
test.each([1, 30_000])('failures of %d ms never enter the latency', (runMs) => {
  const plain = new Feeder(vegasLimit());
  const failing = new Feeder(vegasLimit());
  for (let i = 0; i < 3_000; i++) {
    failing.one({ verdict: 'failure', runMs, every: 0 });
    expect(failing.one()).toBe(plain.one());
  }
});

test('overloads shrink it, whatever the latency, and are no latency', () => {
  const feeder = new Feeder(vegasLimit({ initial: 100 }));
  expect(feeder.one({ verdict: 'overload', runMs: 1 })).toBe(90);
  feeder.many(3_000, { verdict: 'overload', runMs: 1 });
  expect(feeder.current).toBe(1);
  feeder.many(2_000);
  expect(feeder.current).toBeGreaterThan(20);
});

test('does not grow in a window with an overload', () => {
  const feeder = new Feeder(vegasLimit({ initial: 20 }));
  feeder.one({ verdict: 'overload' });
  const cut = feeder.current;
  // Each of them from before the cut: none cuts again.
  for (let i = 0; i < 3_000; i++) feeder.one(i % 15 === 0 ? { verdict: 'overload', runMs: 1e6 } : {});
  expect(feeder.current).toBeLessThanOrEqual(cut);
});

// ADAPT-8: an upstream that is slower for good looks like a queue that no shrinking drains.
test('learns a new base when the upstream has become slower for good', () => {
  const feeder = new Feeder(vegasLimit({ initial: 40, max: 60 }));
  feeder.many(2_000);
  feeder.many(2_000, { runMs: 120 });
  expect(Math.max(...feeder.many(200, { runMs: 120 }))).toBeGreaterThan(50);
});

// ADAPT-9: a base that learns from every window learns our own queue, and the limit runs off.
test('does not take its own queue for the upstream, in ten minutes at its limit', () => {
  const phases = [{ slots: 10, forMs: 600_000, offered: 300 }];
  const { limits } = simulate(vegasLimit(), { kind: 'silent', phases, seed: 5 });
  expect(Math.max(...limits.map(([, limit]) => limit))).toBeLessThanOrEqual(20);
});

test('starts above what the upstream takes, and finds it', () => {
  const phases = [{ slots: 5, forMs: 40_000 }];
  const { limits } = simulate(vegasLimit({ initial: 60 }), { kind: 'silent', phases, seed: 6 });
  const last = limits.filter(([at]) => at > 30_000).map(([, limit]) => limit);
  expect(Math.max(...last)).toBeLessThanOrEqual(10);
});

// ADAPT-10: after an idle night connections are cold, and half a window of the evening is still there.
test('an idle gap changes nothing, and slow first calls cost little', () => {
  const feeder = new Feeder(vegasLimit({ initial: 40, max: 60 }));
  feeder.many(2_005);
  const before = feeder.current;
  feeder.atMs += 8 * 3_600_000;
  expect(feeder.one({ inFlight: 1 })).toBe(before);
  feeder.many(20, { runMs: 300 });
  feeder.many(600);
  expect(Math.max(...feeder.many(200))).toBeGreaterThan(50);
});

test('grows from 1', () => {
  const feeder = new Feeder(vegasLimit({ initial: 1 }));
  feeder.many(30, { every: 50 });
  expect(feeder.current).toBeGreaterThan(1);
  feeder.many(400, { every: 10 });
  expect(feeder.current).toBeGreaterThan(10);
});

test('a clock that stands still moves nothing', () => {
  const feeder = new Feeder(vegasLimit());
  expect(new Set(feeder.many(5_000, { every: 0, runMs: 0 }))).toEqual(new Set([10]));
});

test('runs of no measurable length are fine', () => {
  const feeder = new Feeder(vegasLimit({ max: 50 }));
  expect(Math.max(...feeder.many(3_000, { runMs: (i) => (i % 3) / 10 }))).toBe(50);
});
