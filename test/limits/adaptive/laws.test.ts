import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { aimdLimit } from '../../../src/limits/aimd.js';
import { vegasLimit } from '../../../src/limits/vegas.js';
import { property } from '../../support/runs.js';
import { Feeder, feed, plausible, wild } from './samples.js';

const bounds = fc
  .tuple(fc.integer({ min: 1, max: 50 }), fc.nat(40), fc.nat(200))
  .map(([min, initial, max]) => ({ min, initial: min + initial, max: min + initial + max }));
const samples = fc.oneof(wild, plausible);

describe.each([
  ['aimdLimit', aimdLimit],
  ['vegasLimit', vegasLimit],
])('%s', (_, make) => {
  property([bounds, samples])('is an integer within its bounds, whatever it is told', (options, told) => {
    const limit = make(options);
    expect(limit).toMatchObject(options);
    for (const value of feed(limit, told)) {
      expect(Number.isInteger(value)).toBe(true);
      expect(value).toBeGreaterThanOrEqual(options.min);
      expect(value).toBeLessThanOrEqual(options.max);
    }
  });

  // ADAPT-1: a limit that grows while nobody uses it is none when load comes.
  property([bounds, samples])('never rises on a sample with less than half of it in flight', (options, told) => {
    const limit = make(options);
    let before = options.initial;
    for (const sample of told) {
      const after = limit.onSample(sample);
      if (!(2 * sample.inFlight >= before)) expect(after).toBeLessThanOrEqual(before);
      before = after;
    }
  });

  property([bounds, plausible])(
    'shrinks once a window at most: 10 samples and 100 ms, all from after it',
    (options, told) => {
      const limit = make(options);
      let before = options.initial;
      let cutAt = Number.NEGATIVE_INFINITY;
      let since = Number.POSITIVE_INFINITY;
      for (const sample of told) {
        const after = limit.onSample(sample);
        if (sample.verdict !== 'failure' && sample.atMs - sample.runMs >= cutAt) since++;
        if (after < before) {
          expect(since).toBeGreaterThanOrEqual(10);
          expect(sample.atMs - cutAt).toBeGreaterThanOrEqual(100);
          cutAt = sample.atMs;
          since = 0;
        }
        before = after;
      }
    },
  );

  property([bounds, samples])('is not changed by failures', (options, told) => {
    const all = feed(make(options), told).filter((_value, i) => told[i]?.verdict !== 'failure');
    const others = told.filter(({ verdict }) => verdict !== 'failure');
    expect(all).toEqual(feed(make(options), others));
  });

  property([bounds, samples, samples])(
    'tells the same again, and nothing of one pool to another',
    (options, told, other) => {
      const alone = feed(make(options), told);
      const limit = make(options);
      const neighbour = make(options);
      const beside = told.map((sample, i) => {
        const foreign = other[i];
        if (foreign !== undefined) neighbour.onSample(foreign);
        return limit.onSample(sample);
      });
      expect(beside).toEqual(alone);
    },
  );

  property([samples])('works on after any past: it grows once there is room, from wherever it is', (told) => {
    const feeder = new Feeder(make());
    for (const sample of told) feeder.current = feeder.limit.onSample(sample);
    feeder.atMs = 2_000_000;
    feeder.many(3_000);
    const before = Math.min(...feeder.many(400));
    feeder.many(6_000);
    expect(Math.max(...feeder.many(1_200))).toBeGreaterThan(Math.min(before, 199));
  });

  test('the laws see limits that move', () => {
    const steps = fc.sample(plausible, { numRuns: 50, seed: 7 }).map((told) => {
      const values = feed(make({ initial: 20 }), told);
      return { up: values.some((value, i) => value > (values[i - 1] ?? 20)), down: Math.min(...values) < 20 };
    });
    expect(steps.filter(({ up }) => up).length).toBeGreaterThan(10);
    expect(steps.filter(({ down }) => down).length).toBeGreaterThan(10);
  });

  describe('options', () => {
    it('starts at 10, between 1 and 200', () => {
      expect(make()).toMatchObject({ initial: 10, min: 1, max: 200 });
      expect(make({ initial: undefined, min: undefined, max: undefined })).toMatchObject({
        initial: 10,
        min: 1,
        max: 200,
      });
    });

    it('starts at the bound that is nearest to 10, where 10 is out of bounds', () => {
      expect(make({ max: 4 }).initial).toBe(4);
      expect(make({ min: 30 }).initial).toBe(30);
    });

    it.each(['initial', 'min', 'max'] as const)('refuses a %s that is no integer >= 1', (option) => {
      for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => make({ [option]: wrong })).toThrow(
          new RangeError(`Expected \`${option}\` to be an integer >= 1, got \`${wrong}\``),
        );
      }
      for (const wrong of ['10', null, 10n, {}]) expect(() => make({ [option]: wrong as never })).toThrow(TypeError);
    });

    it('refuses bounds that contradict each other', () => {
      expect(() => make({ min: 20, max: 10 })).toThrow(
        new RangeError('Expected `max` to be an integer >= `min` (20), got `10`'),
      );
      expect(() => make({ initial: 300 })).toThrow(
        new RangeError('Expected `initial` to be an integer from `min` (1) to `max` (200), got `300`'),
      );
      expect(() => make({ initial: 4, min: 5 })).toThrow(RangeError);
    });

    it.each([null, 5, 'x'])('refuses %j for options', (wrong) => {
      expect(() => make(wrong as never)).toThrow(TypeError);
    });
  });
});
