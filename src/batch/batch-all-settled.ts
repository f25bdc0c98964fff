import { callable } from '../core/options.js';
import type { Awaitable } from '../core/types.js';
import { ItemWindow } from './item-window.js';
import { Ledger } from './ledger.js';
import { checkOptions } from './settings.js';
import type { BatchContext, BatchOptions, BatchReport } from './types.js';

/**
 * One call per item, a few at a time, every outcome kept. A sliding window, no barrier per chunk.
 *
 * - Results are in input order, dense. They come with the item, its index and the number of calls that were made for
 *   it.
 * - The source (an array, anything iterable, an async generator; endless ones too) is read as lanes come free. An array
 *   is copied when the call begins.
 * - It resolves always, and rejects only for bad arguments. An abort or a source that throws ends the intake; the
 *   report tells what is known by then: `aborted` with `skipped` items, or `inputError`. Items of an array that were
 *   never pulled are skipped; what another source would still have given is absent. The source's `return()` is called
 *   once at an early end, and waited for (a second at most) unless a `next()` is under way.
 * - A call that never ends keeps its lane: give a `timeout`, and no work can hold the batch up.
 *
 * Costs about as much as a hand-written worker loop: no timer, no signal and no clock reading per item unless an option
 * or the work asks for one.
 *
 * @param work runs in the async context of the caller. May return a value, a promise or a thenable, and may throw.
 * @throws {TypeError | RangeError} as a rejection: `items` is not iterable, `work` no function, an option out of range.
 *
 * @example
 * ```ts
 * const report = await batchAllSettled(pages, (page, { signal }) => refresh(page.url, signal), {
 *   concurrency: 5,
 *   timeout: 30_000,
 *   retry: { maxAttempts: 3 },
 * });
 * for (const { item, reason } of report.errors) console.error(item.url, reason);
 * ```
 */
export async function batchAllSettled<I, R>(
  items: Iterable<I> | AsyncIterable<I>,
  work: (item: I, context: BatchContext) => Awaitable<R>,
  options?: BatchOptions,
): Promise<BatchReport<I, R>> {
  callable('work', work);
  const settings = checkOptions('batch', options);
  return new Promise((resolve) => {
    new ItemWindow(items, work, settings, new Ledger(resolve)).run();
  });
}
