import { AbortSubscription } from '../core/abort.js';
import { observe } from '../core/deferred.js';
import type { AcquireRequest, Gate } from '../core/gate.js';
import { wrongType } from '../core/options.js';
import type { Permit } from '../core/permit.js';
import { LazyContext } from '../core/task-context.js';
import type { Run } from './run.js';
import type { Slot } from './slot.js';
import type { Ticket } from './ticket.js';

interface ApproachOwner {
  /** While it is paused nothing is let in. Undefined: it is not. */
  readonly whenResumed: Promise<void> | undefined;
  /** All gates gave their permit. In the async context of the last of them. */
  arrived(approach: Approach): void;
  /** A gate said no. */
  turnedAway(approach: Approach, reason: unknown): void;
  /** A permit was lost while its work runs. */
  lost(approach: Approach, reason: unknown): void;
}

/**
 * A run that holds a slot and asks gates beyond this process, one after the other. It still waits: whoever gives up is answered at once, the
 * slot is free at once, and a permit that comes too late is given back.
 */
export class Approach {
  readonly #owner: ApproachOwner;
  readonly #gates: readonly Gate[];
  readonly #request: AcquireRequest;
  readonly #context = new LazyContext();
  #next = 0;
  #isOver = false;

  constructor(
    owner: ApproachOwner,
    readonly slot: Slot,
    readonly run: Run,
    readonly ticket: Ticket,
    gates: readonly Gate[],
    request: AcquireRequest,
  ) {
    this.#owner = owner;
    this.#gates = gates;
    this.#request = { ...request, signal: this.#context.signal };
  }

  /** In the async context of the run's caller. */
  begin(): void {
    while (!this.#isOver) {
      const gate = this.#gates[this.#next];
      const pause = gate === undefined ? this.#owner.whenResumed : undefined;
      if (pause !== undefined) {
        observe(pause, this.#goOn, this.#goOn);
        return;
      }
      if (gate === undefined) {
        this.#isOver = true;
        this.#owner.arrived(this);
        return;
      }
      this.#next++;
      try {
        const answer = gate.acquire(this.#request);
        if (typeof (answer as { then?: unknown } | null)?.then === 'function') {
          observe(Promise.resolve(answer), this.#arrived, this.#refused);
          return;
        }
        this.#got(answer as Permit);
      } catch (error) {
        this.#refused(error);
      }
    }
  }

  /** The run leaves before it was let in. */
  cancel(reason: unknown): void {
    this.#isOver = true;
    LazyContext.abort(this.#context, reason);
    this.ticket.release('ignore');
  }

  readonly #goOn = (): void => this.begin();

  readonly #arrived = (permit: Permit): void => {
    try {
      this.#got(permit);
    } catch (error) {
      this.#refused(error);
    }
    this.begin();
  };

  /** Whatever it throws, the permit's own getters included, counts as a refusal. */
  #got(permit: Permit): void {
    if (typeof permit?.release !== 'function') throw wrongType('gate.acquire()', 'a permit', permit);
    this.ticket.add(permit);
    if (this.#isOver) {
      this.ticket.release('ignore');
      return;
    }
    const { signal } = permit;
    if (signal === undefined) return;
    if (signal.aborted) throw signal.reason;
    const onAbort = (reason: unknown): void => {
      if (this.#isOver) this.#owner.lost(this, reason);
      else this.#refused(reason);
    };
    const subscription = new AbortSubscription(signal, { onAbort });
    this.ticket.onRelease(() => subscription.end());
  }

  readonly #refused = (error: unknown): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.turnedAway(this, error);
  };
}
