import type { Milliseconds } from '../core/types.js';
import { Approach } from './approach.js';
import type { PoolEngine } from './engine.js';
import { Job } from './job.js';
import type { Run } from './run.js';
import type { Slot } from './slot.js';
import { Ticket } from './ticket.js';
import { Watch } from './watch.js';

/** Lets runs that have a slot ask the gates beyond this process. They still count as waiting. */
export class Gatehouse {
  /** What the gates gave to the run that is about to enter. */
  ticket: Ticket | undefined;
  readonly #engine: PoolEngine;

  constructor(engine: PoolEngine) {
    this.#engine = engine;
  }

  takeTicket(): Ticket {
    const ticket = this.ticket ?? new Ticket();
    this.ticket = undefined;
    return ticket;
  }

  /**
   * Sends the run to these gates, if there are any. Answers whether it did.
   * @param queueTimeout undefined: it is in the queue already.
   */
  sendsOn(slot: Slot, run: Run, queueTimeout?: Milliseconds): boolean {
    const engine = this.#engine;
    const { remotes = [] } = engine.admission.turnstile ?? {};
    if (remotes.length === 0) return false;
    run.watch ??= new Watch(engine, run);
    const approach = new Approach(this, slot, run, this.takeTicket(), remotes, run.request());
    run.watch.approach = approach;
    slot.run = run;
    engine.admission.approaching++;
    if (queueTimeout !== undefined) {
      engine.counters.enqueued();
      if (queueTimeout > 0) run.watch.queued(queueTimeout);
    }
    if (queueTimeout !== undefined || !(run instanceof Job)) approach.begin();
    else engine.asyncContext.run(run.captured, () => approach.begin(), undefined);
    if (queueTimeout === 0 && run.watch.approach === approach) {
      engine.refuseWaiting(run, engine.queueTimeoutError(0), 'refused');
    }
    return true;
  }

  /** The run leaves before it was let in. Its slot is free, but not handed on yet. */
  retreat({ run, slot }: Approach): void {
    const { admission } = this.#engine;
    if (run.watch !== undefined) run.watch.approach = undefined;
    slot.run = undefined;
    admission.isUnsettled = true;
    admission.approaching--;
    admission.lanes.leave(run.group);
  }

  get whenResumed(): Promise<void> | undefined {
    return this.#engine.admission.whenResumed;
  }

  arrived({ slot, run, ticket }: Approach): void {
    const engine = this.#engine;
    const signal = run.watch?.abortedSignal;
    if (signal !== undefined) {
      engine.refuseWaiting(run, signal.reason, 'aborted');
      return;
    }
    engine.admission.approaching--;
    engine.counters.queued--;
    if (run.watch !== undefined) run.watch.approach = undefined;
    this.ticket = ticket;
    engine.occupy(slot, run, undefined);
    run.enterNow(engine, slot);
    if (engine.isWatched) engine.onQuiet?.();
  }

  turnedAway({ run }: Approach, reason: unknown): void {
    this.#engine.refuseWaiting(run, reason, 'refused');
  }

  lost({ slot }: Approach, reason: unknown): void {
    this.#engine.cut(slot, 'aborted', reason);
  }
}
