import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { property } from '../support/runs.js';
import { expectIdentity, trickyKeys } from './support.js';

describe('the constructor refuses', () => {
  test.each([
    [{ ttl: -1 }, RangeError, 'Expected `ttl` to be a number >= 0 or Infinity, got `-1`'],
    [{ ttl: Number.NaN }, RangeError, 'Expected `ttl` to be a number >= 0 or Infinity, got `NaN`'],
    [{ ttl: '5s' }, TypeError, "Expected `ttl` to be a number >= 0, Infinity or a function, got `'5s'`"],
    [{ errorTtl: Number.NaN }, RangeError, 'Expected `errorTtl`'],
    [{ staleTtl: null }, TypeError, 'Expected `staleTtl`'],
    [{ jitter: 1.5 }, RangeError, 'Expected `jitter` to be a number from 0 to 1, got `1.5`'],
    [{ maxEntries: 0 }, RangeError, 'Expected `maxEntries` to be an integer >= 1 or Infinity, got `0`'],
    [{ maxEntries: 1.5 }, RangeError, 'Expected `maxEntries`'],
    [{ loadTimeout: Number.NaN }, RangeError, 'Expected `loadTimeout`'],
    [{ whenOrphaned: 'keep' }, RangeError, "Expected `whenOrphaned` to be one of 'abort', 'finish', got `'keep'`"],
    [{ clone: 1 }, TypeError, 'Expected `clone` to be a function, got `1`'],
    [{ name: 1 }, TypeError, 'Expected `name` to be a string, got `1`'],
    [{ waitUntil: {} }, TypeError, 'Expected `waitUntil`'],
    [{ hooks: { onHit: 1 } }, TypeError, 'Expected `hooks.onHit` to be a function, got `1`'],
    ['x', TypeError, 'Expected `options` to be an object'],
    [null, TypeError, 'Expected `options` to be an object'],
  ])('%o', (options, type, message) => {
    const make = () => new RequestCoalescer(options as never);
    expect(make).toThrow(type);
    expect(make).toThrow(message);
  });

  test('nothing of the defaults, nor an explicit undefined', () => {
    expect(new RequestCoalescer().name).toBe('coalescer');
    expect(
      () => new RequestCoalescer({ ttl: undefined, clone: undefined, hooks: undefined, waitUntil: undefined }),
    ).not.toThrow();
    expect(() => new RequestCoalescer({ maxEntries: Number.POSITIVE_INFINITY, loadTimeout: 0 })).not.toThrow();
  });
});

describe('a call', () => {
  const load = () => 1;
  test.each([
    ['k', undefined, undefined, 'Expected `load` to be a function, got `undefined`'],
    ['k', Promise.resolve(1), undefined, 'Expected `load` to be a function, got a promise, which has already started'],
    [{ id: 1 }, load, undefined, 'Expected `key` to be a string, number, bigint, symbol or an array of primitives'],
    [undefined, load, undefined, 'Expected `key`'],
    [null, load, undefined, 'Expected `key`'],
    [/x/, load, undefined, 'Expected `key`'],
    [
      ['a', ['b']],
      load,
      undefined,
      'Expected `key[1]` to be a string, number, bigint, boolean, null or undefined, got `an array`',
    ],
    ['k', load, 5, 'Expected `options` to be an object, got `5`'],
    ['k', load, { signal: {} }, 'Expected `signal` to be an AbortSignal'],
    ['k', load, { fresh: 1 }, 'Expected `fresh` to be a boolean, got `1`'],
    ['k', load, { waitUntil: 1 }, 'Expected `waitUntil`'],
  ])('with wrong arguments only ever rejects, and counts as none: %#', async (key, given, options, message) => {
    const coalescer = new RequestCoalescer();
    const call = coalescer.execute(key as never, given as never, options as never);
    await expect(call).rejects.toThrow(message);
    await expect(call).rejects.toBeInstanceOf(TypeError);
    expect(coalescer.getMetrics()).toMatchObject({ calls: 0, inFlight: 0 });
  });

  test('what returns no promise throws', () => {
    const coalescer = new RequestCoalescer({ ttl: 1 });
    expect(() => coalescer.prefetch('k', 1 as never)).toThrow('Expected `load`');
    expect(() => coalescer.prefetch('k', load, { fresh: 1 as never })).toThrow('Expected `fresh`');
    expect(() => coalescer.peek({} as never)).toThrow('Expected `key`');
    expect(() => coalescer.forget({} as never)).toThrow('Expected `key`');
    expect(() => coalescer.forget('k', { abort: 1 as never })).toThrow('Expected `abort`');
    expect(() => coalescer.set('k', 1, { ttl: Number.NaN })).toThrow(RangeError);
    expect(() => coalescer.subscribe(1 as never)).toThrow(TypeError);
  });
});

describe('keys', () => {
  // COAL-38: memoize#20, #22: JSON keys collapse; COAL-40: async#998 and others: names of Object.prototype are hits.
  test('the tricky ones are all different keys, and each finds its own value', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 60_000 });
    for (const [i, key] of trickyKeys.entries()) expect(await coalescer.execute(key, () => i)).toBe(i);
    for (const [i, key] of trickyKeys.entries()) {
      const again = Array.isArray(key) ? [...key] : key;
      expect(await coalescer.execute(again, () => -1)).toBe(i);
    }
    expect(coalescer.getMetrics()).toMatchObject({ loads: trickyKeys.length, hits: trickyKeys.length });
    expectIdentity(coalescer);
    expect(coalescer.forget('__proto__')).toBe(1);
    await coalescer.close();
  });

  test('0 and -0 are one key, as in a Map, in tuples too', () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 60_000 });
    coalescer.set(0, 1);
    coalescer.set([0], 2);
    expect([coalescer.peek(-0)?.value, coalescer.peek([-0])?.value]).toEqual([1, 2]);
    coalescer.clear();
  });

  const part = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '-', ',', ':', ';', '\u0000', 's', '1', '"', '\\', '\ud800', '\udc00') }),
    fc.integer({ min: -3, max: 3 }),
    fc.bigInt({ min: -3n, max: 3n }),
    fc.constantFrom(true, false, null, undefined, Number.NaN, Number.POSITIVE_INFINITY, 0.5),
  );
  const key = fc.oneof(
    fc.array(part, { maxLength: 3 }),
    fc.string({ unit: fc.constantFrom('a', ':', '\u0000', 't', 's', '1') }),
  );

  // COAL-37: undici#4817: a collision by concatenation returned wrong permission results.
  property([fc.array(key, { maxLength: 40 })])('are one exactly if they are equal, part by part', (keys) => {
    const same = (one: unknown, two: unknown): boolean =>
      Array.isArray(one) && Array.isArray(two)
        ? one.length === two.length && one.every((each, i) => Object.is(each, two[i]))
        : one === two;
    const coalescer = new RequestCoalescer<number>({ ttl: Number.POSITIVE_INFINITY });
    for (const [i, each] of keys.entries()) coalescer.set(each, i);
    for (const each of keys) {
      expect(coalescer.peek(each)?.value).toBe(keys.reduce((last, other, i) => (same(other, each) ? i : last), -1));
    }
  });
});
