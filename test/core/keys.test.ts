import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyText, mapKey } from '../../src/core/keys.js';
import type { Key, KeyPart } from '../../src/core/types.js';
import { property } from '../support/runs.js';

const form = (key: Key) => mapKey('key', key);

/** Are two forms the same place in a `Map`? */
const samePlace = (a: unknown, b: unknown) => new Map([[a, 1]]).has(b);

// Texts that try to look like an encoding.
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\u0000', 't', 's', 'n', 'i', 'y', 'f', 'u', 'l', '1', ':', ';', '\ud800') }),
  fc.constantFrom('', '\u0000', '__proto__', 'constructor', 'NaN', '1', 'null', 'undefined', 'true'),
);
const number = fc.oneof(fc.double(), fc.constantFrom(0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, 1e21));
const part: fc.Arbitrary<KeyPart> = fc.oneof(
  text,
  number,
  fc.bigInt(),
  fc.constantFrom(1n, 0n),
  fc.boolean(),
  fc.constantFrom(null, undefined),
);
const tuple = fc.array(part, { maxLength: 4 });
const key: fc.Arbitrary<Key> = fc.oneof(text, number, fc.bigInt(), tuple);

/** Equality as it is promised: primitives as in `Map`, tuples part by part. */
function isSame(a: Key, b: Key): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, i) => samePlace(each, b[i]));
  }
  return !Array.isArray(a) && !Array.isArray(b) && samePlace(a, b);
}

describe('the form of a key', () => {
  property([key, key])('is the same exactly for equal keys', (a, b) => {
    expect(samePlace(form(a), form(b))).toBe(isSame(a, b));
  });

  property([tuple, fc.nat(), part])('differs when one part differs', (parts, place, other) => {
    if (parts.length === 0) return;
    const changed = [...parts];
    changed[place % parts.length] = other;
    expect(samePlace(form(parts), form(changed))).toBe(isSame(parts, changed));
  });

  // COAL-37: undici#4817, memoize.js#1: keys that were joined with a delimiter collided. A pair may well differ in one character.
  test('of a hundred thousand random pairs is the same for equal ones only', () => {
    // Few and short ones of what an encoding is made of, so that a bad one is hit.
    const dense = fc.string({ unit: fc.constantFrom(':', 's', '1', '\u0000'), maxLength: 5 });
    const short = fc.array(fc.oneof(dense, fc.constantFrom<KeyPart>(1, 11, 1n, null)), { maxLength: 3 });
    const any = fc.oneof(key, dense, short, short);
    const seed = 20_261_122;
    const keys = fc.sample(any, { seed, numRuns: 100_000 });
    const others = fc.sample(any, { seed: seed + 1, numRuns: 100_000 });
    for (const [i, one] of keys.entries()) {
      const two = others[i] as Key;
      if (samePlace(form(one), form(two)) !== isSame(one, two))
        expect.fail(`${JSON.stringify([keyText(one), keyText(two)])}`);
    }
    // And of all with all.
    const byForm = new Map<unknown, Key>();
    for (const each of [...keys, ...others]) {
      const first = byForm.get(form(each));
      if (first === undefined) byForm.set(form(each), each);
      else if (!isSame(first, each)) expect.fail(`${JSON.stringify([keyText(first), keyText(each)])}`);
    }
    expect(byForm.size).toBeGreaterThan(30_000);
  });

  property([fc.array(part, { minLength: 1, maxLength: 3 }), fc.nat({ max: 6 }), fc.nat({ max: 3 })])(
    'of a tuple cannot be forged by a text that holds the form of its parts',
    (parts, front, back) => {
      const encoded = form(parts) as string;
      const forged = [encoded.slice(front, encoded.length - back)];
      expect(samePlace(form(forged), form(parts))).toBe(isSame(forged, parts));
    },
  );

  property([tuple])('is that of a tuple, not of a string that reads like it', (parts) => {
    const encoded = form(parts) as string;
    expect(form(encoded)).not.toBe(encoded);
    expect(form(parts)).toBe(encoded);
    expect(form([encoded])).not.toBe(encoded);
  });

  test('keeps apart what a delimiter would mix up', () => {
    const keys: Key[] = [
      ['a-b', 'c'],
      ['a', 'b-c'],
      ['a', 'b', 'c'],
      ['a;sb'],
      ['a,sb'],
      ['a', 'b'],
      ['1:a'],
      ['a1:b'],
      ['ab', ''],
      ['', 'ab'],
      [],
      [''],
      ['', ''],
      [undefined],
      [null],
      ['undefined'],
      ['null'],
      [1],
      ['1'],
      [1n],
      [true],
      ['true'],
      [1, 2],
      [12],
      ['1', '2'],
      1,
      '1',
      1n,
      'a',
      '',
      '\u0000',
      '\u0000t',
      '\u0000s',
      '\u0000\u0000',
    ];
    expect(new Set(keys.map(form)).size).toBe(keys.length);
  });

  test('keeps lone surrogates apart', () => {
    const keys: Key[] = ['\ud800', '\ud801', '\udc00', ['\ud800'], ['\ud801'], ['\ud800', '\udc00'], ['\ud800\udc00']];
    expect(new Set(keys.map(form)).size).toBe(keys.length);
  });

  test('compares numbers as Map does', () => {
    expect(samePlace(form(Number.NaN), form(Number.NaN))).toBe(true);
    expect(samePlace(form(0), form(-0))).toBe(true);
    expect(form([Number.NaN])).toBe(form([Number.NaN]));
    expect(form([0])).toBe(form([-0]));
    for (const number of [1, 2 ** 53, 1e21, 0.1])
      expect(samePlace(form([number]), form([BigInt(Math.floor(number))]))).toBe(false);
  });

  test('of a tuple with holes is that with `undefined` in their place', () => {
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    expect(form([, 'a'] as Key)).toBe(form([undefined, 'a']));
  });

  // COAL-40: async#998, node-cache#38: `constructor` and `__proto__` were taken for hits.
  test('leaves primitives themselves, symbols and all names of Object.prototype included', () => {
    const names = Object.getOwnPropertyNames(Object.prototype);
    expect(names).toContain('__proto__');
    for (const same of [...names, '', 5, 5n, Symbol('x')]) expect(form(same)).toBe(same);
    expect(new Set(names.map((name) => form([name]))).size).toBe(names.length);
  });

  // COAL-38: memoize#20, #22: keys as JSON collapse numbers, bigints, NaN, null and undefined.
  test('tells types apart, alone and as parts', () => {
    const alone: Key[] = [0, '0', 0n, '0n', 'false', Number.NaN, 'NaN', 'null', 'undefined', '', '-0'];
    const keys: Key[] = [...alone, ...[...alone, false, null, undefined].map((each) => [each as KeyPart]), []];
    expect(new Set(keys.map(form)).size).toBe(keys.length);
  });

  test.each([
    [{ id: 1 }, /^Expected `key` to be a string, number, bigint, symbol or an array of primitives, got `an object`$/],
    [null, /got `null`/],
    [undefined, /got `undefined`/],
    [true, /got `true`/],
    [() => 1, /got `a function`/],
    [['a', ['b']], /^Expected `key\[1\]` to be a string, number, bigint, boolean, null or undefined, got `an array`$/],
    [['a', {}], /`key\[1\]`/],
    [[Symbol('x')], /`key\[0\]`/],
    [[() => 1], /`key\[0\]`/],
  ])('of %o is a TypeError', (wrong, message) => {
    expect(() => form(wrong as unknown as Key)).toThrow(TypeError);
    expect(() => form(wrong as unknown as Key)).toThrow(message);
  });
});

test('the text of a key is for people, and takes every key', () => {
  expect(['a', 1, 1n, Symbol('x'), ['a', null, undefined, 2]].map((each) => keyText(each as Key))).toEqual([
    'a',
    '1',
    '1',
    'Symbol(x)',
    'a,null,undefined,2',
  ]);
});
