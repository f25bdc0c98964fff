import { type AsyncContextPort, chooseAsyncContext } from '../core/async-context.js';
import { now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { markHandled, observe } from '../core/deferred.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import { Sampler } from '../metrics/sampler.js';
import { QueueFullError, QueueTimeoutError } from './errors.js';
import { POOL_HOOKS, type PoolHooks, type PoolSettleEvent } from './hooks.js';
import type { Job } from './job.js';
import { type Group, Lanes, type Level, type Waiter } from './lanes.js';
import { PoolCounters } from './metrics.js';
import { Run, Timing } from './run.js';
import { Slot } from './slot.js';
import { Watch } from './watch.js';

/** What can wait for a slot: a task, or a `map` that wants to start its next item. */
export interface Waiting extends Waiter {
  /** Starts something in the slot, or answers that it needs none now and gives its place in the lanes back. */
  enter(engine: PoolEngine, slot: Slot, time: Milliseconds | undefined): boolean;
}

interface MapInProgress {
  readonly isBusy: boolean;
  /** Queues up for a slot that nobody else wants. Answers whether it did. */
  askForMore(): boolean;
  /** The pool's end: fails at once and cuts its items. */
  shutDown(reason: unknown): void;
}

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
 *
 * A slot is handed on inside the reaction of the task that ended, so no turn is lost and nobody can barge in between: while the
 * engine is unsettled (a slot is free though somebody may start), a newcomer has to queue.
 */
export class PoolEngine {
  readonly name: string;
  readonly counters = new PoolCounters();
  readonly deadlines = new Deadlines();
  readonly lanes: Lanes<Waiting>;
  readonly hooks: HookSet<PoolHooks>;
  limit: number;
  isPaused = false;
  /** Takes nothing new. */
  isClosing = false;
  /** The calls of `map` and `stream` that are not done. */
  readonly maps = new Set<MapInProgress>();
  /** Those of them that may want more than they have. */
  readonly hungry = new Set<MapInProgress>();
  /** Busy slots; order without meaning. Abandoned ones are not among them. */
  readonly busy: Slot[] = [];
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
  #asyncContext: AsyncContextPort | undefined;
  /** A slot may be free though somebody could start: the pump is on its way. */
  #isUnsettled = false;

  constructor({ name, limit, perGroup, maxQueue, abortGrace, hooks }: EngineOptions) {
    this.name = name;
    this.limit = limit;
    this.lanes = new Lanes(perGroup);
    this.#maxQueue = maxQueue;
    this.#abortGrace = abortGrace;
    this.hooks = new HookSet(name, POOL_HOOKS, hooks);
  }

  get hasFreeSlot(): boolean {
    return this.counters.running < this.limit && !this.isPaused;
  }

  get isIdle(): boolean {
    if (this.counters.running > 0 || this.lanes.length > 0) return false;
    for (const map of this.maps) if (map.isBusy) return false;
    return true;
  }

  /** The async contexts of those who wait. */
  get asyncContext(): AsyncContextPort {
    this.#asyncContext ??= chooseAsyncContext();
    return this.#asyncContext;
  }

  /** May a newcomer of this group start now, without passing by anybody? */
  mayStartNow(group: Group<Waiting>): boolean {
    return this.hasFreeSlot && this.lanes.mayStart(group) && (this.lanes.length === 0 || !this.#isUnsettled);
  }

  /** Decides whether a run is timed, and reads the clock if so. */
  time(run: Run): void {
    const isSampled = this.#sampler.next();
    if (!isSampled && (this.hooks.isEmpty || !this.#hooksWantTimes)) return;
    const time = now();
    run.timing = new Timing(time, isSampled ? this.#sampler.weight(time) : 0);
  }

  /** Starts a task inside its submission. */
  startNow(run: Run): void {
    this.lanes.enter(run.group);
    const slot = this.takeSlot();
    this.occupy(slot, run, run.timing?.queuedAt);
    run.enterNow(this, slot);
  }

  /** A run gets its slot: counted and told, but not entered yet. */
  occupy(slot: Slot, run: Run, time: Milliseconds | undefined): void {
    const { counters } = this;
    slot.run = run;
    slot.context = run.makeContext();
    slot.place = this.busy.push(slot) - 1;
    run.state = 'running';
    counters.running++;
    if (counters.running > counters.peakRunning) counters.peakRunning = counters.running;
    if (run.timing !== undefined) this.#startClock(run.timing, time ?? now());
    run.watch?.started(slot);
    const { onStart } = this.hooks.listeners;
    if (onStart === undefined) return;
    this.hooks.tell(onStart, {
      name: this.name,
      group: run.group.id,
      running: counters.running,
      waitMs: run.timing?.waitMs ?? 0,
    });
  }

  readonly enterFunction = (slot: Slot): void => {
    const run = slot.run as Run;
    let promise: Promise<unknown>;
    try {
      // Whoever was told of its start may have ended it at once: then it is not entered.
      promise = run.state === 'running' ? Promise.resolve(run.call(slot.context as LazyContext)) : Promise.resolve();
    } catch (error) {
      promise = Promise.reject(error);
    }
    observe(promise, slot.fulfilled, slot.rejected);
  };

  /** Lets a task wait, or refuses it. */
  enqueue(job: Job, level: Level, queueTimeout: Milliseconds): void {
    const { counters } = this;
    if (queueTimeout === 0) {
      const { running, overdue } = counters;
      this.refuse(job, new QueueTimeoutError({ source: this.name, timeout: 0, running, overdue }), 'refused');
      return;
    }
    if (counters.queued >= this.#maxQueue) {
      this.refuse(job, new QueueFullError({ source: this.name, maxQueue: this.#maxQueue }), 'refused');
      return;
    }
    job.captured = this.asyncContext.capture(job.promise);
    job.watch?.queued(queueTimeout);
    counters.queued++;
    if (counters.queued > counters.peakQueued) counters.peakQueued = counters.queued;
    this.lanes.push(job, level, job.group);
    const { onQueue } = this.hooks.listeners;
    if (onQueue !== undefined) {
      this.hooks.tell(onQueue, { name: this.name, group: job.group.id, queued: counters.queued });
    }
    if (this.#isUnsettled) this.pump();
  }

  /** Starts what may start. Whoever waits for a shorter queue is told. */
  pump(time?: Milliseconds): void {
    this.#isUnsettled = true;
    while (this.hasFreeSlot) {
      const next = this.lanes.take();
      if (next === undefined) {
        if (this.#offerToMaps()) continue;
        break;
      }
      const slot = this.takeSlot();
      if (!next.enter(this, slot, time)) this.giveBack(slot);
    }
    this.#isUnsettled = false;
    if (this.isWatched) this.onQuiet?.();
  }

  /** Growth starts waiting work in the same turn, before anything that a hook submits. */
  resize(limit: number): void {
    const { limit: from, name } = this;
    if (limit === from) return;
    this.limit = limit;
    this.#isUnsettled = true;
    const { onLimitChange } = this.hooks.listeners;
    if (onLimitChange !== undefined) this.hooks.tell(onLimitChange, { name, from, to: limit });
    this.pump();
  }

  /** Each map is asked once; it says when it may want more again. */
  #offerToMaps(): boolean {
    let isTaken = false;
    for (const map of this.hungry) {
      this.hungry.delete(map);
      if (map.askForMore()) isTaken = true;
    }
    return isTaken;
  }

  /** What runs in the slot has settled. Called by the slot's reactions. */
  ended(slot: Slot, isFulfilled: boolean, result: unknown): void {
    const run = slot.run as Run;
    const { counters } = this;
    const { state } = run;
    const time = run.timing === undefined ? undefined : now();
    if (slot.isAbandoned) {
      this.abandoned.delete(slot);
    } else {
      this.#vacate(slot, run, time);
      if (state !== 'running') counters.overdue--;
      else if (isFulfilled) counters.fulfilled++;
      else counters.failed++;
    }
    run.state = 'ended';
    run.watch?.end();
    if (state === 'running') run.tell(isFulfilled, result);
    const { onSettle } = this.hooks.listeners;
    if (onSettle !== undefined) {
      const error = isFulfilled ? undefined : result;
      const status = statusOf(state, isFulfilled);
      const event = { status, error, waitMs: run.timing?.waitMs ?? 0, runMs: runMs(run, time) };
      this.hooks.tell(onSettle, { name: this.name, group: run.group.id, ...event });
    }
    if (!slot.isAbandoned) this.#handOn(slot, run, time);
  }

  /** Answers the caller of a running task before the task ends: from now on it is overdue. */
  cut(slot: Slot, outcome: 'timedOut' | 'aborted', reason: unknown): void {
    const run = slot.run as Run;
    if (run.state !== 'running') return;
    run.state = outcome;
    this.counters[outcome]++;
    this.counters.overdue++;
    if (this.#abortGrace !== Number.POSITIVE_INFINITY)
      run.watch ??= new Watch(this, run, undefined, Number.POSITIVE_INFINITY);
    run.watch?.overdue(slot, this.#abortGrace);
    run.tell(false, reason);
    const { onOverdue } = this.hooks.listeners;
    if (onOverdue !== undefined) {
      this.hooks.tell(onOverdue, { name: this.name, group: run.group.id, runMs: runMs(run, undefined) });
    }
    LazyContext.abort(slot.context as LazyContext, reason);
  }

  /** Gives up the slot of an overdue run, though it runs on. */
  abandon(slot: Slot): void {
    const run = slot.run as Run;
    slot.isAbandoned = true;
    this.abandoned.add(slot);
    const time = run.timing === undefined ? undefined : now();
    this.#vacate(slot, run, time);
    this.counters.overdue--;
    this.counters.abandoned++;
    const { onAbandon } = this.hooks.listeners;
    if (onAbandon !== undefined) {
      this.hooks.tell(onAbandon, { name: this.name, group: run.group.id, runMs: runMs(run, time) });
    }
    run.left(false);
    this.#quiet(time);
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
    this.lanes.bury(run.group);
    this.#tellRefusal(run, reason);
    this.onQuiet?.();
  }

  /** Empties the queue, with one error for all: a stack for each of a million would take seconds. */
  refuseAll(reason: unknown): number {
    const jobs = this.lanes.remove((item) => item instanceof Run) as (Waiting &
      Run & { readonly promise: Promise<unknown> })[];
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

  #strike(run: Run, counter: 'refused' | 'aborted'): void {
    run.state = 'ended';
    this.counters[counter]++;
    run.watch?.end();
    this.lanes.forgetIfIdle(run.group);
  }

  #tellRefusal(run: Run, reason: unknown): void {
    run.tell(false, reason);
    const { onRefuse } = this.hooks.listeners;
    if (onRefuse === undefined) return;
    const waitMs = run.timing === undefined ? 0 : now() - run.timing.queuedAt;
    this.hooks.tell(onRefuse, { name: this.name, group: run.group.id, reason, waitMs });
  }

  /** A slot to `occupy`, or to give back. */
  takeSlot(): Slot {
    return this.#spare.pop() ?? new Slot(this);
  }

  giveBack(slot: Slot): void {
    if (this.#spare.length < SPARE_SLOTS) this.#spare.push(slot);
  }

  #startClock(timing: Timing, time: Milliseconds): void {
    timing.startedAt = time;
    if (timing.weight > 0) this.counters.waited(timing.waitMs, time, timing.weight);
  }

  /** The run leaves the slot: counted, but not handed on yet. */
  #vacate(slot: Slot, run: Run, time: Milliseconds | undefined): void {
    this.#isUnsettled = true;
    this.counters.running--;
    this.lanes.leave(run.group);
    const last = this.busy.pop() as Slot;
    if (last !== slot) {
      this.busy[slot.place] = last;
      last.place = slot.place;
    }
    if (time === undefined || run.timing === undefined) return;
    const { startedAt, weight } = run.timing;
    if (weight > 0) this.counters.ran(time - startedAt, time, weight);
  }

  #handOn(slot: Slot, run: Run, time: Milliseconds | undefined): void {
    slot.run = undefined;
    slot.context = undefined;
    this.giveBack(slot);
    run.left(true);
    this.#quiet(time);
  }

  #quiet(time: Milliseconds | undefined): void {
    if (this.lanes.length > 0 || this.maps.size > 0) this.pump(time);
    else this.#isUnsettled = false;
    if (this.isWatched || this.hooks.listeners.onIdle !== undefined) this.onQuiet?.();
  }

  get #hooksWantTimes(): boolean {
    const { onStart, onSettle, onRefuse, onOverdue, onAbandon } = this.hooks.listeners;
    return (onStart ?? onSettle ?? onRefuse ?? onOverdue ?? onAbandon) !== undefined;
  }
}

/** 0 for a run that is not timed: a hook that came later than the run. */
function runMs({ timing }: Run, time: Milliseconds | undefined): Milliseconds {
  return timing === undefined ? 0 : (time ?? now()) - timing.startedAt;
}

function statusOf(state: Run['state'], isFulfilled: boolean): PoolSettleEvent['status'] {
  if (state === 'running') return isFulfilled ? 'fulfilled' : 'rejected';
  return state === 'timedOut' ? 'timeout' : 'aborted';
}
