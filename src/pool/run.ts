import type { Awaitable } from '../core/types.js';
import type { Waiting } from './admission.js';
import type { PoolEngine } from './engine.js';
import type { Group } from './lanes.js';
import type { Slot } from './slot.js';
import type { Watch } from './watch.js';

/**
 * The life of one run of a function.
 *
 *   waiting ──► running ──► ended          its caller was told when it ended
 *      │           ├──► timedOut ──► ended  its caller was told before: it is overdue until it ends
 *      │           └──► aborted ──► ended
 *      └──► ended                           it never ran
 */
type RunState = 'waiting' | 'running' | 'timedOut' | 'aborted' | 'ended';

/** One piece of work that needs a slot: a task given to `execute`, or one item of `map`. */
export abstract class Run {
  state: RunState = 'waiting';
  /** Its moments, its timeouts and its caller's signal, if it has any of them. */
  watch: Watch | undefined;

  constructor(public group: Group<Waiting>) {}

  /** It has its slot and is in the right async context. */
  enterNow(engine: PoolEngine, slot: Slot): void {
    engine.enterFunction(slot);
  }

  /** Makes its context, leaves it in the slot, and enters the function. May throw. */
  abstract call(slot: Slot): Awaitable<unknown>;
  /** Answers the caller; called once. */
  abstract tell(isFulfilled: boolean, result: unknown): void;
  /** It has left its slot. @param hasEnded true: in its own reaction, hence in its async context; false: it was abandoned. */
  abstract left(hasEnded: boolean): void;
}
