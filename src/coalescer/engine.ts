import { NEVER, now } from '../core/clock.js';
import { ClosedError } from '../core/errors.js';
import type { MapKey } from '../core/keys.js';
import type { CloseReport, Key, Milliseconds, WaitUntil } from '../core/types.js';
import { classifyError } from '../core/verdicts.js';
import { keepAlive } from '../core/wait-until.js';
import type { HookSet } from '../metrics/hooks.js';
import { abortError } from './abort-error.js';
import { Closing, type ClosingRules } from './closing.js';
import { Entries, Entry } from './entries.js';
import { FlightTable } from './flight-table.js';
import { Flight, type FlightEnd, type FlightOwner } from './flights.js';
import type { CoalescerHooks } from './hooks.js';
import { Ledger } from './ledger.js';
import { FlightContext } from './load-context.js';
import { LoadTimeouts } from './load-timeouts.js';
import type { CoalescerMetrics } from './metrics.js';
import type { CoalescerRules } from './rules.js';
import type { Load, PeekedValue } from './types.js';

/** Longest pause after a refresh that brought nothing, ms. */
const MAX_COOL_DOWN = 1_000;

/**
 * What becomes of a call: served from what is stored, joined to the current flight of its key, or a flight of its own.
 *
 * Invariants. A key has at most one current flight; only that one writes, and it leaves the table before anybody hears how it
 * ended. Each call is counted once, in the turn in which it is made. State changes first, then callers are told, then hooks.
 */
export class Engine<V, K extends Key> implements FlightOwner<V, K> {
  readonly rules: CoalescerRules<V, K>;
  readonly timeouts: LoadTimeouts<Flight<V, K>> | undefined;
  /** One of each, kept for ever: V8 throws optimised code away when the last object of a class is collected, that is in any pause. */
  readonly kept: readonly unknown[];
  readonly #ledger: Ledger<V, K>;
  readonly #entries: Entries<V, K>;
  readonly #flights = new FlightTable<Flight<V, K>>();
  /** Until when no refresh of an entry is tried. */
  readonly #coolDowns = new WeakMap<Entry<V, K>, Milliseconds>();
  #closing: Closing | undefined;

  constructor(rules: CoalescerRules<V, K>, hooks: HookSet<CoalescerHooks>) {
    this.rules = rules;
    this.timeouts = rules.loadTimeout === NEVER ? undefined : new LoadTimeouts(rules.loadTimeout);
    this.#ledger = new Ledger(rules.name, hooks);
    this.#entries = new Entries(rules.maxEntries, rules.staleTtl);
    const none = '' as K;
    const flight = new Flight(this, '', new FlightContext<V, K>(none, 'miss', undefined), Number.NaN);
    this.kept = [flight, new Entry('', none, undefined, false, Number.NaN, 0)];
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  execute(
    id: MapKey,
    key: K,
    load: Load<V, V, K>,
    signal: AbortSignal | undefined,
    fresh: boolean,
    waitUntil: WaitUntil | undefined,
  ): Promise<V> {
    const { counters } = this.#ledger;
    counters.calls++;
    if (signal?.aborted === true || this.#closing !== undefined) {
      counters.refused++;
      return Promise.reject(signal?.aborted === true ? signal.reason : new ClosedError({ source: this.rules.name }));
    }
    const entry = this.#entries.get(id);
    if (entry !== undefined && !fresh) {
      const time = now();
      if (this.#entries.isLive(entry, time)) return this.#serve(entry, time, load, waitUntil);
      this.#entries.delete(entry);
    }
    const current = this.#flights.get(id);
    if (current !== undefined) {
      counters.coalesced++;
      const promise = current.join(signal);
      this.#ledger.tellJoin(key, current);
      return promise;
    }
    counters.loads++;
    const flight = this.#enter(id, key, 'miss');
    const promise = flight.join(signal);
    this.#takeOff(flight, load);
    return promise;
  }

  prefetch(id: MapKey, key: K, load: Load<V, V, K>, fresh: boolean, waitUntil: WaitUntil | undefined): void {
    if (this.#closing !== undefined || this.#flights.get(id) !== undefined) return;
    const time = now();
    const entry = this.#entries.getLive(id, time);
    if (entry !== undefined && !fresh && !this.#mayRefresh(entry, time)) return;
    this.#ledger.counters.prefetches++;
    this.#loadBehind(id, key, load, entry === undefined || entry.failed ? 'miss' : 'refresh', waitUntil);
  }

  peek(id: MapKey): PeekedValue<V> | undefined {
    const time = now();
    const entry = this.#entries.getLive(id, time);
    if (entry === undefined || entry.failed) return undefined;
    const ageMs = time - entry.storedAt;
    return { value: this.#copyOf(entry.value), state: ageMs < entry.ttl ? 'fresh' : 'stale', ageMs };
  }

  set(id: MapKey, key: K, value: V, ttl: Milliseconds): void {
    const copy = this.#copyOf(value);
    // `ttl` and `clone` are users' functions: they may have closed it.
    if (this.#closing !== undefined) throw new ClosedError({ source: this.rules.name });
    const flight = this.#flights.get(id);
    if (flight !== undefined) this.#flights.detach(flight);
    const time = now();
    const evicted = this.#entries.put(new Entry(id, key, copy, false, time, ttl), time);
    if (evicted !== undefined) this.#ledger.tellEvicted(evicted);
  }

  forget(ids: Iterable<MapKey>, abort: boolean): number {
    const time = now();
    const flights: Flight<V, K>[] = [];
    let dropped = 0;
    for (const id of ids) {
      const entry = this.#entries.get(id);
      const flight = this.#flights.get(id);
      if (flight !== undefined || (entry !== undefined && this.#entries.isLive(entry, time))) dropped++;
      if (entry !== undefined) this.#entries.delete(entry);
      if (flight !== undefined) flights.push(flight);
    }
    for (const flight of flights) this.#flights.detach(flight);
    // Last: users' functions run from here on.
    if (abort) for (const flight of flights) flight.abort(abortError());
    return dropped;
  }

  /** All keys that are stored or in flight, by id. */
  keys(): Map<MapKey, K> {
    const keys = new Map<MapKey, K>();
    for (const { id, key } of this.#entries.live(now())) keys.set(id, key);
    for (const { id, context } of this.#flights.current()) keys.set(id, context.key);
    return keys;
  }

  clear(): void {
    this.#entries.clear();
    for (const flight of this.#flights.current()) this.#flights.detach(flight);
  }

  close(rules: ClosingRules): Promise<CloseReport> {
    this.#closing ??= new Closing(this.rules.name, this.#flights.all());
    this.#entries.clear();
    this.#closing.endWithin(rules);
    return this.#closing.report;
  }

  metrics(): CoalescerMetrics {
    return this.#ledger.counters.snapshot(this.rules.name, this.#entries.count(now()), this.#flights.size);
  }

  onOrphan(): void {
    this.#ledger.counters.orphaned++;
  }

  onLanding(flight: Flight<V, K>): void {
    this.#closing?.landed(flight);
  }

  onEnd(flight: Flight<V, K>, landed: FlightEnd<V>): void {
    let end = landed;
    let ttl = 0;
    try {
      ttl = this.#ttlAfter(flight, end);
    } catch (reason) {
      end = { status: 'rejected', reason };
    }
    const time = now();
    const isCurrent = this.#flights.remove(flight);
    const stored = isCurrent && ttl > 0 && this.#closing === undefined;
    const evicted = stored ? this.#entries.put(entryOf(flight, end, time, ttl), time) : undefined;
    if (isCurrent && !stored) this.#keepOld(flight, end, time);
    const duration = time - flight.startedAt;
    this.#ledger.countEnd(end, duration, time);
    flight.tell(end);
    if (evicted !== undefined) this.#ledger.tellEvicted(evicted);
    this.#ledger.tellEnd(flight, end, duration, stored);
    this.#closing?.ended(flight, end.status === 'fulfilled' || end.status === 'rejected');
  }

  /** @param entry one that is live. */
  #serve(entry: Entry<V, K>, time: Milliseconds, load: Load<V, V, K>, waitUntil: WaitUntil | undefined): Promise<V> {
    const age = time - entry.storedAt;
    const isFresh = age < entry.ttl;
    const { counters } = this.#ledger;
    this.#entries.touch(entry);
    if (entry.failed) counters.errorHits++;
    else if (isFresh) counters.hits++;
    else counters.staleHits++;
    if (!isFresh && this.#flights.get(entry.id) === undefined && this.#mayRefresh(entry, time)) {
      counters.refreshes++;
      this.#loadBehind(entry.id, entry.key, load, 'refresh', waitUntil);
    }
    this.#ledger.tellHit(entry, isFresh, age);
    if (entry.failed) return Promise.reject(entry.value);
    return Promise.resolve(this.#copyOf(entry.value));
  }

  #mayRefresh(entry: Entry<V, K>, time: Milliseconds): boolean {
    return time - entry.storedAt >= entry.ttl && time >= (this.#coolDowns.get(entry) ?? time);
  }

  /** A load that no caller waits for yet. */
  #loadBehind(
    id: MapKey,
    key: K,
    load: Load<V, V, K>,
    reason: 'miss' | 'refresh',
    waitUntil: WaitUntil | undefined,
  ): void {
    const flight = this.#enter(id, key, reason);
    flight.hold();
    const platform = waitUntil ?? this.rules.waitUntil;
    if (platform !== undefined) keepAlive(platform, flight.settled(), this.#ledger.reportWaitUntil);
    this.#takeOff(flight, load);
  }

  /** Enters a flight in the table. The load comes after, so that whatever it does meets a complete table. */
  #enter(id: MapKey, key: K, reason: 'miss' | 'refresh'): Flight<V, K> {
    const time = now();
    const entry = this.#entries.getLive(id, time);
    const readStale =
      entry === undefined || entry.failed
        ? undefined
        : () => ({ value: this.#copyOf(entry.value), ageMs: time - entry.storedAt });
    const flight = new Flight(this, id, new FlightContext(key, reason, readStale), time);
    this.#flights.add(flight);
    return flight;
  }

  #takeOff(flight: Flight<V, K>, load: Load<V, V, K>): void {
    this.#ledger.tellStart(flight);
    flight.run(load);
  }

  /** How long what it brought is to be kept, if it is still the current one. */
  #ttlAfter(flight: Flight<V, K>, end: FlightEnd<V>): Milliseconds {
    if (this.#closing !== undefined || this.#flights.get(flight.id) !== flight) return 0;
    const { key, reason } = flight.context;
    if (end.status === 'fulfilled') {
      return FlightContext.mayStore(flight.context) ? this.rules.ttlOf(end.value, { key, reason }) : 0;
    }
    const { errorTtl } = this.rules;
    if (end.status !== 'rejected' || errorTtl === 0 || classifyError(end.reason) === 'ignore') return 0;
    const previous = this.#entries.getLive(flight.id, now());
    return previous === undefined || previous.failed ? errorTtl : 0;
  }

  /** A failure or a fallback leaves the old value in service. A new value that is not to be kept does not: the old one is out of date. */
  #keepOld(flight: Flight<V, K>, end: FlightEnd<V>, time: Milliseconds): void {
    const entry = this.#entries.get(flight.id);
    if (entry === undefined) return;
    if (end.status === 'fulfilled' && FlightContext.mayStore(flight.context)) this.#entries.delete(entry);
    else if (flight.context.reason === 'refresh') {
      this.#coolDowns.set(entry, time + Math.min(MAX_COOL_DOWN, entry.ttl));
    }
  }

  #copyOf(value: V): V {
    return this.rules.copy === undefined ? value : this.rules.copy(value);
  }
}

function entryOf<V, K extends Key>(
  flight: Flight<V, K>,
  end: FlightEnd<V>,
  time: Milliseconds,
  ttl: Milliseconds,
): Entry<V, K> {
  const failed = end.status !== 'fulfilled';
  return new Entry(flight.id, flight.context.key, failed ? (end.reason as V) : end.value, failed, time, ttl);
}
