import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, chunkAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import { rejection } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('bad arguments reject', () => {
  const fine = [1, 2];
  const work = (n: number) => n;
  const untyped = (value: unknown): never => value as never;

  test.each([
    ['items: a number', () => batchAllSettled(untyped(5), work), TypeError, /`items`.*iterable.*`5`/],
    ['items: null', () => batchAllSettled(untyped(null), work), TypeError, /`items`/],
    ['items: an object', () => batchAllSettled(untyped({}), work), TypeError, /`items`/],
    ['items: a promise', () => batchAllSettled(untyped(Promise.resolve([])), work), TypeError, /`items`/],
    ['work: nothing', () => batchAllSettled(fine, untyped(undefined)), TypeError, /`work` to be a function/],
    ['work: a promise', () => batchAllSettled(fine, untyped(Promise.resolve())), TypeError, /already started/],
    ['options: a number', () => batchAllSettled(fine, work, untyped(5)), TypeError, /`options` to be an object/],
    ['options: null', () => batchAllSettled(fine, work, untyped(null)), TypeError, /`options`/],
    [
      'signal: a controller',
      () => batchAllSettled(fine, work, untyped({ signal: new AbortController() })),
      TypeError,
      /`signal`/,
    ],
    ['onProgress: true', () => batchAllSettled(fine, work, untyped({ onProgress: true })), TypeError, /`onProgress`/],
    [
      'pool: a function',
      () => batchAllSettled(fine, work, untyped({ pool: () => {} })),
      TypeError,
      /`pool`.*`execute`/,
    ],
    ['pool: null', () => batchAllSettled(fine, work, untyped({ pool: null })), TypeError, /`pool`/],
    ['retry: 3', () => batchAllSettled(fine, work, untyped({ retry: 3 })), TypeError, /`retry`/],
    [
      'retry.maxAttempts: 0',
      () => batchAllSettled(fine, work, { retry: { maxAttempts: 0 } }),
      RangeError,
      /`maxAttempts`/,
    ],
    ['call: nothing', () => chunkAllSettled(fine, untyped(undefined), { size: 1 }), TypeError, /`call`/],
    ['size: missing', () => chunkAllSettled(fine, (c) => c, untyped(undefined)), TypeError, /`size`/],
    [
      'size: 0',
      () => chunkAllSettled(fine, (c) => c, { size: 0 }),
      RangeError,
      /`size` to be an integer >= 1, got `0`/,
    ],
    ['size: 1.5', () => chunkAllSettled(fine, (c) => c, { size: 1.5 }), RangeError, /`size`/],
    ['size: Infinity', () => chunkAllSettled(fine, (c) => c, { size: Number.POSITIVE_INFINITY }), RangeError, /`size`/],
    ['weight: a number', () => chunkAllSettled(fine, (c) => c, untyped({ size: 1, weight: 5 })), TypeError, /`weight`/],
    [
      'weight without max',
      () => chunkAllSettled(fine, (c) => c, untyped({ size: 1, weight: { of: work } })),
      TypeError,
      /`weight.max`/,
    ],
    [
      'weight.max: NaN',
      () => chunkAllSettled(fine, (c) => c, { size: 1, weight: { of: work, max: Number.NaN } }),
      RangeError,
      /`weight.max`/,
    ],
    [
      'weight without of',
      () => chunkAllSettled(fine, (c) => c, untyped({ size: 1, weight: { max: 1 } })),
      TypeError,
      /`weight.of`/,
    ],
    ['key: a string', () => chunkAllSettled(fine, (c) => c, untyped({ size: 1, key: 'id' })), TypeError, /`key`/],
    [
      'onChunkError: retry',
      () => chunkAllSettled(fine, (c) => c, untyped({ size: 1, onChunkError: 'retry' })),
      RangeError,
      /'reject', 'split'/,
    ],
    ['tasks: a list', () => gatherAllSettled(untyped([() => 1])), TypeError, /`tasks`.*an array/],
    ['tasks: null', () => gatherAllSettled(untyped(null)), TypeError, /`tasks`/],
    [
      'tasks: a promise among them',
      () => gatherAllSettled(untyped({ a: Promise.resolve() })),
      TypeError,
      /`tasks.a`.*already started/,
    ],
    ['gather, concurrency: 0', () => gatherAllSettled({}, { concurrency: 0 }), RangeError, /`concurrency`/],
  ])('%s', async (_, start, type, message) => {
    let running!: Promise<unknown>;
    expect(() => {
      running = start();
    }).not.toThrow();
    const error = await rejection(running);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
  });

  test.each([
    ['concurrency', [0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY]],
    ['delay', [-1, Number.NaN, Number.POSITIVE_INFINITY]],
    ['timeout', [-1, Number.NaN, Number.NEGATIVE_INFINITY]],
  ])('%s out of range is a RangeError, of another type a TypeError', async (option, values) => {
    for (const value of values) {
      const error = await rejection(batchAllSettled([1], work, { [option]: value }));
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toMatch(new RegExp(`^Expected \`${option}\` to be .*, got \`${value}\`$`));
    }
    for (const value of ['5', null, 5n, true]) {
      expect(await rejection(batchAllSettled([1], work, { [option]: value } as never))).toBeInstanceOf(TypeError);
    }
  });

  test('and nothing has run by then', async () => {
    const spy = vi.fn();
    const source = vi.fn();
    await rejection(batchAllSettled({ [Symbol.iterator]: source } as never, spy, { concurrency: Number.NaN }));
    expect(spy).not.toHaveBeenCalled();
    expect(source).not.toHaveBeenCalled();
  });

  test('explicit undefined is the default', async () => {
    const options = { concurrency: undefined, pool: undefined, delay: undefined, timeout: undefined, retry: undefined };
    const report = await batchAllSettled(fine, work, { ...options, signal: undefined, onProgress: undefined });
    expect(report.ok).toBe(true);
  });
});
