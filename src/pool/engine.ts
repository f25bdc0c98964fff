import { type AsyncContextPort, chooseAsyncContext } from '../core/async-context.js';
import { NEVER, now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { ignore, markHandled, observe } from '../core/deferred.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import { Sampler } from '../metrics/sampler.js';
import { Admission } from './admission.js';
import { QueueFullError, QueueTimeoutError } from './errors.js';
import { POOL_HOOKS, type PoolHooks, type PoolSettleEvent } from './hooks.js';
import { Job } from './job.js';
import type { Level } from './lanes.js';
import { PoolCounters } from './metrics.js';
import type { Run } from './run.js';
import { Slot } from './slot.js';
import { Watch } from './watch.js';

interface EngineOptions {
  readonly name: string;
  readonly limit: number;
  readonly perGroup: number;
  readonly maxQueue: number;
  readonly abortGrace: Milliseconds;
  readonly hooks: PoolHooks | undefined;
}

/** Slots kept for the next run. More are made and dropped as they are needed. */
const SPARE_SLOTS = 256;

/**
 * Slots, and who is in them. Everything that starts, ends, is cut short or refused goes through here, so the order of effects stands in
 * one place: counters, then the caller's promise, then the hook, then the slot is handed on.
 */
export class PoolEngine {
  readonly name: string;
  readonly counters = new PoolCounters();
  readonly deadlines = new Deadlines();
  readonly admission: Admission;
  readonly hooks: HookSet<PoolHooks>;
  /** Takes nothing new. */
  isClosing = false;
  /** All slots that were not given up, busy or not. */
  readonly slots = new Set<Slot>();
  /** Slots that were given up, and whose work runs on. */
  readonly abandoned = new Set<Slot>();
  /** Told when something has left the queue or a slot, if `isWatched`. */
  onQuiet: (() => void) | undefined;
  /** Somebody waits for the pool to become quiet. */
  isWatched = false;

  readonly #maxQueue: number;
  readonly #abortGrace: Milliseconds;
  readonly #sampler = new Sampler();
  readonly #spare: Slot[] = [];
  /** One of each, kept for ever: V8 throws optimised code away when the last object of a class is collected, that is in any pause. */
  readonly kept: readonly unknown[];
  #asyncContext: AsyncContextPort | undefined;

  constructor({ name, limit, perGroup, maxQueue, abortGrace, hooks }: EngineOptions) {
    this.name = name;
    this.admission = new Admission(this, limit, perGroup);
    this.#maxQueue = maxQueue;
    this.#abortGrace = abortGrace;
    this.hooks = new HookSet(name, POOL_HOOKS, hooks);
    const job = new Job(undefined, this.admission.lanes.ungrouped, Promise.resolve(), ignore);
    this.kept = [job, new Watch(this, job), new LazyContext()];
  }

  get isIdle(): boolean {
    if (this.counters.running > 0 || this.admission.lanes.length > 0) return false;
    for (const map of this.admission.maps) if (map.isBusy) return false;
    return true;
  }

  /** The async contexts of those who wait. */
  get asyncContext(): AsyncContextPort {
    this.#asyncContext ??= chooseAsyncContext();
    return this.#asyncContext;
  }

  /** Decides whether a run is timed, and reads the clock if so. */
  time(run: Run): void {
    if (this.#sampler.next()) this.#time(run, true);
    else if (!this.hooks.isEmpty && this.#hooksWantTimes) this.#time(run, false);
  }

  /** Starts a task inside its submission. */
  startNow(run: Job): void {
    this.admission.lanes.enter(run.group);
    const slot = this.takeSlot();
    this.occupy(slot, run, run.watch?.isTimed === true ? run.watch.queuedAt : undefined);
    run.enterNow(this, slot);
  }

  /** A run gets its slot: counted and told, but not entered yet. */
  occupy(slot: Slot, run: Run, time: Milliseconds | undefined): void {
    const { counters } = this;
    slot.run = run;
    run.state = 'running';
    counters.running++;
    if (counters.running > counters.peakRunning) counters.peakRunning = counters.running;
    run.watch?.started(slot, time);
    if (!this.hooks.isEmpty) this.#tellStart(run);
  }

  readonly enterFunction = (slot: Slot): void => {
    const run = slot.run as Run;
    let promise: Promise<unknown>;
    try {
      // Whoever was told of its start may have ended it at once: then it is not entered.
      promise = Promise.resolve(run.state === 'running' ? run.call() : undefined);
    } catch (error) {
      promise = Promise.reject(error);
    }
    observe(promise, slot.fulfilled, slot.rejected);
  };

  /** Lets a task wait, or refuses it. */
  enqueue(job: Job, level: Level, queueTimeout: Milliseconds): void {
    const { counters, admission, hooks, name } = this;
    if (queueTimeout === 0) {
      this.refuse(job, this.queueTimeoutError(0), 'refused');
      return;
    }
    if (counters.queued >= this.#maxQueue) {
      this.refuse(job, new QueueFullError({ source: name, maxQueue: this.#maxQueue }), 'refused');
      return;
    }
    job.captured = this.asyncContext.capture(job.promise);
    job.watch?.queued(queueTimeout);
    counters.queued++;
    if (counters.queued > counters.peakQueued) counters.peakQueued = counters.queued;
    admission.lanes.push(job, level, job.group);
    const { onQueue } = hooks.listeners;
    if (onQueue !== undefined) hooks.tell(onQueue, { name, group: job.group.id, queued: counters.queued });
    if (admission.isUnsettled) admission.pump();
  }

  /** What runs in the slot has settled. Called by the slot's reactions. */
  ended(slot: Slot, isFulfilled: boolean, result: unknown): void {
    const run = slot.run as Run;
    const { counters } = this;
    const { state, watch } = run;
    const time = watch?.isTimed === true ? now() : undefined;
    if (slot.isAbandoned) {
      this.abandoned.delete(slot);
    } else {
      this.#vacate(run, time);
      if (state !== 'running') counters.overdue--;
      else if (isFulfilled) counters.fulfilled++;
      else counters.failed++;
    }
    run.state = 'ended';
    watch?.end();
    if (state === 'running') run.tell(isFulfilled, result);
    if (!this.hooks.isEmpty)
      this.#tellSettled(run, statusOf(state, isFulfilled), isFulfilled ? undefined : result, time);
    if (slot.isAbandoned) return;
    slot.run = undefined;
    run.left(true);
    // A map may have put its next item into it.
    this.#handOn(slot.run === undefined ? slot : undefined, time);
  }

  /** Answers the caller of a running task before the task ends: from now on it is overdue. */
  cut(slot: Slot, outcome: 'timedOut' | 'aborted', reason: unknown): void {
    const run = slot.run as Run;
    if (run.state !== 'running') return;
    run.state = outcome;
    this.counters[outcome]++;
    this.counters.overdue++;
    if (this.#abortGrace !== NEVER) run.watch ??= new Watch(this, run);
    run.watch?.overdue(slot, this.#abortGrace);
    run.tell(false, reason);
    const { onOverdue } = this.hooks.listeners;
    if (onOverdue !== undefined) {
      this.hooks.tell(onOverdue, { name: this.name, group: run.group.id, runMs: runMs(run, undefined) });
    }
    run.abortWork(reason);
  }

  /** Gives up the slot of an overdue run, though it runs on. */
  abandon(slot: Slot): void {
    const run = slot.run as Run;
    slot.isAbandoned = true;
    this.slots.delete(slot);
    this.abandoned.add(slot);
    const time = run.watch?.isTimed === true ? now() : undefined;
    this.#vacate(run, time);
    this.counters.overdue--;
    this.counters.abandoned++;
    const { onAbandon } = this.hooks.listeners;
    if (onAbandon !== undefined) {
      this.hooks.tell(onAbandon, { name: this.name, group: run.group.id, runMs: runMs(run, time) });
    }
    run.left(false);
    this.#handOn(undefined, time);
  }

  /** A task never runs: counted, its caller told, then the hook. */
  refuse(run: Run, reason: unknown, counter: 'refused' | 'aborted'): void {
    this.#strike(run, counter);
    this.#tellRefusal(run, reason);
  }

  /** The same for one that has its place in the queue already. */
  refuseWaiting(run: Run, reason: unknown, counter: 'refused' | 'aborted'): void {
    this.counters.queued--;
    this.#strike(run, counter);
    this.admission.lanes.bury(run.group);
    this.#tellRefusal(run, reason);
    this.onQuiet?.();
  }

  /** Empties the queue, with one error for all: a stack for each of a million would take seconds. */
  refuseAll(reason: unknown): number {
    const jobs = this.admission.lanes.remove((item) => item instanceof Job) as Job[];
    this.counters.queued -= jobs.length;
    // All are struck off before anybody is told: a hook may abort the signal of the next.
    for (const job of jobs) this.#strike(job, 'refused');
    for (const job of jobs) {
      markHandled(job.promise);
      this.#tellRefusal(job, reason);
    }
    if (jobs.length > 0) this.onQuiet?.();
    return jobs.length;
  }

  queueTimeoutError(timeout: Milliseconds): QueueTimeoutError {
    const { running, overdue } = this.counters;
    return new QueueTimeoutError({ source: this.name, timeout, running, overdue });
  }

  /** A slot to `occupy`, or to give back. */
  takeSlot(): Slot {
    return this.#spare.pop() ?? this.#makeSlot();
  }

  giveBack(slot: Slot): void {
    if (this.#spare.length < SPARE_SLOTS) this.#spare.push(slot);
    else this.slots.delete(slot);
  }

  #makeSlot(): Slot {
    const slot = new Slot(this);
    this.slots.add(slot);
    return slot;
  }

  #strike(run: Run, counter: 'refused' | 'aborted'): void {
    run.state = 'ended';
    this.counters[counter]++;
    run.watch?.end();
    this.admission.lanes.forgetIfIdle(run.group);
  }

  #tellRefusal(run: Run, reason: unknown): void {
    run.tell(false, reason);
    const { onRefuse } = this.hooks.listeners;
    if (onRefuse === undefined) return;
    const waited = run.watch?.isTimed === true ? now() - run.watch.queuedAt : 0;
    this.hooks.tell(onRefuse, { name: this.name, group: run.group.id, reason, waitMs: waited });
  }

  #time(run: Run, isSampled: boolean): void {
    const time = now();
    run.watch ??= new Watch(this, run);
    run.watch.time(time, isSampled ? this.#sampler.weight(time) : 0);
  }

  #tellStart(run: Run): void {
    const { hooks, name } = this;
    const { onStart } = hooks.listeners;
    if (onStart === undefined) return;
    hooks.tell(onStart, { name, group: run.group.id, running: this.counters.running, waitMs: waitMs(run) });
  }

  #tellSettled(run: Run, status: PoolSettleEvent['status'], error: unknown, time: Milliseconds | undefined): void {
    const { hooks, name } = this;
    const { onSettle } = hooks.listeners;
    if (onSettle === undefined) return;
    hooks.tell(onSettle, { name, group: run.group.id, status, error, waitMs: waitMs(run), runMs: runMs(run, time) });
  }

  /** The run leaves the slot: counted, but not handed on yet. */
  #vacate({ group, watch }: Run, time: Milliseconds | undefined): void {
    this.admission.isUnsettled = true;
    this.counters.running--;
    this.admission.lanes.leave(group);
    if (time === undefined || watch === undefined || watch.weight === 0) return;
    this.counters.ran(time - watch.startedAt, time, watch.weight);
  }

  #handOn(slot: Slot | undefined, time: Milliseconds | undefined): void {
    this.admission.freed(slot, time);
    if (this.isWatched || this.hooks.listeners.onIdle !== undefined) this.onQuiet?.();
  }

  get #hooksWantTimes(): boolean {
    const { onStart, onSettle, onRefuse, onOverdue, onAbandon } = this.hooks.listeners;
    return (onStart ?? onSettle ?? onRefuse ?? onOverdue ?? onAbandon) !== undefined;
  }
}

function waitMs({ watch }: Run): Milliseconds {
  return watch?.isTimed === true ? watch.startedAt - watch.queuedAt : 0;
}

/** 0 for a run that is not timed: a hook that came later than the run. */
function runMs({ watch }: Run, time: Milliseconds | undefined): Milliseconds {
  return watch?.isTimed === true ? (time ?? now()) - watch.startedAt : 0;
}

function statusOf(state: Run['state'], isFulfilled: boolean): PoolSettleEvent['status'] {
  if (state === 'running') return isFulfilled ? 'fulfilled' : 'rejected';
  return state === 'timedOut' ? 'timeout' : 'aborted';
}
