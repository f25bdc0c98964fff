import { LazyContext } from '../core/task-context.js';
import type { Awaitable } from '../core/types.js';
import { Run } from './run.js';
import type { Slot } from './slot.js';
import type { ItemContext, ItemWork } from './types.js';

/** Whose item it is: a `map` or a `stream`. */
export interface ItemOwner {
  readonly work: ItemWork<never, unknown>;
  keep(index: number, result: unknown): void;
  fail(error: unknown): void;
  left(item: ItemRun, hasEnded: boolean): void;
}

class LazyItemContext extends LazyContext implements ItemContext {
  constructor(readonly index: number) {
    super();
  }
}

/** The item in a slot. One object serves all items that the slot ever holds, so its fields are set anew for each. */
export class ItemRun extends Run {
  owner: ItemOwner | undefined;
  index = 0;
  item: unknown;
  /** Its index among those of its owner that have not left. */
  place = 0;
  /** Keeps the class alive, as the engine does with its own. */
  readonly kept = new LazyItemContext(0);

  constructor(
    readonly slot: Slot,
    group: Run['group'],
  ) {
    super(group);
  }

  call(slot: Slot): Awaitable<unknown> {
    const context = new LazyItemContext(this.index);
    slot.context = context;
    return (this.owner as ItemOwner).work(this.item as never, context);
  }

  tell(isFulfilled: boolean, result: unknown): void {
    const owner = this.owner as ItemOwner;
    if (isFulfilled) owner.keep(this.index, result);
    else owner.fail(result);
  }

  left(hasEnded: boolean): void {
    const owner = this.owner as ItemOwner;
    // A slot that waits for its next run must not keep what the last one held.
    this.owner = undefined;
    this.item = undefined;
    owner.left(this, hasEnded);
  }
}
