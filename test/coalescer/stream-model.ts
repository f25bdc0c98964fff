/** A naive StreamCoalescer: whole numbers of ms, plain arrays, everything looked at again at each step. */
export interface StreamModelOptions {
  readonly ttl: number;
  readonly maxBuffer: number;
  readonly maxEntries: number;
  readonly idleTimeout: number;
  readonly whenOrphaned: 'abort' | 'finish';
}

interface ModelStream {
  readonly key: string;
  readonly number: number;
  readonly readers: Set<ModelReader>;
  readonly received: string[];
  current: boolean;
  orphaned: boolean;
  /** When the upstream was asked, and has not answered. */
  askedAt: number | undefined;
  pulls: number;
  returns: number;
  status: 'running' | 'fulfilled' | 'rejected' | 'timeout' | 'aborted';
  outcome: string;
}

interface ModelReader {
  readonly key: string;
  readonly signal: boolean;
  readonly fresh: boolean;
  state: 'new' | 'reading' | 'over';
  stream?: ModelStream;
  at: number;
  failure: string | undefined;
  readonly calls: number[];
}

interface ModelEntry {
  readonly stream: ModelStream;
  readonly at: number;
}

export class StreamModel {
  now = 0;
  /** By number of call of `next`: what its promise is. */
  readonly calls: string[] = [];
  readonly readers: ModelReader[] = [];
  readonly streams: ModelStream[] = [];
  readonly count = { hits: 0, coalesced: 0, loads: 0, refused: 0 };
  readonly ends = { loadFailures: 0, loadTimeouts: 0, orphaned: 0, evicted: 0 };
  /** Least recently used first. */
  #entries: ModelEntry[] = [];

  constructor(readonly options: StreamModelOptions) {}

  get entries(): ModelEntry[] {
    this.#entries = this.#entries.filter(({ at }) => this.now - at < this.options.ttl);
    return this.#entries;
  }

  open(key: string, signal: 'none' | 'live' | 'aborted', fresh: boolean): void {
    const failure = signal === 'aborted' ? 'left' : undefined;
    this.readers.push({ key, signal: signal !== 'none', fresh, state: 'new', at: 0, failure, calls: [] });
  }

  next(reader: ModelReader): void {
    reader.calls.push(this.calls.push('pending') - 1);
    if (reader.state === 'new') this.#begin(reader);
    this.#serve();
  }

  /** @param how `failure` is what a `next()` is told once. */
  leave(reader: ModelReader, failure?: string): void {
    if (reader.state === 'over') {
      if (failure === undefined) reader.failure = undefined;
      return;
    }
    reader.state = 'over';
    reader.failure = failure;
    reader.stream?.readers.delete(reader);
    this.#serve();
    if (reader.stream && reader.stream.status === 'running' && reader.stream.readers.size === 0) {
      this.#orphan(reader.stream);
    }
    this.#serve();
  }

  abort(reader: ModelReader): void {
    if (!reader.signal || reader.failure !== undefined || reader.state === 'over') return;
    if (reader.state === 'new') reader.failure = 'left';
    else this.leave(reader, 'left');
  }

  answer(stream: ModelStream | undefined, kind: 'chunk' | 'end' | 'fail'): void {
    if (stream?.status !== 'running' || stream.askedAt === undefined) return;
    stream.askedAt = undefined;
    if (kind === 'end') this.#end(stream, 'fulfilled', 'done');
    else if (kind === 'fail') this.#end(stream, 'rejected', `error ${stream.number}`);
    else {
      stream.received.push(`${stream.number}.${stream.received.length}`);
      if (stream.received.length > this.options.maxBuffer) stream.current = false;
      for (const reader of stream.readers) if (this.#isBehind(reader)) stream.readers.delete(reader);
      this.#serve();
      if (stream.readers.size === 0) this.#orphan(stream);
    }
    this.#serve();
  }

  forget(key: string, abort: boolean): number {
    const stream = this.#current(key);
    const dropped = stream || this.entries.some((e) => e.stream.key === key) ? 1 : 0;
    this.#entries = this.entries.filter((e) => e.stream.key !== key);
    if (stream) stream.current = false;
    if (stream && abort) this.#end(stream, 'aborted', 'AbortError');
    this.#serve();
    return dropped;
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const due = this.streams
        .filter((s) => s.status === 'running' && s.askedAt !== undefined)
        .map((s) => ({ s, at: (s.askedAt as number) + this.options.idleTimeout }))
        .filter(({ at }) => at <= until)
        .sort((a, b) => a.at - b.at || a.s.number - b.s.number)[0];
      if (due === undefined) break;
      this.now = due.at;
      this.#end(due.s, 'timeout', 'timeout');
      this.#serve();
    }
    this.now = until;
  }

  #current(key: string): ModelStream | undefined {
    return this.streams.find((s) => s.key === key && s.current && s.status === 'running');
  }

  #begin(reader: ModelReader): void {
    if (reader.failure !== undefined) {
      reader.state = 'over';
      this.count.refused++;
      return;
    }
    reader.state = 'reading';
    const entry = this.entries.find((e) => e.stream.key === reader.key);
    const current = this.#current(reader.key);
    if (entry && !reader.fresh) {
      this.count.hits++;
      reader.stream = entry.stream;
      this.#entries = [...this.entries.filter((e) => e !== entry), entry];
      return;
    }
    if (current) this.count.coalesced++;
    else this.count.loads++;
    reader.stream = current ?? this.#start(reader.key);
    reader.stream.readers.add(reader);
  }

  #start(key: string): ModelStream {
    const stream: ModelStream = {
      key,
      number: this.streams.length,
      readers: new Set(),
      received: [],
      current: true,
      orphaned: false,
      askedAt: undefined,
      pulls: 0,
      returns: 0,
      status: 'running',
      outcome: '',
    };
    this.streams.push(stream);
    return stream;
  }

  #isBehind({ stream, at }: ModelReader): boolean {
    return stream !== undefined && stream.received.length - at > this.options.maxBuffer;
  }

  /** Answers what can be answered, and asks the upstreams that are wanted. */
  #serve(): void {
    for (const reader of this.readers) {
      const { stream } = reader;
      while (reader.calls.length > 0) {
        const tell = (outcome: string) => {
          this.calls[reader.calls.shift() as number] = outcome;
        };
        if (reader.state === 'over') {
          tell(reader.failure ?? 'done');
          reader.failure = undefined;
        } else if (this.#isBehind(reader)) {
          reader.state = 'over';
          reader.failure = 'behind';
        } else if (stream?.status === 'aborted') {
          reader.state = 'over';
          reader.failure = stream.outcome;
        } else if (stream && reader.at < stream.received.length) {
          tell(stream.received[reader.at++] as string);
        } else if (stream && stream.status !== 'running') {
          reader.state = 'over';
          reader.failure = stream.status === 'fulfilled' ? undefined : stream.outcome;
        } else {
          if (stream) this.#ask(stream);
          break;
        }
      }
    }
    for (const stream of this.streams) {
      const isAlone = stream.orphaned && stream.status === 'running' && stream.readers.size === 0;
      if (isAlone && stream.received.length <= this.options.maxBuffer) this.#ask(stream);
    }
  }

  #ask(stream: ModelStream): void {
    if (stream.askedAt !== undefined) return;
    stream.askedAt = this.now;
    stream.pulls++;
  }

  #orphan(stream: ModelStream): void {
    if (!stream.orphaned) this.ends.orphaned++;
    stream.orphaned = true;
    const mayFinish = this.options.whenOrphaned === 'finish' && stream.received.length <= this.options.maxBuffer;
    if (!mayFinish) this.#end(stream, 'aborted', 'left');
  }

  #end(stream: ModelStream, status: Exclude<ModelStream['status'], 'running'>, outcome: string): void {
    stream.status = status;
    stream.outcome = outcome;
    if (status === 'rejected') this.ends.loadFailures++;
    if (status === 'timeout') this.ends.loadTimeouts++;
    if (status === 'timeout' || status === 'aborted') stream.returns++;
    if (status !== 'fulfilled' || !stream.current || this.options.ttl === 0) return;
    this.#entries = [...this.entries.filter((e) => e.stream.key !== stream.key), { stream, at: this.now }];
    if (this.#entries.length <= this.options.maxEntries) return;
    this.#entries.shift();
    this.ends.evicted++;
  }
}
