import type { ItemRun } from './item-run.js';
import type { Run } from './run.js';
import type { Ticket } from './ticket.js';

export interface SlotOwner {
  /** What runs in the slot has settled. */
  ended(slot: Slot, isFulfilled: boolean, result: unknown): void;
}

/**
 * A place to run. Its two reactions are made once and serve all runs that it holds, one after the other, so a task that has to
 * wait costs no closure.
 */
export class Slot {
  run: Run | undefined;
  /** Serves all items that it ever holds. */
  item: ItemRun | undefined;
  /** What its run owes to gates and to an adaptive limit. */
  ticket: Ticket | undefined;
  /** Given up: what it holds runs on outside the limit, and its end frees nothing. */
  isAbandoned = false;
  readonly fulfilled: (value: unknown) => void;
  readonly rejected: (reason: unknown) => void;

  constructor(owner: SlotOwner) {
    this.fulfilled = (value) => owner.ended(this, true, value);
    this.rejected = (reason) => owner.ended(this, false, reason);
  }
}
