import type { Resolve } from '../core/deferred.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable, Task } from '../core/types.js';
import type { Waiting } from './admission.js';
import type { PoolEngine } from './engine.js';
import type { Group } from './lanes.js';
import { Run } from './run.js';
import type { Slot } from './slot.js';

/**
 * One call of `execute`. A queue may hold a million of them: with its promise, its `resolve` and its place in the queue it takes
 * about 250 bytes.
 */
export class Job extends Run implements Waiting {
  #task: Task<unknown> | undefined;
  #resolve: Resolve<unknown> | undefined;
  /** What the caller holds. Also what keeps the caller's async context on some runtimes. */
  readonly promise: Promise<unknown>;
  /** The async context it was submitted in, if it has to wait. */
  captured: unknown;

  constructor(
    task: Task<unknown> | undefined,
    group: Group<Waiting>,
    promise: Promise<unknown>,
    resolve: Resolve<unknown>,
  ) {
    super(group);
    this.#task = task;
    this.#resolve = resolve;
    this.promise = promise;
  }

  get isDead(): boolean {
    return this.state === 'ended';
  }

  /** Its turn has come. */
  enter(engine: PoolEngine, slot: Slot, time: number | undefined): boolean {
    engine.counters.queued--;
    engine.occupy(slot, this, time);
    engine.asyncContext.run(this.captured, engine.enterFunction, slot);
    return true;
  }

  call(slot: Slot): Awaitable<unknown> {
    const task = this.#task as Task<unknown>;
    // Whoever keeps the context alive must not keep the closure alive.
    this.#task = undefined;
    const context = new LazyContext();
    slot.context = context;
    return task(context);
  }

  tell(isFulfilled: boolean, result: unknown): void {
    const resolve = this.#resolve;
    // Neither a tombstone nor an overdue run must keep what its caller held.
    this.#resolve = undefined;
    this.#task = undefined;
    resolve?.(isFulfilled ? result : Promise.reject(result));
  }

  left(): void {}
}
