import { describe, expect, it, test } from 'vitest';
import { aimdLimit } from '../../../src/limits/aimd.js';
import { Feeder } from './samples.js';

const changes = (values: readonly number[], from: number): number =>
  values.filter((value, i) => value !== (values[i - 1] ?? from)).length;

test('one overload shrinks it at once, a burst of them no more than one', () => {
  const feeder = new Feeder(aimdLimit({ initial: 100 }));
  expect(feeder.one({ verdict: 'overload' })).toBe(90);
  expect(new Set(feeder.many(500, { verdict: 'overload', every: 0 }))).toEqual(new Set([90]));
});

// ADAPT-2: timeouts come a minute after their tasks started, one after the other, and each took a part of a limit that had
// long been lowered.
test('overloads of tasks that started before a cut do not cut again, however late they come', () => {
  const feeder = new Feeder(aimdLimit({ initial: 100 }));
  feeder.one({ verdict: 'overload', runMs: 60_000 });
  expect(new Set(feeder.many(99, { verdict: 'overload', runMs: 60_000, every: 500 }))).toEqual(new Set([90]));
  // Those that started after it do.
  feeder.many(50, { verdict: 'overload', runMs: 60_000, every: 500 });
  expect(feeder.current).toBeLessThan(90);
});

test('overloads of tasks that started before a raise count: timeouts among faster successes', () => {
  const feeder = new Feeder(aimdLimit({ initial: 20 }));
  for (let i = 0; i < 4_000; i++) feeder.one(i % 20 === 0 ? { verdict: 'overload', runMs: 3_000 } : {});
  expect(feeder.current).toBeLessThan(30);
});

test('grows by one a window: 10 successes and 100 ms', () => {
  const dense = new Feeder(aimdLimit({ initial: 20 }));
  expect(changes(dense.many(1_000, { every: 1, runMs: 1 }), 20)).toBe(10);
  const sparse = new Feeder(aimdLimit({ initial: 20 }));
  expect(changes(sparse.many(100, { every: 1_000 }), 20)).toBe(10);
});

// ADAPT-3: where calls take 10 s, a limit that grows each 100 ms has doubled before it hears of the first of them.
test('hears of the new limit before it grows again, however long tasks take', () => {
  const feeder = new Feeder(aimdLimit({ initial: 20 }));
  feeder.many(2_000, { runMs: 10_000, every: 10 });
  expect(feeder.current).toBeLessThanOrEqual(22);
});

// ADAPT-4: concurrency-limits' floor of 20 was above what many upstreams take.
test('goes down to 1 and comes back', () => {
  const feeder = new Feeder(aimdLimit());
  feeder.many(2_000, { verdict: 'overload' });
  expect(feeder.current).toBe(1);
  feeder.many(1_000, { every: 50 });
  expect(feeder.current).toBeGreaterThan(20);
});

test('every cut takes one at least, down to min', () => {
  const feeder = new Feeder(aimdLimit({ initial: 5, min: 2, backoffRatio: 1 - 2 ** -53 }));
  const seen = new Set(feeder.many(400, { verdict: 'overload' }));
  expect([...seen]).toEqual([4, 3, 2]);
});

test('stays at max', () => {
  const feeder = new Feeder(aimdLimit({ initial: 10, max: 12 }));
  expect(Math.max(...feeder.many(2_000))).toBe(12);
});

test('latency alone changes nothing', () => {
  const feeder = new Feeder(aimdLimit({ initial: 20, max: 20 }));
  expect(new Set(feeder.many(1_000, { runMs: (i) => 1 + i * 10 }))).toEqual(new Set([20]));
});

describe('backoffRatio', () => {
  it('is what an overload leaves', () => {
    expect(new Feeder(aimdLimit({ initial: 100, backoffRatio: 0.5 })).one({ verdict: 'overload' })).toBe(50);
    expect(new Feeder(aimdLimit({ initial: 100, backoffRatio: undefined })).one({ verdict: 'overload' })).toBe(90);
  });

  it('lies between 0 and 1, both excluded', () => {
    for (const wrong of [0, 1, -0.5, 1.1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => aimdLimit({ backoffRatio: wrong })).toThrow(
        new RangeError(`Expected \`backoffRatio\` to be a number above 0 and below 1, got \`${wrong}\``),
      );
    }
    for (const wrong of ['0.5', null, true]) {
      expect(() => aimdLimit({ backoffRatio: wrong as never })).toThrow(TypeError);
    }
  });
});
