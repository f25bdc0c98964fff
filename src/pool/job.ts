import type { Resolve } from '../core/deferred.js';
import type { AcquireRequest } from '../core/gate.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable, Task } from '../core/types.js';
import type { Waiting } from './admission.js';
import type { PoolEngine } from './engine.js';
import type { Group } from './lanes.js';
import type { Run, RunState } from './run.js';
import type { Slot } from './slot.js';
import type { Watch } from './watch.js';

/**
 * One call of `execute`. A queue may hold a million of them: with its promise, its `resolve` and its place in the queue it takes
 * about 250 bytes.
 */
export class Job implements Run, Waiting {
  // Declared, that is made by the constructor alone: V8 does not inline the making of fields, a tenth of an uncontended call.
  declare state: RunState;
  declare watch: Watch | undefined;
  declare readonly group: Group<Waiting>;
  /** What the caller holds. Also what keeps the caller's async context on some runtimes. */
  declare readonly promise: Promise<unknown>;
  /** The async context it was submitted in, if it has to wait. */
  declare captured: unknown;
  /** What to call, then the context that it was called with: whoever keeps that alive must not keep the closure alive. */
  declare private work: Task<unknown> | LazyContext | undefined;
  declare private resolve: Resolve<unknown> | undefined;

  constructor(
    task: Task<unknown> | undefined,
    group: Group<Waiting>,
    promise: Promise<unknown>,
    resolve: Resolve<unknown>,
  ) {
    this.state = 'waiting';
    this.watch = undefined;
    this.group = group;
    this.promise = promise;
    this.captured = undefined;
    this.work = task;
    this.resolve = resolve;
  }

  get isDead(): boolean {
    return this.state === 'ended';
  }

  /** It has its slot and is in the right async context. */
  enterNow(engine: PoolEngine, slot: Slot): void {
    engine.enterFunction(slot);
  }

  /** Its turn has come. */
  enter(engine: PoolEngine, slot: Slot, time: number | undefined): boolean {
    if (engine.dropIfAborted(this)) return false;
    if (engine.gatehouse.sendsOn(slot, this)) return true;
    engine.counters.queued--;
    engine.occupy(slot, this, time);
    engine.asyncContext.run(this.captured, engine.enterFunction, slot);
    return true;
  }

  request(): AcquireRequest {
    return { cost: this.watch?.cost, group: this.group.id };
  }

  refuse(engine: PoolEngine, reason: unknown): void {
    engine.refuseWaiting(this, reason, 'refused');
  }

  call(): Awaitable<unknown> {
    const task = this.work as Task<unknown>;
    const context = this.makeContext();
    return task(context);
  }

  makeContext(): LazyContext {
    const context = new LazyContext();
    this.work = context;
    return context;
  }

  abortWork(reason: unknown): void {
    if (this.work instanceof LazyContext) LazyContext.abort(this.work, reason);
  }

  tell(isFulfilled: boolean, result: unknown): void {
    const resolve = this.resolve;
    // Neither a tombstone nor an overdue run must keep what its caller held.
    this.resolve = undefined;
    if (!(this.work instanceof LazyContext)) this.work = undefined;
    resolve?.(isFulfilled ? result : Promise.reject(result));
  }

  left(): void {}
}
