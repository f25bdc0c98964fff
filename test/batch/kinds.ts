import * as fc from 'fast-check';
import { oneByOne } from './support.js';

type Scheduler = Parameters<Parameters<fc.Arbitrary<fc.Scheduler>['map']>[0]>[0];

export type Kind = 'promise' | 'value' | 'thenable' | 'reject' | 'throw' | 'reject undefined' | 'undefined';
export const kind = fc.constantFrom<Kind>(
  'promise',
  'value',
  'thenable',
  'reject',
  'throw',
  'reject undefined',
  'undefined',
);

/** What the work does with an item of this kind. */
export function act(item: Kind, index: number, delayed: () => Promise<unknown>): unknown {
  switch (item) {
    case 'promise':
      return delayed().then(() => index);
    case 'value':
      return index;
    case 'thenable':
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
      return { then: (resolve: (value: number) => void) => void delayed().then(() => resolve(index)) };
    case 'reject':
      return delayed().then(() => Promise.reject(`rejected ${index}`));
    case 'throw':
      throw `rejected ${index}`;
    case 'reject undefined':
      return delayed().then(() => Promise.reject(undefined));
    case 'undefined':
      return undefined;
  }
}

/** What must become of it. */
export function model(item: Kind, index: number): object {
  const place = { item, index, attempts: 1 };
  if (item === 'reject' || item === 'throw') return { status: 'rejected', reason: `rejected ${index}`, ...place };
  if (item === 'reject undefined') return { status: 'rejected', reason: undefined, ...place };
  return { status: 'fulfilled', value: item === 'undefined' ? undefined : index, ...place };
}

type SourceKind = 'array' | 'generator' | 'async generator';
export const sourceKind = fc.constantFrom<SourceKind>('array', 'generator', 'async generator');

export async function* slowly<T>(items: readonly T[], s: Scheduler, note?: () => void): AsyncGenerator<T> {
  for (const item of items) {
    note?.();
    await s.schedule(Promise.resolve());
    yield item;
  }
}

export function sourceOf<T>(of: SourceKind, items: readonly T[], s: Scheduler): Iterable<T> | AsyncIterable<T> {
  if (of === 'array') return items;
  return of === 'generator' ? oneByOne(items) : slowly(items, s);
}
