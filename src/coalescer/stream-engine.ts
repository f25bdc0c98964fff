import { now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { ClosedError } from '../core/errors.js';
import type { MapKey } from '../core/keys.js';
import type { CloseReport, Key, Milliseconds } from '../core/types.js';
import type { HookSet } from '../metrics/hooks.js';
import { abortError } from './abort-error.js';
import type { Chunks } from './chunks.js';
import { Closing, type ClosingRules } from './closing.js';
import { Entries, Entry } from './entries.js';
import { FlightTable } from './flight-table.js';
import type { CoalescerHooks } from './hooks.js';
import { type CoalescerMetrics, Counters } from './metrics.js';
import { OpenContext } from './open-context.js';
import { ReaderBehindError } from './reader-behind-error.js';
import { SharedStream, type StreamOwner } from './shared-stream.js';
import type { ReaderOwner, ReadRequest, StreamReader } from './stream-reader.js';
import type { StreamRules } from './stream-rules.js';
import type { StreamEnd } from './stream-types.js';

/** All streams of one coalescer are loads that somebody waits for. */
const REASON = 'miss';

/**
 * What becomes of a reader: it follows what is stored, the current stream of its key, or a stream of its own.
 *
 * Invariants, as those of the engine of `RequestCoalescer`. A key has at most one current stream; only that one has all its
 * chunks and may be stored, and it leaves the table before anybody hears how it ended. Each reader is counted once, in the turn
 * of its first `next()`. State changes first, then readers are told, then hooks.
 */
export class StreamEngine<C, K extends Key> implements StreamOwner<C, K>, ReaderOwner<C, K> {
  readonly rules: StreamRules<K>;
  readonly deadlines = new Deadlines(false);
  readonly #hooks: HookSet<CoalescerHooks>;
  readonly #counters = new Counters();
  readonly #entries: Entries<Chunks<C>, K>;
  readonly #streams = new FlightTable<SharedStream<C, K>>();
  #closing: Closing | undefined;

  constructor(rules: StreamRules<K>, hooks: HookSet<CoalescerHooks>) {
    this.rules = rules;
    this.#hooks = hooks;
    this.#entries = new Entries(rules.maxEntries, 0);
  }

  begin(reader: StreamReader<C, K>, { id, key, open, signal, fresh }: ReadRequest<C, K>): void {
    const counters = this.#counters;
    counters.calls++;
    if (signal?.aborted === true || this.#closing !== undefined) {
      counters.refused++;
      reader.fail(signal?.aborted === true ? signal.reason : new ClosedError({ source: this.rules.name }));
      return;
    }
    const entry = this.#entries.get(id);
    if (entry !== undefined && !fresh) {
      const time = now();
      if (this.#entries.isLive(entry, time)) {
        this.#replay(reader, entry, time, signal);
        return;
      }
      this.#entries.delete(entry);
    }
    const current = this.#streams.get(id);
    if (current !== undefined) {
      counters.coalesced++;
      reader.follow(current.chunks, current, signal);
      const { onCoalesce } = this.#hooks.listeners;
      if (onCoalesce) this.#hooks.tell(onCoalesce, { name: this.rules.name, key, callers: current.chunks.readers });
      return;
    }
    counters.loads++;
    const stream = new SharedStream(this, id, key);
    this.#streams.add(stream);
    reader.follow(stream.chunks, stream, signal);
    const { onLoadStart } = this.#hooks.listeners;
    if (onLoadStart) this.#hooks.tell(onLoadStart, { name: this.rules.name, key, reason: REASON });
    stream.run(open);
  }

  behind(): unknown {
    return new ReaderBehindError({ source: this.rules.name, maxBuffer: this.rules.maxBuffer });
  }

  forget(ids: Iterable<MapKey>, abort: boolean): number {
    const time = now();
    const streams: SharedStream<C, K>[] = [];
    let dropped = 0;
    for (const id of ids) {
      const entry = this.#entries.get(id);
      const stream = this.#streams.get(id);
      if (stream !== undefined || (entry !== undefined && this.#entries.isLive(entry, time))) dropped++;
      if (entry !== undefined) this.#entries.delete(entry);
      if (stream !== undefined) streams.push(stream);
    }
    for (const stream of streams) this.#detach(stream);
    // Last: users' functions run from here on.
    if (abort) for (const stream of streams) stream.abort(abortError());
    return dropped;
  }

  /** All keys that are stored or in flight, by id. */
  keys(): Map<MapKey, K> {
    const keys = new Map<MapKey, K>();
    for (const { id, key } of this.#entries.live(now())) keys.set(id, key);
    for (const { id, context } of this.#streams.current()) keys.set(id, context.key);
    return keys;
  }

  clear(): void {
    this.#entries.clear();
    for (const stream of this.#streams.current()) this.#detach(stream);
  }

  close(rules: ClosingRules): Promise<CloseReport> {
    this.#closing ??= new Closing(this.rules.name, this.#streams.all());
    this.clear();
    this.#closing.endWithin(rules);
    return this.#closing.report;
  }

  metrics(): CoalescerMetrics {
    return this.#counters.snapshot(this.rules.name, this.#entries.count(now()), this.#streams.size);
  }

  onOrphan(): void {
    this.#counters.orphaned++;
  }

  onOverflow(stream: SharedStream<C, K>): void {
    this.#streams.detach(stream);
  }

  onLanding(stream: SharedStream<C, K>): void {
    this.#closing?.landed(stream);
  }

  onEnd(stream: SharedStream<C, K>, landed: StreamEnd): void {
    let end = landed;
    let ttl = 0;
    try {
      ttl = this.#ttlAfter(stream, end);
    } catch (reason) {
      end = { status: 'rejected', reason };
    }
    const time = now();
    const stored = this.#streams.remove(stream) && ttl > 0;
    const entry = new Entry(stream.id, stream.context.key, stream.chunks, false, time, ttl);
    const evicted = stored ? this.#entries.put(entry, time) : undefined;
    if (!stored) stream.chunks.seal();
    const runMs = time - stream.startedAt;
    this.#count(end, runMs, time);
    stream.tell(end);
    this.#tellEvicted(evicted);
    this.#tellEnd(stream, end, runMs, stored);
    this.#closing?.ended(stream, end.status === 'fulfilled' || end.status === 'rejected');
  }

  #replay(
    reader: StreamReader<C, K>,
    entry: Entry<Chunks<C>, K>,
    time: Milliseconds,
    signal: AbortSignal | undefined,
  ): void {
    this.#counters.hits++;
    this.#entries.touch(entry);
    reader.follow(entry.value, undefined, signal);
    const { onHit } = this.#hooks.listeners;
    const ageMs = time - entry.storedAt;
    if (onHit) this.#hooks.tell(onHit, { name: this.rules.name, key: entry.key, kind: 'fresh', ageMs });
  }

  /** It goes on for its readers. */
  #detach(stream: SharedStream<C, K>): void {
    this.#streams.detach(stream);
    stream.chunks.seal();
  }

  /** How long it is to be replayed, if it is still the current one. */
  #ttlAfter(stream: SharedStream<C, K>, end: StreamEnd): Milliseconds {
    const { context } = stream;
    const mayStore = this.#streams.get(stream.id) === stream && OpenContext.mayStore(context);
    return end.status === 'fulfilled' && mayStore ? this.rules.ttlOf({ key: context.key, reason: REASON }) : 0;
  }

  #count(end: StreamEnd, duration: Milliseconds, time: Milliseconds): void {
    if (end.status === 'rejected') this.#counters.loadFailures++;
    else if (end.status === 'timeout') this.#counters.loadTimeouts++;
    if (end.status !== 'aborted') this.#counters.addDuration(duration, time);
  }

  #tellEnd(stream: SharedStream<C, K>, end: StreamEnd, runMs: Milliseconds, stored: boolean): void {
    const { onLoadEnd } = this.#hooks.listeners;
    if (!onLoadEnd) return;
    const error = end.status === 'fulfilled' ? undefined : end.reason;
    const { key } = stream.context;
    this.#hooks.tell(onLoadEnd, {
      name: this.rules.name,
      key,
      reason: REASON,
      status: end.status,
      error,
      runMs,
      stored,
    });
  }

  #tellEvicted(entry: Entry<Chunks<C>, K> | undefined): void {
    if (entry === undefined) return;
    this.#counters.evicted++;
    const { onEvict } = this.#hooks.listeners;
    if (onEvict) this.#hooks.tell(onEvict, { name: this.rules.name, key: entry.key });
  }
}
