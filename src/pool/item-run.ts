import { LazyContext } from '../core/task-context.js';
import type { Awaitable } from '../core/types.js';
import type { Waiting } from './engine.js';
import type { Group } from './lanes.js';
import { Run } from './run.js';
import type { Slot } from './slot.js';
import type { ItemContext, ItemWork } from './types.js';

/** Whose item it is: a `map` or a `stream`. */
export interface ItemOwner<I, R> {
  readonly work: ItemWork<I, R>;
  keep(index: number, result: R): void;
  fail(error: unknown): void;
  left(item: ItemRun<I, R>, hasEnded: boolean): void;
}

class LazyItemContext extends LazyContext implements ItemContext {
  constructor(readonly index: number) {
    super();
  }
}

/** One item in its slot. */
export class ItemRun<I, R> extends Run {
  /** Its index among those of its owner that have not left. */
  place = -1;

  constructor(
    readonly owner: ItemOwner<I, R>,
    readonly slot: Slot,
    readonly index: number,
    readonly item: I,
    group: Group<Waiting>,
  ) {
    super(group);
  }

  makeContext(): LazyItemContext {
    return new LazyItemContext(this.index);
  }

  call(context: LazyContext): Awaitable<R> {
    return this.owner.work(this.item, context as LazyItemContext);
  }

  tell(isFulfilled: boolean, result: unknown): void {
    if (isFulfilled) this.owner.keep(this.index, result as R);
    else this.owner.fail(result);
  }

  left(hasEnded: boolean): void {
    this.owner.left(this, hasEnded);
  }
}
