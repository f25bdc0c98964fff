import type { Entry } from './outlet.js';

/** Cuts items into chunks, in order: each as full as the two bounds allow, so only the last may be smaller without need. */
export class Chunker<I> {
  readonly #size: number;
  readonly #maxWeight: number;
  #entries: Entry<I>[] = [];
  #weight = 0;

  constructor(size: number, maxWeight: number) {
    this.#size = size;
    this.#maxWeight = maxWeight;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Whatever comes, it goes into the next chunk. */
  get isFull(): boolean {
    return this.#entries.length === this.#size || this.#weight > this.#maxWeight;
  }

  /** Returns the chunk that had to be cut because the item is too heavy for what is left of it. Not to be called while full. */
  add(entry: Entry<I>, weight: number): readonly Entry<I>[] | undefined {
    const cut = !this.isEmpty && this.#weight + weight > this.#maxWeight ? this.take() : undefined;
    this.#entries.push(entry);
    this.#weight += weight;
    return cut;
  }

  take(): readonly Entry<I>[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#weight = 0;
    return entries;
  }
}
