import { AbortSubscription } from '../core/abort.js';
import type { Deadline } from '../core/deadlines.js';
import { TimeoutError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import { QueueTimeoutError } from './errors.js';
import type { Run } from './run.js';
import type { Slot } from './slot.js';

const NEVER = Number.POSITIVE_INFINITY;

/** What can end a run from outside: its caller's signal, the wait's timeout, the run's timeout, the grace after either. */
export class Watch {
  readonly #engine: PoolEngine;
  readonly #run: Run;
  readonly #timeout: Milliseconds;
  #subscription: AbortSubscription | undefined;
  /** Undefined while it waits. */
  #slot: Slot | undefined;
  /** The wait's, then the run's, then the grace's: never two at once. */
  #deadline: Deadline | undefined;

  constructor(engine: PoolEngine, run: Run, signal: AbortSignal | undefined, timeout: Milliseconds) {
    this.#engine = engine;
    this.#run = run;
    this.#timeout = timeout;
    if (signal !== undefined) this.#subscription = new AbortSubscription(signal, this);
  }

  onAbort(reason: unknown): void {
    this.#subscription = undefined;
    if (this.#slot === undefined) this.#engine.refuseWaiting(this.#run, reason, 'aborted');
    else this.#engine.cut(this.#slot, 'aborted', reason);
  }

  queued(queueTimeout: Milliseconds): void {
    if (queueTimeout === NEVER) return;
    this.#deadline = this.#engine.deadlines.add(queueTimeout, () => {
      const { name, counters } = this.#engine;
      const { running, overdue } = counters;
      const error = new QueueTimeoutError({ source: name, timeout: queueTimeout, running, overdue });
      this.#engine.refuseWaiting(this.#run, error, 'refused');
    });
  }

  started(slot: Slot): void {
    this.#slot = slot;
    this.#endDeadline();
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
