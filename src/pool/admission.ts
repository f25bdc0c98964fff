import { NEVER } from '../core/clock.js';
import type { AcquireRequest, LocalGate } from '../core/gate.js';
import type { Milliseconds } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';
import type { PoolEngine } from './engine.js';
import { type Group, Lanes, type Waiter } from './lanes.js';
import type { ShutWatch } from './shut-watch.js';
import type { Slot } from './slot.js';
import { Refusal, Ticket } from './ticket.js';
import type { Answer, Turnstile } from './turnstile.js';

/** What can wait for a slot: a task, or a `map` that wants to start its next item. */
export interface Waiting extends Waiter {
  readonly group: Group<Waiting>;
  /** For gates: what it is about to start. Undefined: it has left its place in the lanes instead, as it has nothing in hand yet. */
  request(): AcquireRequest | undefined;
  /** A gate said no. It leaves the lanes. */
  refuse(engine: PoolEngine, reason: unknown): void;
  /** Starts something in the slot, or answers that it needs none now and gives its place in the lanes back. */
  enter(engine: PoolEngine, slot: Slot, time: Milliseconds | undefined): boolean;
}

/** A call of `map` or `stream` that is not done. */
export interface MapInProgress {
  /** Does the pool have to wait for it? */
  readonly isBusy: boolean;
  /** Queues up for a slot that nobody else wants. Answers whether it did. */
  askForMore(): boolean;
  /** The pool's end: fails at once and cuts its items. */
  shutDown(reason: unknown): void;
}

/**
 * Who may start, and when: the limit, the pause, those who wait, and the maps that grow into what is left.
 *
 * A slot is handed on inside the reaction of the task that ended, so no turn is lost and nobody can barge in between: while it is
 * unsettled (a slot is free though somebody may start) and somebody waits, a newcomer has to queue.
 */
export class Admission {
  readonly lanes: Lanes<Waiting>;
  /** The calls of `map` and `stream` that are not done. */
  readonly maps = new Set<MapInProgress>();
  /** Those of them that may want more than they have. */
  readonly hungry = new Set<MapInProgress>();
  /** A slot may be free though somebody could start: the pump is on its way. */
  isUnsettled = false;
  /** Slots of those who ask gates beyond this process. */
  approaching = 0;
  /** Undefined: there are no gates. */
  turnstile: Turnstile | undefined;
  shutWatch: ShutWatch | undefined;
  /** Somebody wants to know when it is worth asking again. */
  isListenedTo = false;
  /** Who said "not before I tell you" to the last who did not wait. */
  #deniedBy: LocalGate | undefined;
  readonly #engine: PoolEngine;
  /** Ends the wait of each group that is held for its rate. */
  readonly #holds = new Map<Group<Waiting>, () => void>();
  /** Of a pool with gates: inside its pump, which sees to all that happens meanwhile. */
  #isPumping = false;
  #cameBack = false;
  #isPaused = false;
  #whenResumed: Promise<void> | undefined;
  #resume: (() => void) | undefined;

  constructor(
    engine: PoolEngine,
    public limit: number,
    perGroup: number,
  ) {
    this.#engine = engine;
    this.lanes = new Lanes(perGroup);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (isPaused) return;
    this.#resume?.();
    this.#whenResumed = undefined;
  }

  /** For those whom the last gate lets in while the pool is paused. Undefined: it is not. */
  get whenResumed(): Promise<void> | undefined {
    if (!this.#isPaused) return undefined;
    this.#whenResumed ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
    return this.#whenResumed;
  }

  get hasFreeSlot(): boolean {
    return this.#engine.counters.running + this.approaching < this.limit && !this.#isPaused;
  }

  /** May a newcomer of this group start now, without passing by anybody? */
  mayStartNow(group: Group<Waiting>): boolean {
    if (!this.hasFreeSlot || !this.lanes.mayStart(group)) return false;
    return this.lanes.length === 0 || (!this.isUnsettled && this.turnstile?.isWaiting !== true);
  }

  /** One of this group has left the lanes from where it stood. Answers whether that lets another go. */
  buried(group: Group<Waiting>): boolean {
    const wasHead = this.lanes.hasLostHead;
    this.lanes.bury(group);
    if (group.waiting === 0) this.#holds.get(group)?.();
    return wasHead || this.lanes.length === 0;
  }

  /** Many have left at once. */
  emptied(): void {
    for (const [group, end] of this.#holds) if (group.waiting === 0) end();
  }

  /** A slot was left, and is at hand if it was not given up. */
  freed(slot: Slot | undefined, time: Milliseconds | undefined): void {
    if (this.lanes.length > 0 || this.hungry.size > 0) {
      this.pump(slot, time);
    } else {
      if (slot !== undefined) this.#engine.slots.giveBack(slot);
      this.isUnsettled = false;
    }
  }

  /** Starts what may start, the first of it in `free`. Whoever waits for a shorter queue is told. */
  pump(free?: Slot, time?: Milliseconds): void {
    const engine = this.#engine;
    this.isUnsettled = true;
    // A gate, a source or a task that the pump is busy with came back. One by one: of many that are refused each would be a level deeper.
    if (this.#isPumping) {
      if (free !== undefined) engine.slots.giveBack(free);
      this.#cameBack = true;
      return;
    }
    this.#isPumping = this.turnstile !== undefined;
    this.#cameBack = false;
    let slot = free;
    while (this.hasFreeSlot) {
      const next = this.turnstile === undefined ? this.lanes.take() : this.#takeAdmitted();
      if (next === undefined) {
        if (this.#offerToMaps()) continue;
        break;
      }
      slot ??= engine.slots.take();
      if (next.enter(engine, slot, time)) slot = undefined;
      engine.gatehouse.ticket?.release('ignore');
      engine.gatehouse.ticket = undefined;
    }
    if (slot !== undefined) engine.slots.giveBack(slot);
    this.#isPumping = false;
    if (this.turnstile !== undefined && this.lanes.length === 0) this.#calm(this.turnstile);
    this.isUnsettled = false;
    if (engine.isWatched) engine.onQuiet?.();
  }

  /** Growth starts waiting work in the same turn, before anything that a hook submits. */
  resize(limit: number): void {
    const { name, hooks } = this.#engine;
    const { limit: from } = this;
    if (limit === from) return;
    this.limit = limit;
    this.isUnsettled = true;
    const { onLimitChange } = hooks.listeners;
    if (onLimitChange !== undefined) hooks.tell(onLimitChange, { name, from, to: limit });
    // What a stream may have ahead of its reader grows with the limit.
    for (const map of this.maps) this.hungry.add(map);
    this.pump();
  }

  /** Asks the gates for a newcomer, while nobody starts: a gate may come back to this pool. To be followed by `resettle`. */
  alone<A>(ask: (turnstile: Turnstile) => A): A | undefined {
    if (this.turnstile === undefined) return undefined;
    const wasPumping = this.#isPumping;
    this.#isPumping = true;
    try {
      return ask(this.turnstile);
    } finally {
      this.#isPumping = wasPumping;
    }
  }

  /** What came back while the gates were asked has its turn now. */
  resettle(): void {
    if (!this.#cameBack || this.#isPumping) return;
    this.#cameBack = false;
    this.pump();
  }

  /** Asks the gates for somebody who does not wait: how long he would have to, ms. */
  tryAsk(request: AcquireRequest): Ticket | Refusal | Milliseconds {
    if (this.turnstile === undefined) return new Ticket();
    const answer = this.alone((turnstile) => turnstile.ask(request)) as Answer;
    if (answer instanceof Ticket || answer instanceof Refusal) return answer;
    const wait = 'wait' in answer ? answer.wait : answer.groupWait;
    this.#deniedBy = wait === NEVER ? answer.by : undefined;
    if (this.isListenedTo) this.listen();
    return wait;
  }

  /** Whoever listens to this pool is to be told when the gate changes that said no to the last who did not wait. */
  listen(): void {
    this.isListenedTo = true;
    if (this.#deniedBy === undefined || this.lanes.length > 0) return;
    try {
      this.turnstile?.await(NEVER, this.#deniedBy);
    } catch (error) {
      reportError('A gate failed', error);
    }
  }

  /** Nobody listens to this pool. */
  unlisten(): void {
    this.isListenedTo = false;
    if (this.lanes.length === 0) this.turnstile?.calm();
  }

  /** The chosen head, if the gates let it in; its ticket is left with the gatehouse. */
  #takeAdmitted(): Waiting | undefined {
    const turnstile = this.turnstile as Turnstile;
    for (let head = this.lanes.peek(); head !== undefined && this.hasFreeSlot; head = this.lanes.peek()) {
      const request = head.request();
      if (request === undefined) continue;
      const answer = turnstile.ask(request);
      // A gate may be of somebody's own making, and have come back to this pool.
      const isStillHead = this.lanes.peek() === head;
      if (answer instanceof Ticket) {
        if (isStillHead && this.hasFreeSlot) {
          this.#engine.gatehouse.ticket = answer;
          return this.lanes.take();
        }
        answer.release('ignore');
      } else if (isStillHead) {
        if (answer instanceof Refusal) head.refuse(this.#engine, answer.reason);
        else if ('groupWait' in answer) this.#holdGroup(head.group, answer.groupWait, answer.by);
        else if (this.#await(head, answer.wait, answer.by)) return undefined;
      }
    }
    return undefined;
  }

  /** All wait behind the head, unless its gate cannot tell us when to ask again. */
  #await(head: Waiting, wait: Milliseconds, gate: LocalGate): boolean {
    try {
      this.turnstile?.await(wait, gate);
      return true;
    } catch (error) {
      head.refuse(this.#engine, error);
      return false;
    }
  }

  /** Others pass by a group that waits for its rate. */
  #holdGroup(group: Group<Waiting>, wait: Milliseconds, gate: LocalGate): void {
    const end = (): void => {
      if (deadline !== undefined) this.#engine.deadlines.cancel(deadline);
      unsubscribe();
      this.#holds.delete(group);
      this.lanes.letGo(group);
    };
    const letGo = (): void => {
      end();
      this.pump();
    };
    this.lanes.hold(group);
    this.#holds.set(group, end);
    const deadline = wait === NEVER ? undefined : this.#engine.deadlines.add(wait, letGo);
    const unsubscribe = gate.onChange(letGo);
  }

  /** Nobody waits. */
  #calm(turnstile: Turnstile): void {
    turnstile.calm();
    this.shutWatch?.end();
    for (const end of this.#holds.values()) end();
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
}
