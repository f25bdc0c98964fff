/** A naive RequestCoalescer in whole ms, without timers and promises: it says what the real one must have done. */
type Numbers = Record<'ttl' | 'errorTtl' | 'staleTtl' | 'maxEntries' | 'loadTimeout', number>;
export type ModelOptions = Numbers & { whenOrphaned: 'abort' | 'finish' };
type Flight = { key: string; cause: string; dueAt: number; orphaned?: true; status: string; outcome?: string };
type Call = { servedAs: string; flight?: Flight; outcome?: string };
type Entry = { outcome: string; failed: boolean; at: number; staleAt: number; refreshAt: number; endAt: number };

export class Model {
  now = 0;
  evicted = 0;
  readonly calls: Call[] = [];
  readonly flights: Flight[] = [];
  /** By key: what is stored, least recently used first; and the only flight that may write. */
  readonly entries = new Map<string, Entry>();
  readonly #current = new Map<string, Flight>();
  constructor(readonly options: ModelOptions) {}
  execute(key: string, isAborted: boolean, fresh: boolean): void {
    const entry = fresh ? undefined : this.entries.get(key);
    const flight = this.#current.get(key);
    if (isAborted) this.calls.push({ servedAs: 'refused', outcome: 'left' });
    else if (entry) {
      const servedAs = entry.failed ? 'errorHits' : this.now < entry.staleAt ? 'hits' : 'staleHits';
      this.calls.push({ servedAs, outcome: entry.outcome });
      this.entries.delete(key);
      this.entries.set(key, entry);
      if (!flight && this.now >= entry.refreshAt) this.#start(key, 'refreshes');
    } else this.calls.push({ servedAs: flight ? 'coalesced' : 'loads', flight: flight ?? this.#start(key, 'loads') });
  }
  prefetch(key: string, fresh: boolean): void {
    const isWanted = fresh || this.now >= (this.entries.get(key)?.refreshAt ?? 0);
    if (isWanted && !this.#current.has(key)) this.#start(key, 'prefetches');
  }
  #start(key: string, cause: string): Flight {
    const flight: Flight = { key, cause, dueAt: this.now + this.options.loadTimeout, status: 'flying' };
    this.flights.push(flight);
    this.#current.set(key, flight);
    return flight;
  }
  abort(call: Call): void {
    const { flight } = call;
    if (flight?.status !== 'flying' || call.outcome) return;
    call.outcome = 'left';
    const isWaitedFor = this.calls.some((each) => each.flight === flight && !each.outcome);
    if (isWaitedFor || flight.orphaned || flight.cause !== 'loads') return;
    flight.orphaned = true;
    if (this.options.whenOrphaned === 'abort') this.end(flight, 'aborted', 'left');
  }
  end(flight: Flight, status: string, outcome: string, time = this.now): void {
    if (flight.status !== 'flying') return;
    Object.assign(flight, { status, outcome });
    if (this.#current.get(flight.key) !== flight) return;
    this.#current.delete(flight.key);
    const { ttl, errorTtl } = this.options;
    const entry = this.entries.get(flight.key);
    if (status === 'fulfilled' && ttl > 0) this.set(flight.key, outcome);
    else if (status === 'fulfilled') this.entries.delete(flight.key);
    else if (status === 'rejected' && errorTtl > 0 && entry?.failed !== false) this.set(flight.key, outcome, true);
    else if (entry && flight.cause !== 'loads') entry.refreshAt = Math.max(entry.staleAt, time + Math.min(1_000, ttl));
  }
  set(key: string, outcome: string, failed = false): void {
    this.forget(key, false);
    const staleAt = this.now + (failed ? this.options.errorTtl : this.options.ttl);
    const endAt = staleAt + (failed ? 0 : this.options.staleTtl);
    this.entries.set(key, { outcome, failed, at: this.now, staleAt, refreshAt: staleAt, endAt });
    const [oldest] = this.entries.keys();
    if (this.entries.size > this.options.maxEntries && this.entries.delete(oldest ?? '')) this.evicted++;
  }
  forget(key: string, abort: boolean): boolean {
    const flight = this.#current.get(key);
    this.#current.delete(key);
    if (flight && abort) this.end(flight, 'aborted', 'forgotten');
    return this.entries.delete(key) || flight !== undefined;
  }
  advance(ms: number): void {
    this.now += ms;
    const due = this.flights.filter(({ dueAt }) => dueAt <= this.now);
    for (const flight of due) this.end(flight, 'timeout', 'timeout', flight.dueAt);
    for (const [key, { endAt }] of this.entries) if (endAt <= this.now) this.entries.delete(key);
  }
}
