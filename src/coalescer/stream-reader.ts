import { AbortSubscription } from '../core/abort.js';
import { Fifo } from '../core/fifo.js';
import type { MapKey } from '../core/keys.js';
import type { Awaitable, Key } from '../core/types.js';
import type { Chunk, Chunks } from './chunks.js';
import type { SharedStream } from './shared-stream.js';
import type { StreamContext } from './stream-types.js';

/** What a reader is to read. Functions are declared as methods, here and below: `StreamCoalescer` then stands for any of them. */
export interface ReadRequest<C, K extends Key> {
  readonly id: MapKey;
  readonly key: K;
  open(context: StreamContext<K>): Awaitable<AsyncIterable<C>>;
  readonly signal: AbortSignal | undefined;
  readonly fresh: boolean;
}

/** The coalescer, as its readers see it. */
export interface ReaderOwner<C, K extends Key> {
  /** The reader was asked for the first time: lets it `follow` something, or makes it `fail`. */
  begin(reader: StreamReader<C, K>, request: ReadRequest<C, K>): void;
  /** What a reader is told whose next chunk was dropped. */
  behind(): unknown;
}

/** A `next()` that waits. */
interface Call<C> {
  resolve(result: IteratorResult<C, void>): void;
  reject(reason: unknown): void;
}

/**
 * One reader: new until its first `next()`, then at a place in the chunks, then over. Written as an object, not as an async
 * generator: that one would let `return()` wait behind a `next()`.
 */
export class StreamReader<C, K extends Key> implements AsyncGenerator<C, void, undefined> {
  readonly #owner: ReaderOwner<C, K>;
  /** Undefined: it has begun, or is over. */
  #request: ReadRequest<C, K> | undefined;
  #chunks: Chunks<C> | undefined = undefined;
  /** Undefined: all there will be is there. */
  #stream: SharedStream<C, K> | undefined = undefined;
  /** The chunk to read next. Undefined: it has not begun, or is over. */
  #place: Chunk<C> | undefined = undefined;
  /** To be told once. */
  #failure: { readonly reason: unknown } | undefined = undefined;
  #subscription: AbortSubscription | undefined = undefined;
  readonly #calls = new Fifo<Call<C>>();

  constructor(owner: ReaderOwner<C, K>, request: ReadRequest<C, K>) {
    this.#owner = owner;
    this.#request = request;
  }

  next(): Promise<IteratorResult<C, void>> {
    const place = this.#place;
    if (place?.next !== undefined) return Promise.resolve(this.#read(place));
    return new Promise((resolve, reject) => {
      this.#calls.push({ resolve, reject });
      const request = this.#request;
      if (request !== undefined) {
        this.#request = undefined;
        this.#owner.begin(this, request);
      }
      this.serve();
    });
  }

  /** Leaves, and ends a `next()` that waits. If it was the last reader, waits until an upstream that is not busy has closed. */
  async return(): Promise<IteratorResult<C, void>> {
    await this.#leave(undefined, undefined);
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<C, void>> {
    await this.#leave(undefined, error);
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** @param stream that it comes from, if that still runs. */
  follow(chunks: Chunks<C>, stream: SharedStream<C, K> | undefined, signal: AbortSignal | undefined): void {
    this.#chunks = chunks;
    this.#stream = stream;
    this.#place = chunks.join();
    if (signal !== undefined) this.#subscription = new AbortSubscription(signal, this);
  }

  /** Its next `next()` rejects with `reason`, those after it are done. */
  fail(reason: unknown): void {
    void this.#leave({ reason }, reason);
  }

  onAbort(reason: unknown): void {
    this.fail(reason);
  }

  /** Answers those calls that can be answered, in turn. Do others wait? */
  serve(): boolean {
    while (this.#calls.length > 0) {
      const place = this.#place;
      if (place === undefined) this.#answerLast();
      else if (place.next !== undefined) this.#calls.shift()?.resolve(this.#read(place));
      else if (!this.#isAtEnd(place)) {
        this.#stream?.want(this);
        return true;
      }
    }
    return false;
  }

  #read(place: Chunk<C>): IteratorResult<C, void> {
    const value = place.value as C;
    this.#place = (this.#chunks as Chunks<C>).advance(place);
    return { done: false, value };
  }

  /** Nothing more comes for it: then it is over. */
  #isAtEnd(place: Chunk<C>): boolean {
    const end = this.#chunks?.end;
    if (place.isDropped) this.fail(this.#owner.behind());
    else if (end === undefined) return false;
    else if (end.status === 'fulfilled') void this.#leave(undefined, undefined);
    else this.fail(end.reason);
    return true;
  }

  #answerLast(): void {
    const call = this.#calls.shift();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) call?.resolve({ done: true, value: undefined });
    else call?.reject(failure.reason);
  }

  /** It is over before anybody hears of it: the upstream may call back. */
  #leave(failure: { readonly reason: unknown } | undefined, reason: unknown): Promise<void> | undefined {
    const place = this.#place;
    const stream = this.#stream;
    this.#request = undefined;
    this.#chunks = undefined;
    this.#stream = undefined;
    this.#place = undefined;
    this.#failure = failure;
    this.#subscription?.end();
    this.serve();
    return place && stream?.leave(this, place, reason);
  }
}
