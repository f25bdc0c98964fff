import type { AcquireRequest } from '../core/gate.js';
import { LazyContext } from '../core/task-context.js';
import type { PoolEngine } from './engine.js';
import type { Run, RunState } from './run.js';
import type { Slot } from './slot.js';
import type { ItemContext } from './types.js';
import type { Watch } from './watch.js';

/** Whose item it is: a `map` or a `stream`. */
interface ItemOwner {
  call(item: unknown, context: ItemContext): unknown;
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
export class ItemRun implements Run {
  state: RunState = 'waiting';
  watch: Watch | undefined;
  owner: ItemOwner | undefined;
  index = 0;
  item: unknown;
  #context: LazyItemContext | undefined;
  /** Its index among those of its owner that have not left. */
  place = 0;
  /** Keeps the class alive, as the engine does with its own. */
  readonly kept = new LazyItemContext(0);

  constructor(
    readonly slot: Slot,
    public group: Run['group'],
  ) {}

  request(): AcquireRequest {
    return { cost: this.watch?.cost, group: this.group.id };
  }

  enterNow(engine: PoolEngine, slot: Slot): void {
    engine.enterFunction(slot);
  }

  call(): unknown {
    const context = new LazyItemContext(this.index);
    this.#context = context;
    return this.owner?.call(this.item, context);
  }

  abortWork(reason: unknown): void {
    if (this.#context !== undefined) LazyContext.abort(this.#context, reason);
  }

  tell(isFulfilled: boolean, result: unknown): void {
    if (isFulfilled) this.owner?.keep(this.index, result);
    else this.owner?.fail(result);
  }

  left(hasEnded: boolean): void {
    const { owner } = this;
    // A slot that waits for its next run must not keep what the last one held.
    this.owner = undefined;
    this.item = undefined;
    this.#context = undefined;
    owner?.left(this, hasEnded);
  }
}
