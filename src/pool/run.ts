import type { AcquireRequest } from '../core/gate.js';
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
export type RunState = 'waiting' | 'running' | 'timedOut' | 'aborted' | 'ended';

/** One piece of work that needs a slot: a task given to `execute`, or one item of `map`. */
export interface Run {
  state: RunState;
  readonly group: Group<Waiting>;
  /** Its moments, its timeouts and its caller's signal, if it has any of them. */
  watch: Watch | undefined;
  /** For gates. */
  request(): AcquireRequest;
  /** It has its slot and is in the right async context. */
  enterNow(engine: PoolEngine, slot: Slot): void;
  /** Makes its context and enters the function. May throw. */
  call(): Awaitable<unknown>;
  /** Aborts the signal of that context, if it was entered. */
  abortWork(reason: unknown): void;
  /** Answers the caller; called once. */
  tell(isFulfilled: boolean, result: unknown): void;
  /** It has left its slot. @param hasEnded true: in its own reaction, hence in its async context; false: it was abandoned. */
  left(hasEnded: boolean): void;
}
