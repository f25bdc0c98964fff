/*
 * The one rule for what starts next.
 *
 *   The highest priority with an eligible group, but a level passed over 16 times in a row goes next; inside a level, groups
 *   in turn (tasks without one are one group); inside a group, first in, first out.
 *
 * Pure: no clock, no promise, no pool. Three levels hold rings of the groups that have something waiting; a group at its limit
 * leaves the rings (it is parked) and comes back at the end of them when one of its tasks has ended. So nothing is ever searched:
 * adding, taking and burying are O(1), amortised, in the backlog, the limit and the number of groups.
 */

import { Fifo } from '../core/fifo.js';
import type { Key } from '../core/types.js';

/** 0 is the highest. */
export type Level = 0 | 1 | 2;

/** What can wait here. `isDead`: it left while it waited, and its place is a tombstone. */
export interface Waiter {
  readonly isDead: boolean;
}

/** How often a level may be passed over by higher ones while it has something to start. */
const PATIENCE = 16;

/** Fewer tombstones than this are left lying. */
const SWEEP_FROM = 32;

/** The tasks of one group on one level. */
class Line<W> {
  readonly items = new Fifo<W>();
  inRing = false;

  constructor(readonly group: Group<W>) {}
}

/** Lives while it has waiting or running tasks, over all levels. */
export class Group<W> {
  running = 0;
  /** May not start now, whatever its limit says: its rate. */
  isHeld = false;
  /** Tombstones included. */
  waiting = 0;
  dead = 0;
  readonly lines: (Line<W> | undefined)[] = [undefined, undefined, undefined];

  /** @param key the form of `id` under which it is found. */
  constructor(
    readonly id: Key | undefined,
    readonly key: unknown,
  ) {}
}

class Ring<W> {
  readonly lines = new Fifo<Line<W>>();
  /** How many of them, at most, were emptied where they stand. */
  emptied = 0;
  /** How often in a row it had something to start and another level was served. */
  passed = 0;
}

export class Lanes<W extends Waiter> {
  readonly ungrouped = new Group<W>(undefined, undefined);
  /** Those who have to look at an item before they know its group: under no limit. */
  readonly undecided = new Group<W>(undefined, undefined);
  readonly #groups = new Map<unknown, Group<W>>();
  readonly #rings: readonly Ring<W>[] = [new Ring(), new Ring(), new Ring()];
  readonly #perGroup: number;
  #waiting = 0;
  /** What was looked at, and where: the next. */
  #pinned: W | undefined;
  #pinnedRing: Ring<W> | undefined;

  /** @param perGroup most running tasks of one group; those without a group are one. */
  constructor(perGroup: number) {
    this.#perGroup = perGroup;
  }

  /** How many wait, the dead left out. */
  get length(): number {
    return this.#waiting;
  }

  /** How many groups have a record. */
  get groups(): number {
    return this.#groups.size;
  }

  /** @param id in messages and events. @param key the same in the form of `mapKey`. */
  group(id: Key, key: unknown): Group<W> {
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new Group<W>(id, key);
      this.#groups.set(key, group);
    }
    return group;
  }

  mayStart(group: Group<W>): boolean {
    return (group.running < this.#perGroup && !group.isHeld) || group === this.undecided;
  }

  /** Nothing of this group starts until it is let go. */
  hold(group: Group<W>): void {
    group.isHeld = true;
  }

  letGo(group: Group<W>): void {
    group.isHeld = false;
    this.#unpark(group);
    this.forgetIfIdle(group);
  }

  push(item: W, level: Level, group: Group<W>): void {
    let line = group.lines[level];
    if (line === undefined) {
      line = new Line(group);
      group.lines[level] = line;
    }
    line.items.push(item);
    group.waiting++;
    this.#waiting++;
    if (!line.inRing && this.mayStart(group)) this.#enterRing(line, level);
  }

  /** What starts next, left in its place. It stays the next, whatever comes, until it is taken, dies or may not start any more. */
  peek(): W | undefined {
    const ring = this.#next();
    this.#pinnedRing = ring;
    this.#pinned = ring?.lines.peek()?.items.peek();
    return this.#pinned;
  }

  /** What was looked at has died. */
  get hasLostHead(): boolean {
    return this.#pinned?.isDead === true;
  }

  /** Takes out what starts next, if anything may. It counts as running in its group from now on. */
  take(): W | undefined {
    if (this.#waiting === 0) return undefined;
    const ring = this.#next();
    if (ring === undefined) return undefined;
    for (const each of this.#rings) {
      if (each === ring) each.passed = 0;
      else if (this.#hasHead(each)) each.passed++;
    }
    const { lines } = ring;
    const line = lines.peek() as Line<W>;
    const { group, items } = line;
    const item = items.shift() as W;
    this.#pinned = undefined;
    this.#waiting--;
    group.waiting--;
    group.running++;
    const goesOn = items.length > 0 && this.mayStart(group);
    if (!goesOn || lines.length > 1) {
      lines.shift();
      line.inRing = goesOn;
      if (goesOn) lines.push(line);
    }
    return item;
  }

  /** A task starts without having waited. */
  enter(group: Group<W>): void {
    group.running++;
  }

  /** A task of this group has ended. */
  leave(group: Group<W>): void {
    group.running--;
    if (group.waiting > 0) this.#unpark(group);
    else this.forgetIfIdle(group);
  }

  /** To be called for a group that was looked up and got no task in the end. */
  forgetIfIdle(group: Group<W>): void {
    if (group.running > 0 || group.waiting > 0 || group.isHeld || group.key === undefined) return;
    // Only if it is still this one: an emptied line may lie in a ring while its key has a new group already.
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key);
  }

  /** A waiting task of this group died where it stands. The tombstones of a group are cleared when they are more than half of it. */
  bury(group: Group<W>): void {
    this.#waiting--;
    group.dead++;
    if (group.dead < group.waiting && (group.dead < SWEEP_FROM || group.dead < group.waiting / 2)) return;
    this.#filter(group, () => true);
    this.forgetIfIdle(group);
  }

  /** Takes out all that wait and match, group by group. O(waiting + groups). */
  remove(matches: (item: W) => boolean): W[] {
    const removed: W[] = [];
    const keep = (item: W): boolean => {
      if (!matches(item)) return true;
      removed.push(item);
      return false;
    };
    for (const group of [this.ungrouped, this.undecided, ...this.#groups.values()]) {
      this.#filter(group, keep);
      this.forgetIfIdle(group);
    }
    this.#waiting -= removed.length;
    return removed;
  }

  #next(): Ring<W> | undefined {
    const pinned = this.#pinnedRing;
    if (this.#pinned === undefined || pinned === undefined) return this.#choose();
    return this.#hasHead(pinned) && pinned.lines.peek()?.items.peek() === this.#pinned ? pinned : this.#choose();
  }

  /** The ring to serve: its first line is eligible and begins with a living task. */
  #choose(): Ring<W> | undefined {
    let chosen: Ring<W> | undefined;
    for (const ring of this.#rings) {
      if (!this.#hasHead(ring)) ring.passed = 0;
      else if (chosen === undefined || (ring.passed >= PATIENCE && ring.passed > chosen.passed)) chosen = ring;
    }
    return chosen;
  }

  /** Clears the head of a ring of the dead and of groups at their limit. */
  #hasHead(ring: Ring<W>): boolean {
    for (let line = ring.lines.peek(); line !== undefined; line = ring.lines.peek()) {
      const { group, items } = line;
      while (items.peek()?.isDead === true) {
        items.shift();
        group.waiting--;
        group.dead--;
      }
      if (items.length > 0 && this.mayStart(group)) return true;
      ring.lines.shift();
      line.inRing = false;
      this.forgetIfIdle(group);
    }
    return false;
  }

  #enterRing(line: Line<W>, level: number): void {
    line.inRing = true;
    (this.#rings[level] as Ring<W>).lines.push(line);
  }

  #unpark(group: Group<W>): void {
    for (let level = 0; level < 3; level++) {
      const line = group.lines[level];
      if (line !== undefined && !line.inRing && line.items.length > 0) this.#enterRing(line, level);
    }
  }

  /** Keeps of a group's waiting tasks the living that are to be kept. */
  #filter(group: Group<W>, keep: (item: W) => boolean): void {
    group.waiting = 0;
    group.dead = 0;
    for (let level = 0; level < 3; level++) {
      const line = group.lines[level];
      if (line === undefined) continue;
      line.items.filter((item) => !item.isDead && keep(item));
      group.waiting += line.items.length;
      if (line.inRing && line.items.length === 0) this.#clearOfEmptied(this.#rings[level] as Ring<W>);
    }
  }

  /** An emptied line leaves its ring when it gets to the head, or with the others when they are more than half. */
  #clearOfEmptied(ring: Ring<W>): void {
    ring.emptied++;
    if (ring.emptied < SWEEP_FROM || ring.emptied < ring.lines.length / 2) return;
    ring.emptied = 0;
    ring.lines.filter((line) => {
      line.inRing = line.items.length > 0;
      return line.inRing;
    });
  }
}
