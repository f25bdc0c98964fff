import { createPermit } from '../core/permit.js';
import type { Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import { Job } from './job.js';
import type { Slot } from './slot.js';

/**
 * One call of `acquire`: it waits as a task does, but what it gets is the slot itself, as a permit. It counts as running until the
 * permit is released, and frees the slot in that very step.
 */
export class Hold extends Job {
  override enter(engine: PoolEngine, slot: Slot, time: Milliseconds | undefined): boolean {
    if (engine.dropIfAborted(this)) return false;
    if (engine.gatehouse.sendsOn(slot, this)) return true;
    engine.counters.queued--;
    engine.occupy(slot, this, time);
    this.enterNow(engine, slot);
    return true;
  }

  override enterNow(engine: PoolEngine, slot: Slot): void {
    // The signal of `acquire` ends the wait, not the work that the permit is for.
    this.watch?.end();
    if (this.state !== 'running') {
      engine.ended(slot, true, undefined);
      return;
    }
    const context = this.makeContext();
    slot.ticket?.started();
    let isWell = true;
    const permit = createPermit(() => engine.ended(slot, isWell, undefined), {
      get signal() {
        return context.signal;
      },
      onReport: (verdict, retryAfter) => {
        if (slot.ticket !== undefined) engine.feedback.report(slot, verdict, retryAfter);
        isWell = verdict === 'success' || verdict === 'ignore';
      },
    });
    this.tell(true, permit);
  }
}
