import { now, Timer } from '../core/clock.js';
import type { MapKey } from '../core/keys.js';
import type { Milliseconds } from '../core/types.js';

/** A sweep walks the whole table. It waits at least this long for each entry, ms, so that it takes about 1 % of the time. */
const REST_PER_ENTRY = 0.001;

/** One settled value, or one settled error. Few and plain fields: there may be a million. */
export class Entry<V, K> {
  readonly id: MapKey;
  readonly key: K;
  /** The value, or what the load rejected with. */
  readonly value: V;
  readonly failed: boolean;
  /** When its load ended, monotonic ms. It is fresh while `now - storedAt < ttl`. */
  readonly storedAt: Milliseconds;
  readonly ttl: Milliseconds;
  /** Neighbours by last use. The table's own. */
  newer: Entry<V, K> | undefined = undefined;
  older: Entry<V, K> | undefined = undefined;

  constructor(id: MapKey, key: K, value: V, failed: boolean, storedAt: Milliseconds, ttl: Milliseconds) {
    this.id = id;
    this.key = key;
    this.value = value;
    this.failed = failed;
    this.storedAt = storedAt;
    this.ttl = ttl;
  }
}

/**
 * The settled values of one coalescer: at most `maxEntries`, the least recently used leaves first (a `Map` and a list, all O(1)).
 *
 * Who reads decides by age what is still good; sweeping only gives memory back. One timer serves the whole table, armed for
 * the first expiry, and never keeps the process alive; where the runtime has no such timers, the next `put` sweeps.
 */
export class Entries<V, K> {
  readonly #map = new Map<MapKey, Entry<V, K>>();
  readonly #max: number;
  readonly #staleTtl: Milliseconds;
  #newest: Entry<V, K> | undefined;
  #oldest: Entry<V, K> | undefined;
  #timer: Timer | undefined;
  /** When the next sweep is due: not after the first expiry, unless that one came less than the rest after the last sweep. */
  #due = Number.POSITIVE_INFINITY;
  #restUntil = 0;

  constructor(maxEntries: number, staleTtl: Milliseconds) {
    this.#max = maxEntries;
    this.#staleTtl = staleTtl;
  }

  /** Whatever is held, expired or not. */
  get(id: MapKey): Entry<V, K> | undefined {
    return this.#map.get(id);
  }

  /** May it still be served, fresh or stale? */
  isLive(entry: Entry<V, K>, time: Milliseconds): boolean {
    return time - entry.storedAt < this.#span(entry);
  }

  getLive(id: MapKey, time: Milliseconds): Entry<V, K> | undefined {
    const entry = this.#map.get(id);
    return entry !== undefined && this.isLive(entry, time) ? entry : undefined;
  }

  /** All that may still be served. O(size). */
  live(time: Milliseconds): Entry<V, K>[] {
    return [...this.#map.values()].filter((entry) => this.isLive(entry, time));
  }

  /** How many may still be served; for a moment after a sweep, large tables count what expired since. */
  count(time: Milliseconds): number {
    if (time >= this.#due) this.#sweep(time);
    return this.#map.size;
  }

  /** Makes it the most recently used. */
  touch(entry: Entry<V, K>): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  /** Stores it in place of what has its id, and returns what had to make room. */
  put(entry: Entry<V, K>, time: Milliseconds): Entry<V, K> | undefined {
    const previous = this.#map.get(entry.id);
    if (previous !== undefined) this.#unlink(previous);
    this.#map.set(entry.id, entry);
    this.#link(entry);
    // Also before a living one has to go for dead ones.
    if (time >= this.#due) this.#sweep(time);
    this.#plan(entry.storedAt + this.#span(entry), time);
    if (this.#map.size <= this.#max) return undefined;
    const evicted = this.#oldest as Entry<V, K>;
    this.delete(evicted);
    return evicted;
  }

  delete(entry: Entry<V, K>): void {
    this.#map.delete(entry.id);
    this.#unlink(entry);
    if (this.#map.size === 0) this.#rest();
  }

  clear(): void {
    this.#map.clear();
    this.#newest = undefined;
    this.#oldest = undefined;
    this.#rest();
  }

  #span(entry: Entry<V, K>): Milliseconds {
    return entry.failed ? entry.ttl : entry.ttl + this.#staleTtl;
  }

  /** Nothing to sweep: no timer. */
  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
  }

  #plan(expiry: Milliseconds, time: Milliseconds): void {
    const due = Math.max(expiry, this.#restUntil);
    if (due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = new Timer(this.#onTimer, due - time, false);
    // A process that stays up an hour for a sweep is worse than one that sweeps late.
    if (this.#timer.keepsAlive) this.#timer.cancel();
  }

  // That the timer fired proves that its moment is over, also where the clock stands still.
  readonly #onTimer = (): void => this.#sweep(Math.max(now(), this.#due));

  #sweep(time: Milliseconds): void {
    this.#rest();
    this.#restUntil = time + this.#map.size * REST_PER_ENTRY;
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#map.values()) {
      if (this.isLive(entry, time)) next = Math.min(next, entry.storedAt + this.#span(entry));
      else this.delete(entry);
    }
    if (this.#map.size > 0) this.#plan(next, time);
  }

  #link(entry: Entry<V, K>): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry<V, K>): void {
    const { newer, older } = entry;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    entry.newer = undefined;
    entry.older = undefined;
  }
}
