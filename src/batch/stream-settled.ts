import { callable, count, oneOf } from '../core/options.js';
import type { Awaitable } from '../core/types.js';
import { ResultStream } from './result-stream.js';
import { checkOptions } from './settings.js';
import type { BatchContext, BatchResult, BatchStreamOptions } from './types.js';

/**
 * `batchAllSettled` as a stream, with back-pressure: for results that are used one by one, and for lists too long to
 * keep. Everything that is said of calls, order of starts, timeouts, repeats and sources holds here too.
 *
 * - Nothing is pulled before the first `next()`. What was pulled and not read never exceeds `max(concurrency, buffer)`,
 *   repeats that wait included, so a slow reader slows the source, and memory does not grow with the list.
 * - `order: 'input'` (default) gives the results as the items came, and holds what is ready behind a slow one;
 *   `'completion'` gives each as soon as it is there, and tells by `index` which it is.
 * - Leaving the loop aborts what runs and what waits in the pool, and closes the source: its `return()` is called once, and waited for (a second at
 *   most) unless a `next()` is under way.
 * - It never rejects. After an abort it gives what is settled and what is `skipped`, items of an array that were never
 *   pulled included, and ends. After a source that throws it gives what was pulled and ends; the error is shown on the
 *   console, as there is no report to hold it: catch it in the source where it matters.
 *
 * Source and work run in the async context of the caller of `streamSettled`, whoever reads.
 *
 * @throws {TypeError | RangeError} at once: `items` is not iterable, `work` no function, an option out of range.
 *
 * @example
 * ```ts
 * for await (const result of streamSettled(crawl(), (page, { signal }) => index(page, signal), { concurrency: 10 })) {
 *   if (result.status === 'fulfilled') await save(result.value);
 *   else log.warn('not indexed', { url: result.item.url, reason: result.reason });
 * }
 * ```
 */
export function streamSettled<I, R>(
  items: Iterable<I> | AsyncIterable<I>,
  work: (item: I, context: BatchContext) => Awaitable<R>,
  options?: BatchStreamOptions,
): AsyncGenerator<BatchResult<I, R>, void, undefined> {
  callable('work', work);
  const settings = checkOptions('batch', options);
  const order = oneOf('order', options?.order, ['input', 'completion'], 'input');
  const buffer = options?.buffer === undefined ? undefined : count('buffer', options.buffer, 0);
  return new ResultStream(items, work, { settings, order, buffer });
}
