/** A naive RequestCoalescer: whole numbers of ms, no timers, plain arrays. It answers what the real one must have done. */
export interface ModelOptions {
  readonly ttl: number;
  readonly errorTtl: number;
  readonly staleTtl: number;
  readonly maxEntries: number;
  readonly loadTimeout: number;
  readonly whenOrphaned: 'abort' | 'finish';
}

interface ModelEntry {
  readonly key: string;
  readonly outcome: string;
  readonly at: number;
  coolUntil: number;
}

interface ModelFlight {
  readonly key: string;
  readonly at: number;
  readonly refresh: boolean;
  readonly waiting: number[];
  held: boolean;
  current: boolean;
  status: 'flying' | 'fulfilled' | 'rejected' | 'timeout' | 'aborted';
}

export class Model {
  now = 0;
  /** By number of call: what its promise is. */
  readonly calls: string[] = [];
  readonly flights: ModelFlight[] = [];
  readonly count = {
    hits: 0,
    staleHits: 0,
    errorHits: 0,
    coalesced: 0,
    loads: 0,
    refused: 0,
    refreshes: 0,
    prefetches: 0,
  };
  readonly ends = { loadFailures: 0, loadTimeouts: 0, orphaned: 0, evicted: 0 };
  /** Least recently used first. */
  #entries: ModelEntry[] = [];
  readonly #signals: (boolean | undefined)[] = [];

  constructor(readonly options: ModelOptions) {}

  get entries(): ModelEntry[] {
    const { ttl, staleTtl, errorTtl } = this.options;
    const span = (e: ModelEntry) => (e.outcome.startsWith('error') ? errorTtl : ttl + staleTtl);
    this.#entries = this.#entries.filter((e) => this.now - e.at < span(e));
    return this.#entries;
  }

  execute(key: string, signal: 'none' | 'live' | 'aborted', fresh: boolean): void {
    const call = this.calls.push('pending') - 1;
    this.#signals[call] = signal === 'live';
    const entry = this.entries.find((e) => e.key === key);
    const flight = this.#current(key);
    if (signal === 'aborted') {
      this.count.refused++;
      this.calls[call] = 'left';
    } else if (entry && !fresh) {
      const stale = this.now - entry.at >= this.options.ttl && !entry.outcome.startsWith('error');
      this.count[entry.outcome.startsWith('error') ? 'errorHits' : stale ? 'staleHits' : 'hits']++;
      this.calls[call] = entry.outcome;
      this.#entries = [...this.entries.filter((e) => e !== entry), entry];
      if (!stale || flight || this.now < entry.coolUntil) return;
      this.count.refreshes++;
      this.#start(key, true).held = true;
    } else if (flight) {
      this.count.coalesced++;
      flight.waiting.push(call);
    } else {
      this.count.loads++;
      this.#start(key, false).waiting.push(call);
    }
  }

  prefetch(key: string): void {
    const entry = this.entries.find((e) => e.key === key);
    const stale = entry && this.now - entry.at >= this.options.ttl && !entry.outcome.startsWith('error');
    if (this.#current(key) || (entry && (!stale || this.now < entry.coolUntil))) return;
    this.count.prefetches++;
    this.#start(key, entry !== undefined).held = true;
  }

  abort(call: number): void {
    if (this.calls[call] !== 'pending' || !this.#signals[call]) return;
    this.calls[call] = 'left';
    const flight = this.flights.find((f) => f.waiting.includes(call)) as ModelFlight;
    flight.waiting.splice(flight.waiting.indexOf(call), 1);
    if (flight.held || flight.waiting.length > 0) return;
    this.ends.orphaned++;
    if (this.options.whenOrphaned === 'finish') flight.held = true;
    else this.end(flight, 'aborted', 'left');
  }

  end(flight: ModelFlight | undefined, status: Exclude<ModelFlight['status'], 'flying'>, outcome: string): void {
    if (flight?.status !== 'flying') return;
    flight.status = status;
    if (status === 'rejected') this.ends.loadFailures++;
    if (status === 'timeout') this.ends.loadTimeouts++;
    for (const call of flight.waiting) this.calls[call] = outcome;
    const old = this.entries.find((e) => e.key === flight.key);
    const { ttl, errorTtl } = this.options;
    const mayStoreError = errorTtl > 0 && (!old || old.outcome.startsWith('error'));
    if (!flight.current) return;
    if ((status === 'fulfilled' && ttl > 0) || (status === 'rejected' && mayStoreError)) this.#put(flight.key, outcome);
    else if (old && flight.refresh) old.coolUntil = this.now + Math.min(1_000, ttl);
  }

  forget(key: string, abort: boolean): number {
    const flight = this.#current(key);
    const dropped = flight || this.entries.some((e) => e.key === key) ? 1 : 0;
    this.#entries = this.entries.filter((e) => e.key !== key);
    if (flight) flight.current = false;
    if (flight && abort) this.end(flight, 'aborted', 'forgotten');
    return dropped;
  }

  set(key: string, value: string): void {
    const flight = this.#current(key);
    if (flight) flight.current = false;
    this.#put(key, value);
  }

  advance(ms: number): void {
    const until = this.now + ms;
    const due = this.flights.filter((f) => f.at + this.options.loadTimeout <= until);
    for (const flight of due.sort((a, b) => a.at - b.at)) {
      this.now = Math.max(this.now, flight.at + this.options.loadTimeout);
      this.end(flight, 'timeout', 'timeout');
    }
    this.now = until;
  }

  #current(key: string): ModelFlight | undefined {
    return this.flights.find((f) => f.key === key && f.current && f.status === 'flying');
  }

  #start(key: string, refresh: boolean): ModelFlight {
    const flight: ModelFlight = {
      key,
      at: this.now,
      refresh,
      waiting: [],
      held: false,
      current: true,
      status: 'flying',
    };
    this.flights.push(flight);
    return flight;
  }

  #put(key: string, outcome: string): void {
    this.#entries = [...this.entries.filter((e) => e.key !== key), { key, outcome, at: this.now, coolUntil: 0 }];
    if (this.#entries.length <= this.options.maxEntries) return;
    this.#entries.shift();
    this.ends.evicted++;
  }
}
