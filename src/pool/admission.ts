import type { Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import { type Group, Lanes, type Waiter } from './lanes.js';
import type { Slot } from './slot.js';

/** What can wait for a slot: a task, or a `map` that wants to start its next item. */
export interface Waiting extends Waiter {
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
 * unsettled (a slot is free though somebody may start), a newcomer has to queue.
 */
export class Admission {
  readonly lanes: Lanes<Waiting>;
  isPaused = false;
  /** The calls of `map` and `stream` that are not done. */
  readonly maps = new Set<MapInProgress>();
  /** Those of them that may want more than they have. */
  readonly hungry = new Set<MapInProgress>();
  /** A slot may be free though somebody could start: the pump is on its way. */
  isUnsettled = false;
  readonly #engine: PoolEngine;

  constructor(
    engine: PoolEngine,
    public limit: number,
    perGroup: number,
  ) {
    this.#engine = engine;
    this.lanes = new Lanes(perGroup);
  }

  get hasFreeSlot(): boolean {
    return this.#engine.counters.running < this.limit && !this.isPaused;
  }

  /** May a newcomer of this group start now, without passing by anybody? */
  mayStartNow(group: Group<Waiting>): boolean {
    return this.hasFreeSlot && this.lanes.mayStart(group) && (this.lanes.length === 0 || !this.isUnsettled);
  }

  /** A slot was left, and is at hand if it was not given up. */
  freed(slot: Slot | undefined, time: Milliseconds | undefined): void {
    if (this.lanes.length > 0 || this.hungry.size > 0) {
      this.pump(slot, time);
    } else {
      if (slot !== undefined) this.#engine.giveBack(slot);
      this.isUnsettled = false;
    }
  }

  /** Starts what may start, the first of it in `free`. Whoever waits for a shorter queue is told. */
  pump(free?: Slot, time?: Milliseconds): void {
    const engine = this.#engine;
    let slot = free;
    this.isUnsettled = true;
    while (this.hasFreeSlot) {
      const next = this.lanes.take();
      if (next === undefined) {
        if (this.#offerToMaps()) continue;
        break;
      }
      slot ??= engine.takeSlot();
      if (next.enter(engine, slot, time)) slot = undefined;
    }
    if (slot !== undefined) engine.giveBack(slot);
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
