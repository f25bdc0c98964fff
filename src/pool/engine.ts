import { type AsyncContextPort, chooseAsyncContext } from '../core/async-context.js';
import { NEVER, now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { ignore, markHandled, observe } from '../core/deferred.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import { HookSet } from '../metrics/hooks.js';
import { Sampler } from '../metrics/sampler.js';
import { Admission } from './admission.js';
import { Approach } from './approach.js';
import { QueueFullError, QueueTimeoutError } from './errors.js';
import { Feedback } from './feedback.js';
import { POOL_HOOKS, type PoolHooks, type PoolSettleEvent } from './hooks.js';
import { Job } from './job.js';
import type { Level } from './lanes.js';
import { PoolCounters } from './metrics.js';
import type { Run } from './run.js';
import { Slot } from './slot.js';
import { Ticket } from './ticket.js';
import { Watch } from './watch.js';

interface EngineOptions {
  readonly name: string;
  readonly limit: number;
  readonly perGroup: number;
  readonly maxQueue: number;
  readonly abortGrace: Milliseconds;
  readonly hooks: PoolHooks | undefined;
  readonly adaptive: ConcurrencyLimit | undefined;
  readonly classify: ((result: Settled<unknown>) => Verdict) | undefined;
  readonly maxPause: Milliseconds;
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
  readonly feedback: Feedback;
  /** What the gates gave to the run that is about to enter. */
  ticket: Ticket | undefined;
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
  /** Nothing has come in since it was idle. */
  wasIdle = true;

  readonly #maxQueue: number;
  readonly #abortGrace: Milliseconds;
  readonly #sampler = new Sampler();
  readonly #spare: Slot[] = [];
  /** One of each, kept for ever: V8 throws optimised code away when the last object of a class is collected, that is in any pause. */
  readonly kept: readonly unknown[];
  #asyncContext: AsyncContextPort | undefined;

  constructor({ name, limit, perGroup, maxQueue, abortGrace, hooks, adaptive, classify, maxPause }: EngineOptions) {
    this.name = name;
    this.admission = new Admission(this, limit, perGroup);
    this.feedback = new Feedback(this.admission, adaptive, classify, maxPause);
    this.#maxQueue = maxQueue;
    this.#abortGrace = abortGrace;
    this.hooks = new HookSet(name, POOL_HOOKS, hooks);
    const job = new Job(undefined, this.admission.lanes.ungrouped, Promise.resolve(), ignore);
    this.kept = [job, new Watch(this, job), new LazyContext()];
  }

  get isIdle(): boolean {
    const { lanes, approaching, maps } = this.admission;
    if (this.counters.running > 0 || lanes.length > 0 || approaching > 0) return false;
    for (const map of maps) if (map.isBusy) return false;
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
    else if (this.feedback.adaptive !== undefined) this.#time(run, false);
    else if (!this.hooks.isEmpty && this.#hooksWantTimes) this.#time(run, false);
  }

  /** Starts a task inside its submission. */
  startNow(run: Job, queueTimeout: Milliseconds): void {
    this.admission.lanes.enter(run.group);
    const slot = this.takeSlot();
    if (this.approaches(slot, run, queueTimeout)) return;
    this.occupy(slot, run, run.watch?.isTimed === true ? run.watch.queuedAt : undefined);
    run.enterNow(this, slot);
  }

  /**
   * Lets the run ask gates beyond this process first, if there are any. Answers whether it does, or did.
   * @param queueTimeout undefined: it is in the queue already.
   */
  approaches(slot: Slot, run: Run, queueTimeout?: Milliseconds): boolean {
    const { admission } = this;
    const { remotes = [] } = admission.turnstile ?? {};
    if (remotes.length === 0) return false;
    run.watch ??= new Watch(this, run);
    const approach = new Approach(this, slot, run, this.takeTicket(), remotes, run.request());
    run.watch.approach = approach;
    slot.run = run;
    admission.approaching++;
    if (queueTimeout !== undefined) {
      this.#countQueued();
      if (queueTimeout > 0) run.watch.queued(queueTimeout);
    }
    if (queueTimeout !== undefined || !(run instanceof Job)) approach.begin();
    else this.asyncContext.run(run.captured, () => approach.begin(), undefined);
    if (queueTimeout === 0 && run.watch.approach === approach) {
      this.refuseWaiting(run, this.queueTimeoutError(0), 'refused');
    }
    return true;
  }

  arrived({ slot, run, ticket }: Approach): void {
    this.admission.approaching--;
    this.counters.queued--;
    if (run.watch !== undefined) run.watch.approach = undefined;
    this.ticket = ticket;
    this.occupy(slot, run, undefined);
    run.enterNow(this, slot);
  }

  get whenResumed(): Promise<void> | undefined {
    return this.admission.whenResumed;
  }

  turnedAway({ run }: Approach, reason: unknown): void {
    this.refuseWaiting(run, reason, 'refused');
  }

  lost({ slot }: Approach, reason: unknown): void {
    this.cut(slot, 'aborted', reason);
  }

  takeTicket(): Ticket {
    const ticket = this.ticket ?? new Ticket();
    this.ticket = undefined;
    return ticket;
  }

  /** A run gets its slot: counted and told, but not entered yet. */
  occupy(slot: Slot, run: Run, time: Milliseconds | undefined): void {
    const { counters } = this;
    slot.run = run;
    run.state = 'running';
    counters.running++;
    if (counters.running > counters.peakRunning) counters.peakRunning = counters.running;
    run.watch?.started(slot, time);
    if (this.feedback.isOn) {
      slot.ticket = this.takeTicket();
      slot.ticket.inFlight = counters.running;
    }
    if (!this.hooks.isEmpty) this.#tellStart(run);
  }

  readonly enterFunction = (slot: Slot): void => {
    const run = slot.run as Run;
    // Whoever was told of its start may have ended it at once: then it is not entered.
    const isEntered = run.state === 'running';
    let promise: Promise<unknown>;
    try {
      promise = Promise.resolve(isEntered ? run.call() : undefined);
    } catch (error) {
      promise = Promise.reject(error);
    }
    // Not before: what it does at once happens within the window that this begins.
    if (isEntered) slot.ticket?.started();
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
    this.#countQueued();
    admission.lanes.push(job, level, job.group);
    const { onQueue } = hooks.listeners;
    if (onQueue !== undefined) hooks.tell(onQueue, { name, group: job.group.id, queued: counters.queued });
    // Who comes after a head that waits changes nothing.
    if (admission.isUnsettled || admission.turnstile?.isWaiting === false) admission.pump();
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
    if (slot.ticket !== undefined) this.#report(slot, isFulfilled, result, state === 'running');
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
    if (slot.ticket !== undefined) {
      if (outcome === 'timedOut') this.feedback.settled(slot, { status: 'rejected', reason });
      else this.feedback.report(slot, 'ignore', undefined);
    }
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
    slot.ticket?.release('ignore');
    slot.ticket = undefined;
    run.left(false);
    this.#handOn(undefined, time);
  }

  /** A task never runs: counted, its caller told, then the hook. */
  refuse(run: Run, reason: unknown, counter: 'refused' | 'aborted'): void {
    this.#strike(run, counter);
    this.#tellRefusal(run, reason);
  }

  /** The same for one that has its place in the queue already, or asks gates beyond this process. */
  refuseWaiting(run: Run, reason: unknown, counter: 'refused' | 'aborted'): void {
    const { admission } = this;
    const approach = run.watch?.approach;
    this.counters.queued--;
    this.#strike(run, counter);
    if (approach === undefined) admission.buried(run.group);
    else this.#retreat(approach, reason);
    this.#tellRefusal(run, reason);
    if (approach !== undefined) {
      run.left(false);
      this.#handOn(approach.slot, undefined);
    } else if (admission.turnstile !== undefined) {
      admission.pump();
    }
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
    let refused = jobs.length;
    for (const { run } of this.admission.approaching === 0 ? [] : [...this.slots]) {
      if (!(run instanceof Job) || run.watch?.approach === undefined) continue;
      markHandled(run.promise);
      this.refuseWaiting(run, reason, 'refused');
      refused++;
    }
    if (this.admission.turnstile !== undefined && refused > 0) this.admission.pump();
    if (jobs.length > 0) this.onQuiet?.();
    return refused;
  }

  #retreat(approach: Approach, reason: unknown): void {
    const { run, slot } = approach;
    if (run.watch !== undefined) run.watch.approach = undefined;
    slot.run = undefined;
    this.admission.isUnsettled = true;
    this.admission.approaching--;
    this.admission.lanes.leave(run.group);
    approach.cancel(reason);
  }

  #report(slot: Slot, isFulfilled: boolean, result: unknown, isFresh: boolean): void {
    if (isFresh) {
      this.feedback.settled(
        slot,
        isFulfilled ? { status: 'fulfilled', value: result } : { status: 'rejected', reason: result },
      );
    }
    slot.ticket?.release('ignore');
    slot.ticket = undefined;
  }

  #countQueued(): void {
    const { counters } = this;
    counters.queued++;
    if (counters.queued > counters.peakQueued) counters.peakQueued = counters.queued;
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
