import { describe, expectTypeOf, test } from 'vitest';
import {
  type BatchReport,
  type BatchResult,
  type BatchStreamOptions,
  batchAllSettled,
  chunkAllSettled,
  type GatherReport,
  gatherAllSettled,
  type ItemFailure,
  streamSettled,
} from '../../src/batch/index.js';
import { PromisePool } from '../../src/pool/index.js';

interface Text {
  readonly text: string;
}
declare function embed(texts: readonly Text[], options?: { signal?: AbortSignal }): Promise<number[][]>;
declare function crawl(): AsyncGenerator<Text>;
const pool = new PromisePool({ concurrency: 2 });
const texts: readonly Text[] = [];

describe('batchAllSettled', () => {
  test('infers item and result, also where the context is destructured', async () => {
    const report = await batchAllSettled(texts, async ({ text }, { attempt, index }) => `${text}${attempt}${index}`);
    expectTypeOf(report).toEqualTypeOf<BatchReport<Text, string>>();
    expectTypeOf(report.unwrap()).toEqualTypeOf<readonly string[]>();
    expectTypeOf(await batchAllSettled(crawl(), () => null)).toEqualTypeOf<BatchReport<Text, null>>();
    expectTypeOf(await batchAllSettled('abc', (c) => c)).toEqualTypeOf<BatchReport<string, string>>();
  });

  test('tells results apart by their status', async () => {
    const { results } = await batchAllSettled(texts, ({ text }) => text.length);
    for (const result of results) {
      expectTypeOf(result).toEqualTypeOf<BatchResult<Text, number>>();
      if (result.status === 'fulfilled') expectTypeOf(result.value).toEqualTypeOf<number>();
      else expectTypeOf(result.reason).toEqualTypeOf<unknown>();
    }
  });

  test('takes options that were perhaps not given', () => {
    const through = (options: { signal?: AbortSignal | undefined; timeout?: number | undefined }) =>
      batchAllSettled(texts, () => 1, { pool, signal: options.signal, timeout: options.timeout, retry: {} });
    expectTypeOf(through).returns.resolves.toEqualTypeOf<BatchReport<Text, number>>();
  });

  test('refuses what is not an option of it', () => {
    // @ts-expect-error the signal belongs to the batch
    void batchAllSettled([1], (n) => n, { retry: { signal: new AbortController().signal } });
    // @ts-expect-error the batch has a timeout of its own
    void batchAllSettled([1], (n) => n, { retry: { attemptTimeout: 5 } });
    // @ts-expect-error not iterable
    void batchAllSettled(5, (n) => n);
    // @ts-expect-error no executor
    void batchAllSettled([1], (n) => n, { pool: {} });
    // @ts-expect-error a report is read-only
    void batchAllSettled([1], (n) => n).then((report) => report.results.push());
  });
});

describe('chunkAllSettled', () => {
  test('infers the result of one item from the list', async () => {
    const report = await chunkAllSettled(texts, (chunk, { signal }) => embed(chunk, { signal }), { size: 20 });
    expectTypeOf(report).toEqualTypeOf<BatchReport<Text, number[]>>();
  });

  test('takes failures out of the type', async () => {
    const listed = await chunkAllSettled(
      texts,
      async (chunk, { fail, attempt }) => chunk.map(({ text }) => (attempt > 1 ? { text } : fail('empty'))),
      { size: 20 },
    );
    expectTypeOf(listed).toEqualTypeOf<BatchReport<Text, { text: string }>>();
    expectTypeOf<Extract<(typeof listed)['values'][number], ItemFailure>>().toBeNever();

    const keyed = await chunkAllSettled(
      texts,
      (chunk, { fail }) => new Map(chunk.map(({ text }) => [text, text === '' ? fail('empty') : text.length])),
      { size: 20, key: ({ text }) => text, weight: { of: ({ text }) => text.length, max: 8_000 } },
    );
    expectTypeOf(keyed).toEqualTypeOf<BatchReport<Text, number>>();
  });

  test('refuses what cannot be meant', () => {
    // @ts-expect-error the size is required
    void chunkAllSettled([1], (chunk) => chunk, {});
    // @ts-expect-error the options are required
    void chunkAllSettled([1], (chunk) => chunk);
    // @ts-expect-error weights need a maximum
    void chunkAllSettled([1], (chunk) => chunk, { size: 1, weight: { of: (n: number) => n } });
    // @ts-expect-error an answer is a list or a map
    void chunkAllSettled([1], () => 5, { size: 1 });
    // @ts-expect-error no such way
    void chunkAllSettled([1], (chunk) => chunk, { size: 1, onChunkError: 'retry' });
    // @ts-expect-error only `fail` makes one
    const failure: ItemFailure = { reason: 'x' };
    void failure;
  });
});

describe('streamSettled', () => {
  test('yields typed results, also where the context is destructured', async () => {
    const stream = streamSettled(crawl(), async ({ text }, { attempt, index, signal }) => {
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return `${text}${attempt}${index}`;
    });
    expectTypeOf(stream).toEqualTypeOf<AsyncGenerator<BatchResult<Text, string>, void, undefined>>();
    for await (const result of stream) {
      expectTypeOf(result).toEqualTypeOf<BatchResult<Text, string>>();
      if (result.status === 'fulfilled') expectTypeOf(result.value).toEqualTypeOf<string>();
      else expectTypeOf(result.reason).toEqualTypeOf<unknown>();
    }
    for await (const result of streamSettled(new Set([1]), (n) => n > 1)) {
      expectTypeOf(result).toEqualTypeOf<BatchResult<number, boolean>>();
    }
  });

  test('takes the options of a batch, an order and a buffer, given or perhaps not', () => {
    const through = (options: BatchStreamOptions) => streamSettled(texts, () => 1, { ...options, pool, timeout: 1 });
    void through({ order: 'completion', buffer: 0, signal: undefined });
    void through({ order: undefined, buffer: undefined });
    // @ts-expect-error no such order
    void streamSettled([1], (n) => n, { order: 'random' });
    // @ts-expect-error a batch has neither
    void batchAllSettled([1], (n) => n, { buffer: 1 });
    // @ts-expect-error not iterable
    void streamSettled(5, (n) => n);
  });
});

describe('gatherAllSettled', () => {
  test('gives each name its type', async () => {
    const report = await gatherAllSettled({
      texts: ({ signal }) => embed(texts, { signal }),
      count: () => 5,
      nothing: async () => null,
    });
    expectTypeOf(report).toEqualTypeOf<GatherReport<{ texts: number[][]; count: number; nothing: null }>>();
    expectTypeOf(report.values.texts).toEqualTypeOf<number[][] | undefined>();
    expectTypeOf(report.errors.count).toEqualTypeOf<unknown>();
    expectTypeOf(report.unwrap().count).toEqualTypeOf<number>();
    if (report.results.count.status === 'fulfilled') expectTypeOf(report.results.count.value).toEqualTypeOf<number>();

    const { texts: vectors = [] } = report.values;
    expectTypeOf(vectors).toEqualTypeOf<number[][]>();
  });

  test('takes the options of a batch that make sense for it', () => {
    void gatherAllSettled({ a: () => 1 }, { pool, timeout: 1_000, retry: { maxAttempts: 2 }, signal: undefined });
    // @ts-expect-error nothing is spaced
    void gatherAllSettled({ a: () => 1 }, { delay: 5 });
  });

  test('refuses what has started already, and lists', () => {
    // @ts-expect-error started already
    void gatherAllSettled({ a: Promise.resolve(1) });
    // @ts-expect-error a list has no names
    void gatherAllSettled([() => 1]);
    // @ts-expect-error no such task
    void gatherAllSettled({ a: () => 1 }).then(({ values }) => values.b);
  });
});
