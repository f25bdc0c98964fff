import { wrongType } from '../core/options.js';

interface OpenSource<I> {
  readonly source: Iterator<I> | AsyncIterator<I>;
  readonly isAsync: boolean;
}

/** Something that is both is read as asynchronous. @throws {TypeError} neither. */
export function openSource<I>(items: Iterable<I> | AsyncIterable<I>): OpenSource<I> {
  const either = items as (Partial<Iterable<I>> & Partial<AsyncIterable<I>>) | null | undefined;
  const openAsync = either?.[Symbol.asyncIterator];
  if (typeof openAsync === 'function') return { source: openAsync.call(either), isAsync: true };
  const openSync = either?.[Symbol.iterator];
  if (typeof openSync === 'function') return { source: openSync.call(either), isAsync: false };
  throw wrongType('items', 'iterable', items);
}
