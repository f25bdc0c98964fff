import { type AsyncContextPort, chooseAsyncContext } from '../core/async-context.js';
import { NEVER, now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { ignore, markHandled, observe } from '../core/deferred.js';
import type { OwnGate } from '../core/gate.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import { HookSet } from '../metrics/hooks.js';
import { Sampler } from '../metrics/sampler.js';
import { Admission, type Waiting } from './admission.js';
import { Announcer } from './announce.js';
import { QueueFullError, QueueTimeoutError } from './errors.js';
import { Feedback } from './feedback.js';
import { Gatehouse } from './gatehouse.js';
import { POOL_HOOKS, type PoolHooks } from './hooks.js';
import { Job } from './job.js';
import type { Group, Level } from './lanes.js';
import { PoolCounters } from './metrics.js';
import type { Run } from './run.js';
import { ShutWatch } from './shut-watch.js';
import type { Slot } from './slot.js';
import { Slots } from './slots.js';
import type { Turnstile } from './turnstile.js';
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
  readonly turnstile: (deadlines: Deadlines, wake: () => void) => Turnstile | undefined;
}

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
  readonly gatehouse = new Gatehouse(this);
  readonly slots = new Slots(this);
  /** Takes nothing new. */
  isClosing = false;
  /** Told when something has left the queue or a slot, if `isWatched`. */
  onQuiet: (() => void) | undefined;
  /** Somebody waits for the pool to become quiet. */
  isWatched = false;
  /** Nothing has come in since it was idle. */
  wasIdle = true;

  readonly #maxQueue: number;
  readonly #abortGrace: Milliseconds;
  readonly #sampler = new Sampler();
  readonly #announce: Announcer;
  /** One of each, kept for ever: V8 throws optimised code away when the last object of a class is collected, that is in any pause. */
  readonly kept: readonly unknown[];
  #asyncContext: AsyncContextPort | undefined;

  constructor(options: EngineOptions) {
    const { name, limit, perGroup, maxQueue, abortGrace, hooks, adaptive, classify, maxPause } = options;
    this.name = name;
    this.admission = new Admission(this, limit, perGroup);
    const turnstile = options.turnstile(this.deadlines, () => this.admission.pump());
    this.admission.turnstile = turnstile;
    this.admission.shutWatch =
      turnstile && new ShutWatch(turnstile.locals as readonly OwnGate[], (reason) => this.refuseQueued(reason));
    this.feedback = new Feedback(this.admission, adaptive, name, classify, maxPause);
    this.#maxQueue = maxQueue;
    this.#abortGrace = abortGrace;
    this.hooks = new HookSet(name, POOL_HOOKS, hooks);
    this.#announce = new Announcer(name, this.hooks);
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
    else if (this.feedback.isOn || !this.hooks.isEmpty) this.#timeForOthers(run);
  }

  /** Starts a task inside its submission. */
  startNow(run: Job, queueTimeout: Milliseconds): void {
    this.admission.lanes.enter(run.group);
    const slot = this.slots.take();
    if (this.gatehouse.sendsOn(slot, run, queueTimeout)) return;
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
    if (this.feedback.isOn) {
      slot.ticket = this.gatehouse.takeTicket();
      slot.ticket.inFlight = counters.running;
    }
    if (!this.hooks.isEmpty) this.#announce.started(run, counters.running);
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
    const { counters, admission, name } = this;
    if (queueTimeout === 0) {
      this.refuse(job, this.queueTimeoutError(0), 'refused');
      return;
    }
    // Those who ask gates have a slot: they stand in nobody's way here.
    if (counters.queued - admission.approaching >= this.#maxQueue) {
      this.refuse(job, new QueueFullError({ source: name, maxQueue: this.#maxQueue }), 'refused');
      return;
    }
    job.captured = this.asyncContext.capture(job.promise);
    job.watch?.queued(queueTimeout);
    counters.enqueued();
    admission.lanes.push(job, level, job.group);
    admission.shutWatch?.begin();
    this.#announce.queued(job, counters.queued);
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
      this.slots.abandoned.delete(slot);
    } else {
      this.#vacate(run, time);
      if (state !== 'running') counters.overdue--;
      else if (isFulfilled) counters.fulfilled++;
      else counters.failed++;
    }
    run.state = 'ended';
    watch?.end();
    if (state === 'running') run.tell(isFulfilled, result);
    if (!this.hooks.isEmpty) this.#announce.settled(run, state, isFulfilled, result, time);
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
    run.tell(false, reason);
    this.#announce.overdue(run);
    if (slot.ticket !== undefined) {
      if (outcome === 'timedOut') this.feedback.settled(slot, { status: 'rejected', reason });
      else this.feedback.report(slot, 'ignore', undefined);
    }
    run.abortWork(reason);
  }

  /** Gives up the slot of an overdue run, though it runs on. */
  abandon(slot: Slot): void {
    const run = slot.run as Run;
    this.slots.abandon(slot);
    const time = run.watch?.isTimed === true ? now() : undefined;
    this.#vacate(run, time);
    this.counters.overdue--;
    this.counters.abandoned++;
    this.#announce.abandoned(run, time);
    slot.ticket?.release('ignore');
    slot.ticket = undefined;
    run.left(false);
    this.#handOn(undefined, time);
  }

  /** A waiting task whose signal has aborted, and was not told yet, is not started. Answers whether it was one. */
  dropIfAborted(run: Run): boolean {
    const signal = run.watch?.abortedSignal;
    if (signal === undefined) return false;
    this.counters.queued--;
    this.admission.lanes.leave(run.group);
    this.refuse(run, signal.reason, 'aborted');
    return true;
  }

  /** A gate refuses an item of `map`, which has no run yet. */
  refuseItem(group: Group<Waiting>, reason: unknown): void {
    this.counters.calls++;
    this.counters.refused++;
    this.#announce.refused({ group, watch: undefined }, reason);
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
    let letsGo = false;
    if (approach === undefined) letsGo = admission.buried(run.group);
    else this.gatehouse.retreat(approach);
    this.#tellRefusal(run, reason);
    if (approach !== undefined) {
      approach.cancel(reason);
      run.left(false);
      this.#handOn(approach.slot, undefined);
    } else if (letsGo && admission.turnstile !== undefined) {
      admission.pump();
    }
    this.onQuiet?.();
  }

  /** A gate has shut: whoever waits for a slot is refused. Those who have one and ask further gates were let in before. */
  refuseQueued(reason: unknown): number {
    const refused = this.#emptyQueue(reason, ignore);
    if (refused > 0) {
      this.admission.pump();
      this.onQuiet?.();
    }
    return refused;
  }

  /** Refuses all that wait, those at further gates too. */
  refuseAll(reason: unknown): number {
    const queued = this.#emptyQueue(reason, ({ promise }) => markHandled(promise));
    let refused = queued;
    for (const { run } of this.admission.approaching === 0 ? [] : [...this.slots.all]) {
      if (!(run instanceof Job) || run.watch?.approach === undefined) continue;
      markHandled(run.promise);
      this.refuseWaiting(run, reason, 'refused');
      refused++;
    }
    if (this.admission.turnstile !== undefined && refused > 0) this.admission.pump();
    if (queued > 0) this.onQuiet?.();
    return refused;
  }

  /** With one error for all: a stack for each of a million would take seconds. */
  #emptyQueue(reason: unknown, beforeTold: (job: Job) => void): number {
    const jobs = this.admission.lanes.remove((item) => item instanceof Job) as Job[];
    this.counters.queued -= jobs.length;
    this.admission.emptied();
    // All are struck off before anybody is told: a hook may abort the signal of the next.
    for (const job of jobs) this.#strike(job, 'refused');
    for (const job of jobs) {
      beforeTold(job);
      this.#tellRefusal(job, reason);
    }
    return jobs.length;
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

  queueTimeoutError(timeout: Milliseconds): QueueTimeoutError {
    const { running, overdue } = this.counters;
    return new QueueTimeoutError({ source: this.name, timeout, running, overdue });
  }

  #strike(run: Run, counter: 'refused' | 'aborted'): void {
    run.state = 'ended';
    this.counters[counter]++;
    run.watch?.end();
    this.admission.lanes.forgetIfIdle(run.group);
  }

  #tellRefusal(run: Run, reason: unknown): void {
    run.tell(false, reason);
    this.#announce.refused(run, reason);
  }

  #timeForOthers(run: Run): void {
    if (this.feedback.adaptive !== undefined || this.#announce.wantsTimes) this.#time(run, false);
  }

  #time(run: Run, isSampled: boolean): void {
    const time = now();
    run.watch ??= new Watch(this, run);
    run.watch.time(time, isSampled ? this.#sampler.weight(time) : 0);
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
}
