import { PromiseMaker, type Resolve } from '../core/deferred.js';
import type { CloseReport, Milliseconds } from '../core/types.js';
import { BoundedWait } from './bounded-wait.js';

/** What a shutdown needs of the group that it ends. */
export interface ClosingGroup {
  isEmpty(): boolean;
  untilEmpty(wait: BoundedWait): Promise<void>;
  /** Refuses what was never entered and aborts the rest. @param reason undefined: a default. */
  abort(reason: unknown): void;
  report(): CloseReport;
}

/** The one shutdown of a group, however often `close` is called: wait, abort, wait again, tell what is left. */
export class Closing {
  readonly done: Promise<CloseReport>;
  readonly #group: ClosingGroup;
  readonly #settle: Resolve<CloseReport>;
  #abortGrace: Milliseconds;
  #reason: unknown;
  #isAborting = false;
  #wait: BoundedWait | undefined;

  constructor(group: ClosingGroup, abortGrace: Milliseconds, reason: unknown) {
    this.#group = group;
    this.#abortGrace = abortGrace;
    this.#reason = reason;
    const maker = new PromiseMaker();
    this.done = maker.make();
    this.#settle = maker.takeResolve();
  }

  /** Apart from the constructor, because it calls what belongs to others, and they may call `close` again. */
  begin(grace: Milliseconds): void {
    this.#settle(this.#run(grace));
  }

  /** Times can only become shorter; the first reason that was given holds. */
  shorten(grace: Milliseconds, abortGrace: Milliseconds, reason: unknown): void {
    if (this.#reason === undefined) this.#reason = reason;
    this.#abortGrace = Math.min(this.#abortGrace, abortGrace);
    this.#wait?.shorten(this.#isAborting ? abortGrace : grace);
  }

  async #run(grace: Milliseconds): Promise<CloseReport> {
    const group = this.#group;
    // Not even a microtask at 0: tasks that are about to be entered never run.
    if (grace > 0) await this.#patience(grace);
    if (!group.isEmpty()) {
      this.#isAborting = true;
      group.abort(this.#reason);
      await this.#patience(this.#abortGrace);
    }
    return group.report();
  }

  #patience(delay: Milliseconds): Promise<void> {
    this.#wait = new BoundedWait(delay);
    return this.#group.untilEmpty(this.#wait);
  }
}
