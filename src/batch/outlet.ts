import type { Milliseconds } from '../core/types.js';
import type { Attempts } from '../retry/attempts.js';
import type { Tally } from './tally.js';
import type { BatchResult } from './types.js';

/** An item that was pulled and is not settled. One for each item: its fields are made by the constructor alone. */
export class Entry<I> {
  declare readonly item: I;
  declare readonly index: number;
  /** Calls entered for it. */
  declare attempts: number;
  /** If it may be repeated by itself. */
  declare readonly tries: Attempts | undefined;

  constructor(item: I, index: number, tries: Attempts | undefined) {
    this.item = item;
    this.index = index;
    this.attempts = 0;
    this.tries = tries;
  }
}

/** How a batch ended. */
export interface Ending {
  /** In an object, because its reason may be undefined. */
  readonly abort: { readonly reason: unknown } | undefined;
  /** What the source threw. */
  readonly failure: { readonly error: unknown } | undefined;
  readonly tally: Tally;
  readonly durationMs: Milliseconds;
}

/** Where the results of a batch go. */
export interface Outlet<I, R> {
  /** May one more item be pulled? @param pulled how many were. */
  wantsMore(pulled: number): boolean;
  /** It was pulled. In input order. */
  add(entry: Entry<I>): void;
  /** One of those that were added is settled. */
  keep(result: BatchResult<I, R>): void;
  /** The batch ends here: what is not settled never will be. @param rest items that were not even pulled. */
  skip(reason: unknown, rest: readonly I[]): void;
  /** The last that is told. */
  end(ending: Ending): void;
}
