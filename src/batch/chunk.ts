import type { Attempts } from '../retry/attempts.js';
import type { Entry } from './outlet.js';
import type { Job } from './window.js';

/** Items that are sent together. */
export class Chunk<I> implements Job {
  readonly entries: readonly Entry<I>[];
  readonly tries: Attempts | undefined;
  /** Its call gets one attempt; items that fail inside may be repeated. */
  readonly isHalf: boolean;
  /** Calls entered for its items. */
  attempts: number;

  constructor(entries: readonly Entry<I>[], tries: Attempts | undefined, attempts = 0, isHalf = false) {
    this.entries = entries;
    this.tries = tries;
    this.attempts = attempts;
    this.isHalf = isHalf;
  }

  /** Position of its first item in the input. */
  get offset(): number {
    return this.entries[0]?.index ?? 0;
  }

  get items(): I[] {
    return this.entries.map(({ item }) => item);
  }

  entered(): void {
    this.attempts++;
    for (const entry of this.entries) entry.attempts++;
  }

  /** Some of its items, to be repeated under the same rules. */
  only(entries: readonly Entry<I>[]): Chunk<I> {
    return new Chunk(entries, this.tries, this.attempts);
  }

  halves(makeTries: () => Attempts | undefined): readonly Chunk<I>[] {
    const middle = Math.ceil(this.entries.length / 2);
    const parts = [this.entries.slice(0, middle), this.entries.slice(middle)];
    return parts.map((part) => new Chunk(part, makeTries(), this.attempts, true));
  }
}
