import type { AcquireRequest } from '../core/gate.js';
import type { Milliseconds } from '../core/types.js';
import type { Waiting } from './admission.js';
import type { PoolEngine } from './engine.js';
import type { Group } from './lanes.js';
import type { Slot } from './slot.js';

/** A `map` or a `stream`, as its place in the lanes sees it. */
interface Stander {
  enter(slot: Slot, counted: Group<Waiting>, time: Milliseconds | undefined): boolean;
  request(group: Group<Waiting>): AcquireRequest | undefined;
  fail(error: unknown): void;
}

/** One place in the lanes. A new one each time: what was left before is a tombstone for ever. */
export class Standing implements Waiting {
  isDead = false;

  constructor(
    readonly items: Stander,
    readonly group: Group<Waiting>,
  ) {}

  enter(_engine: PoolEngine, slot: Slot, time: Milliseconds | undefined): boolean {
    return this.items.enter(slot, this.group, time);
  }

  request(): AcquireRequest | undefined {
    return this.items.request(this.group);
  }

  refuse(engine: PoolEngine, reason: unknown): void {
    engine.refuseItem(this.group, reason);
    this.items.fail(reason);
  }
}
