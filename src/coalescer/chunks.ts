import type { StreamEnd } from './stream-types.js';

/** One chunk, or, at the front, the place of the one that comes next. */
export class Chunk<C> {
  value: C | undefined = undefined;
  /** Undefined: this one has not come yet, or was dropped. */
  next: Chunk<C> | undefined = undefined;
  /** Who is to read this one next. */
  readers = 0;
  /** It had to make room. */
  isDropped = false;
}

/**
 * The chunks of one stream, a list in which each reader holds its place.
 *
 * While all chunks fit in `maxBuffer` all are kept, so that a reader may begin at the first. From the moment that they do not, or
 * that nobody may begin any more, only those are kept that somebody here still has to read, and never more than `maxBuffer`. A
 * chunk that is dropped lets go of what follows: the place of a reader who never asks again keeps nothing alive.
 *
 * Cost: O(1) a chunk and O(1) a read, however many readers there are.
 */
export class Chunks<C> {
  readonly #max: number;
  #oldest = new Chunk<C>();
  #front = this.#oldest;
  #kept = 0;
  #received = 0;
  #readers = 0;
  #isWhole = true;
  /** Undefined: there may be more. */
  end: StreamEnd | undefined = undefined;

  constructor(max: number) {
    this.#max = max;
  }

  /** Readers whose next chunk was not dropped. */
  get readers(): number {
    return this.#readers;
  }

  /** More have come than may be kept. */
  get overflowed(): boolean {
    return this.#received > this.#max;
  }

  /** Begins at the first chunk; to be called only while all are kept. */
  join(): Chunk<C> {
    this.#readers++;
    this.#oldest.readers++;
    return this.#oldest;
  }

  /** From a chunk that is there to the one after it. */
  advance(chunk: Chunk<C>): Chunk<C> {
    const next = chunk.next as Chunk<C>;
    next.readers++;
    if (--chunk.readers === 0 && !this.#isWhole) this.#trim();
    return next;
  }

  leave(chunk: Chunk<C>): void {
    if (chunk.isDropped) return;
    this.#readers--;
    if (--chunk.readers === 0 && !this.#isWhole) this.#trim();
  }

  push(value: C): void {
    const chunk = this.#front;
    chunk.value = value;
    this.#front = new Chunk();
    chunk.next = this.#front;
    this.#received++;
    this.#kept++;
    if (this.#isWhole && !this.overflowed) return;
    this.seal();
    if (this.#kept > this.#max) this.#drop();
  }

  /** Nobody begins here any more. */
  seal(): void {
    this.#isWhole = false;
    this.#trim();
  }

  /** Lets go of them all, read or not. Nobody is behind for that. */
  cut(): void {
    while (this.#oldest !== this.#front) this.#release();
  }

  #trim(): void {
    while (this.#oldest !== this.#front && this.#oldest.readers === 0) this.#drop();
  }

  #drop(): void {
    const chunk = this.#release();
    chunk.isDropped = true;
    this.#readers -= chunk.readers;
  }

  #release(): Chunk<C> {
    const chunk = this.#oldest;
    this.#oldest = chunk.next as Chunk<C>;
    this.#kept--;
    chunk.value = undefined;
    chunk.next = undefined;
    return chunk;
  }
}
