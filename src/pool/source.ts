import { wrongType } from '../core/options.js';

interface OpenSource<I> {
  readonly source: Iterator<I> | AsyncIterator<I>;
  readonly isAsync: boolean;
  /** Where it can be told without asking for the next item: how many there are. */
  readonly size: (() => number) | undefined;
}

/** Something that is both is read as asynchronous. @throws {TypeError} neither. */
export function openSource<I>(items: Iterable<I> | AsyncIterable<I>): OpenSource<I> {
  const either = items as (Partial<Iterable<I>> & Partial<AsyncIterable<I>>) | null | undefined;
  const openAsync = either?.[Symbol.asyncIterator];
  if (typeof openAsync === 'function') return { source: openAsync.call(either), isAsync: true, size: undefined };
  const openSync = either?.[Symbol.iterator];
  if (typeof openSync === 'function') {
    const size = Array.isArray(items) ? () => items.length : undefined;
    return { source: openSync.call(either), isAsync: false, size };
  }
  throw wrongType('items', 'iterable', items);
}
