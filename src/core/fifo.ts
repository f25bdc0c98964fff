const BLOCK = 256;

/** Part of a queue: an array filled once and read once. */
interface Block<T> {
  readonly items: (T | undefined)[];
  next: Block<T> | undefined;
}

/**
 * First in, first out, O(1) at both ends. A list of blocks: nothing is ever copied or shifted, and what has been read is given
 * back block by block, so a queue that was once long does not stay large.
 */
export class Fifo<T> {
  // The first block grows as it is filled: most queues are short, and a pool may have one for each of its groups.
  #head: Block<T> = { items: [], next: undefined };
  #tail = this.#head;
  #read = 0;
  #write = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#write === BLOCK) {
      const block: Block<T> = { items: new Array<T | undefined>(BLOCK), next: undefined };
      this.#tail.next = block;
      this.#tail = block;
      this.#write = 0;
    }
    this.#tail.items[this.#write++] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#head.items[this.#read];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const { items } = this.#head;
    const item = items[this.#read];
    items[this.#read++] = undefined;
    if (--this.#length === 0) {
      // The last block is empty and at hand: begin it again.
      this.#head = this.#tail;
      this.#read = 0;
      this.#write = 0;
    } else if (this.#read === BLOCK) {
      this.#head = this.#head.next as Block<T>;
      this.#read = 0;
    }
    return item;
  }

  clear(): void {
    this.#head = { items: [], next: undefined };
    this.#tail = this.#head;
    this.#read = 0;
    this.#write = 0;
    this.#length = 0;
  }

  /** Keeps what `keep` says, in order. O(length). */
  filter(keep: (item: T) => boolean): void {
    const length = this.#length;
    let block: Block<T> | undefined = this.#head;
    let read = this.#read;
    this.clear();
    for (let i = 0; i < length; i++) {
      if (read === BLOCK) {
        block = (block as Block<T>).next;
        read = 0;
      }
      const item = (block as Block<T>).items[read++] as T;
      if (keep(item)) this.push(item);
    }
  }
}
