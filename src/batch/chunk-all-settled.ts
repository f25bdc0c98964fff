import { atLeast, callable, oneOf, optionalCallable, options, positiveInteger, wrongType } from '../core/options.js';
import { type ChunkSettings, ChunkWindow } from './chunk-window.js';
import { Ledger } from './ledger.js';
import { checkOptions } from './settings.js';
import type { BatchReport, ChunkAnswer, ChunkContext, ChunkOptions } from './types.js';

/**
 * One call per chunk of items, one outcome per item: for upstreams that take many at once. Everything that is said of
 * `batchAllSettled` holds here too, a call being that of one chunk.
 *
 * - Chunks are cut in input order, by `size` and `weight`. A chunk waits until it is full or the source has ended.
 * - The answer is an array with one entry per item or a `Map`; `context.fail(reason)` stands in the place of a value.
 *   Nothing else marks a failure: an Error in the answer is a value.
 * - Only failed items are sent again. Those of one call stay together and wait for the longest of their waits.
 * - Equal items are not merged: each shares the outcome of its own call only.
 *
 * @throws {TypeError | RangeError} as a rejection: `items` is not iterable, `call` no function, an option missing or
 *   out of range.
 *
 * @example
 * ```ts
 * const report = await chunkAllSettled(texts, (chunk, { signal }) => embed(chunk, { signal }), {
 *   size: 20,
 *   concurrency: 3,
 *   retry: { maxAttempts: 5 },
 *   onChunkError: 'split',
 * });
 * const vectors = report.unwrap();
 * ```
 */
export async function chunkAllSettled<I, R>(
  items: Iterable<I> | AsyncIterable<I>,
  call: (chunk: readonly I[], context: ChunkContext) => ChunkAnswer<R>,
  options: ChunkOptions<I>,
): Promise<BatchReport<I, R>> {
  callable('call', call);
  const settings = checkOptions('batch', options);
  const chunks = checkChunks(options);
  return new Promise((resolve) => {
    new ChunkWindow(items, call, { settings, chunks }, new Ledger(resolve)).run();
  });
}

function checkChunks<I>(chunkOptions: ChunkOptions<I>): ChunkSettings<I> {
  const { size, weight, key, onChunkError } = options('options', chunkOptions);
  return {
    size: positiveInteger('size', size),
    weight: weight === undefined ? undefined : checkWeight(weight),
    key: optionalCallable('key', key),
    onChunkError: oneOf('onChunkError', onChunkError, ['reject', 'split'], 'reject'),
  };
}

function checkWeight<I>(weight: NonNullable<ChunkOptions<I>['weight']>): NonNullable<ChunkSettings<I>['weight']> {
  const { of, max } = options('weight', weight);
  if (typeof max !== 'number') throw wrongType('weight.max', 'a number >= 0', max);
  return { of: callable('weight.of', of), max: atLeast('weight.max', max, 0, 0) };
}
