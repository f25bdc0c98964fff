import { AbortSubscription } from '../core/abort.js';
import { NEVER, now } from '../core/clock.js';
import type { Deadline } from '../core/deadlines.js';
import { TimeoutError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';
import type { Approach } from './approach.js';
import type { PoolEngine } from './engine.js';
import type { Run } from './run.js';
import type { Slot } from './slot.js';

/**
 * What not every run needs: its moments, if it is timed, and what can end it from outside: its caller's signal, the wait's timeout,
 * the run's timeout, the grace after either.
 */
export class Watch {
  /** For how many runs its durations count. 0: only hooks are told. Below 0: it is not timed. */
  weight = -1;
  /** Monotonic ms. Never an integer at first: V8 would make another class of it later, and keep none of that (see the engine). */
  queuedAt: Milliseconds = Number.NaN;
  startedAt: Milliseconds = Number.NaN;
  /** For rate limits that count it. */
  cost: number | undefined;
  /** It has a slot and asks gates beyond this process. */
  approach: Approach | undefined;
  readonly #engine: PoolEngine;
  readonly #run: Run;
  readonly #timeout: Milliseconds;
  #subscription: AbortSubscription | undefined;
  /** Its caller's. */
  readonly signal: AbortSignal | undefined;
  /** Undefined while it waits. */
  #slot: Slot | undefined;
  /** The wait's, then the run's, then the grace's: never two at once. */
  #deadline: Deadline | undefined;

  constructor(engine: PoolEngine, run: Run, signal?: AbortSignal, timeout = NEVER) {
    this.#engine = engine;
    this.#run = run;
    this.#timeout = timeout;
    this.signal = signal;
  }

  /** Hears of its caller's abort from now on. Not before it has its place: an abort takes it out of there. */
  listen(): void {
    if (this.signal !== undefined) this.#subscription = new AbortSubscription(this.signal, this);
  }

  /** Its caller's signal, if that has aborted and we are still to be told of it: others are told first. */
  get abortedSignal(): AbortSignal | undefined {
    return this.#subscription !== undefined && this.signal?.aborted === true ? this.signal : undefined;
  }

  get isTimed(): boolean {
    return this.weight >= 0;
  }

  /** The moment of submission. @param weight see there. */
  time(time: Milliseconds, weight: number): void {
    this.weight = weight;
    this.queuedAt = time;
    this.startedAt = time;
  }

  onAbort(reason: unknown): void {
    this.#subscription = undefined;
    if (this.#slot === undefined) this.#engine.refuseWaiting(this.#run, reason, 'aborted');
    else this.#engine.cut(this.#slot, 'aborted', reason);
  }

  queued(queueTimeout: Milliseconds): void {
    if (queueTimeout === NEVER) return;
    this.#deadline = this.#engine.deadlines.add(queueTimeout, () =>
      this.#engine.refuseWaiting(this.#run, this.#engine.queueTimeoutError(queueTimeout), 'refused'),
    );
  }

  /** @param time of now, where it is known already. */
  started(slot: Slot, time: Milliseconds | undefined): void {
    this.#slot = slot;
    this.#endDeadline();
    const { weight } = this;
    if (this.isTimed) {
      this.startedAt = time ?? now();
      if (weight > 0) this.#engine.counters.waited(this.startedAt - this.queuedAt, this.startedAt, weight);
    }
    const timeout = this.#timeout;
    if (timeout === NEVER) return;
    this.#deadline = this.#engine.deadlines.add(timeout, () => {
      const error = new TimeoutError({ source: this.#engine.name, timeout, option: 'timeout' });
      this.#engine.cut(slot, 'timedOut', error);
    });
  }

  /** Its caller was told and the work goes on: after `grace` its slot is given up. */
  overdue(slot: Slot, grace: Milliseconds): void {
    this.end();
    if (grace !== NEVER) this.#deadline = this.#engine.deadlines.add(grace, () => this.#engine.abandon(slot));
  }

  end(): void {
    this.#subscription?.end();
    this.#subscription = undefined;
    this.#endDeadline();
  }

  #endDeadline(): void {
    if (this.#deadline !== undefined) this.#engine.deadlines.cancel(this.#deadline);
    this.#deadline = undefined;
  }
}
