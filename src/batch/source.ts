import { markHandled, observe } from '../core/deferred.js';
import { wrongType } from '../core/options.js';

/**
 * Items of a batch, pulled one at a time, whatever they come from. Nothing is touched before the first `pull`. Nothing
 * here throws: a source that does has ended, with a `failure`.
 */
export interface Source<I> {
  /** How many items there are, where that is known. */
  readonly total: number | undefined;
  /** No item will come any more. */
  readonly isEnded: boolean;
  /** What the source threw; in an object, because it may have thrown `undefined`. */
  readonly failure: { readonly error: unknown } | undefined;
  /** The item pulled last. */
  readonly item: I;
  /** Takes the next item. False: none is there; unless `isEnded`, one is on its way and `wake` will be called. */
  pull(): boolean;
  /** What is left, where that is known without asking for it. */
  rest(): readonly I[];
  /** Ends it early, once. A promise only if the source can say when it has cleaned up; it never rejects. */
  close(): Promise<unknown> | undefined;
}

/** @throws {TypeError} not iterable. @param wake told when an item that was on its way has come, or the end. */
export function openSource<I>(items: Iterable<I> | AsyncIterable<I>, wake: () => void): Source<I> {
  // A copy: what is done to the array meanwhile does not move the items under the batch.
  if (Array.isArray(items)) return new ArraySource<I>([...(items as readonly I[])]);
  const candidate = items as Partial<Iterable<I> & AsyncIterable<I>> | null | undefined;
  if (typeof candidate?.[Symbol.asyncIterator] === 'function')
    return new AsyncSource<I>(items as AsyncIterable<I>, wake);
  if (typeof candidate?.[Symbol.iterator] === 'function') return new SyncSource<I>(items as Iterable<I>);
  throw wrongType('items', 'an iterable or an async iterable', items);
}

class ArraySource<I> implements Source<I> {
  readonly #items: readonly I[];
  #next = 0;
  readonly failure = undefined;

  constructor(items: readonly I[]) {
    this.#items = items;
  }

  get total(): number {
    return this.#items.length;
  }

  get isEnded(): boolean {
    return this.#next >= this.#items.length;
  }

  get item(): I {
    return this.#items[this.#next - 1] as I;
  }

  pull(): boolean {
    if (this.isEnded) return false;
    this.#next++;
    return true;
  }

  rest(): readonly I[] {
    return this.#items.slice(this.#next);
  }

  close(): undefined {
    return undefined;
  }
}

/** What both kinds of iterator have in common. */
abstract class IteratorSource<I, T extends Iterator<I> | AsyncIterator<I>> implements Source<I> {
  readonly total = undefined;
  isEnded = false;
  failure: { readonly error: unknown } | undefined;
  item!: I;
  protected iterator: T | undefined;

  abstract pull(): boolean;
  abstract rest(): readonly I[];
  abstract close(): Promise<unknown> | undefined;

  /** Reads what `next` gave. True: an item. */
  protected take(result: IteratorResult<I>): boolean {
    try {
      if ((typeof result !== 'object' && typeof result !== 'function') || result === null) {
        throw wrongType('items.next()', 'an object with `done` and `value`', result);
      }
      if (result.done === true) this.isEnded = true;
      else this.item = result.value;
    } catch (error) {
      this.fail(error);
    }
    return !this.isEnded;
  }

  protected fail(error: unknown): void {
    this.isEnded = true;
    this.failure = { error };
  }
}

class SyncSource<I> extends IteratorSource<I, Iterator<I>> {
  readonly #items: Iterable<I>;

  constructor(items: Iterable<I>) {
    super();
    this.#items = items;
  }

  pull(): boolean {
    if (this.isEnded) return false;
    try {
      this.iterator ??= this.#items[Symbol.iterator]();
      return this.take(this.iterator.next());
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  rest(): readonly I[] {
    return [];
  }

  close(): undefined {
    if (this.isEnded) return;
    this.isEnded = true;
    try {
      this.iterator?.return?.();
    } catch (error) {
      this.fail(error);
    }
  }
}

class AsyncSource<I> extends IteratorSource<I, AsyncIterator<I>> {
  readonly #items: AsyncIterable<I>;
  readonly #wake: () => void;
  /** A `next()` is under way. There is never more than one. */
  #isPending = false;
  #hasItem = false;

  constructor(items: AsyncIterable<I>, wake: () => void) {
    super();
    this.#items = items;
    this.#wake = wake;
  }

  pull(): boolean {
    if (this.#hasItem) {
      this.#hasItem = false;
      return true;
    }
    if (this.isEnded || this.#isPending) return false;
    try {
      this.iterator ??= this.#items[Symbol.asyncIterator]();
      const result = Promise.resolve(this.iterator.next());
      this.#isPending = true;
      observe(result, this.#arrived, this.#failed);
    } catch (error) {
      this.fail(error);
    }
    return false;
  }

  /** An item that has come and was not taken, because the window had become smaller meanwhile. */
  rest(): readonly I[] {
    return this.#hasItem ? [this.item] : [];
  }

  /** While a `next()` is under way nobody can tell when the source will look at the `return()` behind it. */
  close(): Promise<unknown> | undefined {
    if (this.isEnded) return undefined;
    this.isEnded = true;
    let closed: Promise<unknown>;
    try {
      if (typeof this.iterator?.return !== 'function') return undefined;
      closed = Promise.resolve(this.iterator.return());
    } catch (error) {
      this.fail(error);
      return undefined;
    }
    if (!this.#isPending) return closed.catch((error: unknown) => this.fail(error));
    markHandled(closed);
    return undefined;
  }

  readonly #arrived = (result: IteratorResult<I>): void => {
    this.#isPending = false;
    this.#hasItem = this.take(result);
    this.#wake();
  };

  readonly #failed = (error: unknown): void => {
    this.#isPending = false;
    this.fail(error);
    this.#wake();
  };
}
