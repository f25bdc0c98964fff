import { describe, expect, test } from 'vitest';
import {
  abortSignal,
  atLeast,
  callable,
  count,
  duration,
  finiteDuration,
  flag,
  limit,
  oneOf,
  optionalCallable,
  options,
  outOfRange,
  positiveInteger,
  share,
  text,
  wrongType,
} from '../../src/core/options.js';

type Check = (value: unknown) => unknown;
const check = (fn: (option: string, value: never, fallback: never) => unknown, fallback?: unknown): Check => {
  return (value) => fn('x', value as never, fallback as never);
};

/** What no number may be, whatever the rule. */
const noNumbers = ['5', '', null, true, {}, [], 5n, Symbol('x'), () => 5, new Date(0)];

describe.each<[string, Check, { good: unknown[]; bad: unknown[]; expected: string }]>([
  [
    'duration',
    check(duration, 7),
    {
      good: [0, 0.5, 1e3, 2 ** 31, Number.MAX_VALUE, Number.POSITIVE_INFINITY],
      bad: [-1, -0.1, Number.NaN, Number.NEGATIVE_INFINITY],
      expected: 'a number >= 0 or Infinity',
    },
  ],
  [
    'finiteDuration',
    check(finiteDuration, 7),
    {
      good: [0, 0.5, 2 ** 31, Number.MAX_VALUE],
      bad: [-1, Number.NaN, Number.POSITIVE_INFINITY],
      expected: 'a number >= 0',
    },
  ],
  [
    'limit',
    check(limit),
    {
      good: [1, 2, 1e9, Number.POSITIVE_INFINITY],
      bad: [0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY],
      expected: 'an integer >= 1 or Infinity',
    },
  ],
  [
    'positiveInteger',
    check(positiveInteger),
    { good: [1, 1e9], bad: [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY], expected: 'an integer >= 1' },
  ],
  [
    'count',
    check(count, 7),
    {
      good: [0, 1, 1e9, Number.POSITIVE_INFINITY],
      bad: [-1, 0.5, Number.NaN],
      expected: 'an integer >= 0 or Infinity',
    },
  ],
  [
    'share',
    check(share, 0.5),
    { good: [0, 0.3, 1], bad: [-0.1, 1.1, Number.NaN, Number.POSITIVE_INFINITY], expected: 'a number from 0 to 1' },
  ],
  [
    'atLeast',
    (value) => atLeast('x', value as number, 1, 2),
    { good: [1, 1.5, 1e9], bad: [0.9, -1, Number.NaN, Number.POSITIVE_INFINITY], expected: 'a number >= 1' },
  ],
])('%s', (name, of, { good, bad, expected }) => {
  test.each(good)('takes %s as it is', (value) => expect(of(value)).toBe(value));

  test.each(bad)('refuses %s with a RangeError', (value) => {
    const message = `Expected \`x\` to be ${expected}, got \`${String(value)}\``;
    expect(() => of(value)).toThrow(new RangeError(message));
  });

  test.each(noNumbers)('refuses %o, which is no number, with a TypeError', (value) => {
    expect(() => of(value)).toThrow(TypeError);
    expect(() => of(value)).toThrow(`Expected \`x\` to be ${expected}, got \``);
  });

  const mustBeGiven = name === 'limit' || name === 'positiveInteger';
  test(mustBeGiven ? 'must be given' : 'has its default for undefined', () => {
    if (mustBeGiven)
      expect(() => of(undefined)).toThrow(new TypeError(`Expected \`x\` to be ${expected}, got \`undefined\``));
    else expect(of(undefined)).toBeTypeOf('number');
  });
});

test('text takes any string, the empty one too', () => {
  expect([text('x', 'a', 'b'), text('x', '', 'b'), text('x', undefined, 'b')]).toEqual(['a', '', 'b']);
  for (const wrong of [5, null, {}]) expect(() => text('x', wrong as unknown as string, 'b')).toThrow(TypeError);
});

test('flag takes true and false, not what is merely truthy', () => {
  expect([flag('x', false, true), flag('x', true, false), flag('x', undefined, true)]).toEqual([false, true, true]);
  for (const wrong of [0, 1, 'true', null]) {
    expect(() => flag('x', wrong as unknown as boolean, true)).toThrow(/^Expected `x` to be a boolean, got `/);
  }
});

test('oneOf takes one of its words, and says which there are', () => {
  const of = (value: unknown) => oneOf('x', value as 'a', ['a', 'b'], 'b');
  expect([of('a'), of('b'), of(undefined)]).toEqual(['a', 'b', 'b']);
  expect(() => of('c')).toThrow(new RangeError("Expected `x` to be one of 'a', 'b', got `'c'`"));
  expect(() => of(null)).toThrow(new TypeError("Expected `x` to be one of 'a', 'b', got `null`"));
  expect(() => of('toString')).toThrow(RangeError);
});

test('callable takes functions of every kind, and has words of its own for a promise', () => {
  for (const fn of [() => 1, async () => 1, function* () {}, class {}]) expect(callable('x', fn)).toBe(fn);
  for (const wrong of [undefined, null, 5, 'f', {}]) {
    expect(() => callable('x', wrong)).toThrow(/^Expected `x` to be a function, got `/);
    expect(() => callable('x', wrong)).toThrow(TypeError);
  }
  const message = 'Expected `x` to be a function, got a promise, which has already started: pass `() => ...`';
  expect(() => callable('x', Promise.resolve())).toThrow(new TypeError(message));
});

test('optionalCallable takes undefined, but not null', () => {
  const fn = () => 1;
  expect([optionalCallable('x', fn), optionalCallable('x', undefined)]).toEqual([fn, undefined]);
  expect(() => optionalCallable('x', null)).toThrow(TypeError);
});

test('abortSignal goes by shape: other realms and polyfills have signals too', () => {
  const { signal } = new AbortController();
  const shaped = { aborted: false, addEventListener: () => {} } as unknown as AbortSignal;
  expect([abortSignal('x', signal), abortSignal('x', shaped), abortSignal('x', undefined)]).toEqual([
    signal,
    shaped,
    undefined,
  ]);
  for (const wrong of [null, 5, {}, { aborted: false }, new AbortController()]) {
    expect(() => abortSignal('x', wrong as AbortSignal)).toThrow(/^Expected `x` to be an AbortSignal, got `/);
  }
});

test('options takes an object, and undefined as an empty one', () => {
  const given = {};
  expect(options('x', given)).toBe(given);
  expect(options('x', undefined)).toEqual({});
  for (const wrong of [null, 5, 'x', () => 1]) {
    expect(() => options('x', wrong as unknown as object)).toThrow(/^Expected `x` to be an object, got `/);
  }
});

test.each([
  ['a string', "'a string'"],
  ['x'.repeat(41), `'${'x'.repeat(40)}…'`],
  ['', "''"],
  [5n, '5n'],
  [() => 1, 'a function'],
  [[1, 2], 'an array'],
  [{}, 'an object'],
  [null, 'null'],
  [undefined, 'undefined'],
  [Number.NaN, 'NaN'],
  [Symbol('x'), 'Symbol(x)'],
  [Object.create(null), 'an object'],
])('a message shows what was got, briefly and never by running it', (value, shown) => {
  expect(wrongType('x', 'y', value)).toEqual(new TypeError(`Expected \`x\` to be y, got \`${shown}\``));
  expect(outOfRange('x', 'y', value)).toEqual(new RangeError(`Expected \`x\` to be y, got \`${shown}\``));
});
