import type { LazyContext } from '../core/task-context.js';
import type { Awaitable, Milliseconds } from '../core/types.js';
import type { PoolEngine, Waiting } from './engine.js';
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

/** The moments of one run that is timed, monotonic ms. */
export class Timing {
  startedAt: Milliseconds;

  /** @param weight for how many runs its durations count; 0: only hooks are told. */
  constructor(
    readonly queuedAt: Milliseconds,
    readonly weight: number,
  ) {
    this.startedAt = queuedAt;
  }

  get waitMs(): Milliseconds {
    return this.startedAt - this.queuedAt;
  }
}

/** One piece of work that needs a slot: a task given to `execute`, or one item of `map`. */
export abstract class Run {
  state: RunState = 'waiting';
  readonly group: Group<Waiting>;
  /** Undefined: it is not timed. */
  timing: Timing | undefined;
  /** Its timeouts and its caller's signal, if it has any. */
  watch: Watch | undefined;

  constructor(group: Group<Waiting>) {
    this.group = group;
  }

  /** It has its slot and is in the right async context. */
  enterNow(engine: PoolEngine, slot: Slot): void {
    engine.enterFunction(slot);
  }

  abstract makeContext(): LazyContext;
  /** Enters the function. May throw. */
  abstract call(context: LazyContext): Awaitable<unknown>;
  /** Answers the caller; called once. */
  abstract tell(isFulfilled: boolean, result: unknown): void;
  /** It has left its slot. @param hasEnded true: in its own reaction, hence in its async context; false: it was abandoned. */
  abstract left(hasEnded: boolean): void;
}
