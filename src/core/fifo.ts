const BLOCK = 256;

/** Part of a queue: an array filled once and read once. */
interface Block<T> {
  readonly items: (T | undefined)[];
  next: Block<T> | undefined;
}

/**
 * First in, first out, O(1) at both ends. A list of blocks: nothing is ever shifted, and what has been read is given back block by
 * block, so a queue that was once long does not stay large.
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
      const block = { items: new Array<T | undefined>(BLOCK), next: undefined };
      this.#tail.next = block;
      this.#tail = block;
      this.#write = 0;
    }
    this.#tail.items[this.#write++] = item;
    this.#length++;
  }

  peek(): T | undefined {
    // Empty, it reads what `shift` left: undefined.
    return this.#head.items[this.#read];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const { items } = this.#head;
    const item = items[this.#read];
    items[this.#read++] = undefined;
    if (--this.#length === 0) {
      // The last block is empty and at hand: begin it again.
      this.#read = 0;
      this.#write = 0;
    } else if (this.#read === BLOCK) {
      this.#head = this.#head.next as Block<T>;
      this.#read = 0;
    }
    return item;
  }

  /** Keeps what `keep` says, in order: each goes round once. O(length). */
  filter(keep: (item: T) => boolean): void {
    for (let left = this.#length; left > 0; left--) {
      const item = this.shift() as T;
      if (keep(item)) this.push(item);
    }
  }
}
