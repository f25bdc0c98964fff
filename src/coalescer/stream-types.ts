import type { Awaitable, Key, Milliseconds, TaskContext } from '../core/types.js';
import type { CoalescerHooks } from './hooks.js';
import type { LoadInfo } from './types.js';

export interface StreamCoalescerOptions<K extends Key = Key> {
  /** Label in metrics and errors. Default 'stream-coalescer'. */
  name?: string | undefined;
  /**
   * How long a finished stream is replayed, ms >= 0 or Infinity, from its end. Default 0: only running streams are shared. As a
   * function it is asked once at the end of each stream that may be kept; 0 and less keep nothing, and if it throws or returns
   * no number, its readers get that error in place of the end.
   */
  ttl?: Milliseconds | ((info: LoadInfo<K>) => Milliseconds) | undefined;
  /**
   * Most chunks kept of one stream, >= 1 or Infinity. A reader further behind gets `ReaderBehindError`; a new reader opens anew.
   * Default 10_000.
   */
  maxBuffer?: number | undefined;
  /** Most finished streams, >= 1 or Infinity; least recently used go first. Default 100. Running ones are never evicted. */
  maxEntries?: number | undefined;
  /**
   * Longest silence of the upstream, ms, then `TimeoutError` to all readers and the key is free again: from `open` to the first
   * chunk, and from each later request for a chunk to that chunk. A reader that does not ask is no silence. Default 60_000;
   * Infinity allowed. It never keeps the process alive.
   */
  idleTimeout?: Milliseconds | undefined;
  /**
   * When the last reader left a stream: abort it (default), or read on to its end and keep it. A stream of more than `maxBuffer`
   * chunks cannot be kept and is aborted in any case.
   */
  whenOrphaned?: 'abort' | 'finish' | undefined;
  hooks?: CoalescerHooks | undefined;
}

export interface StreamContext<K extends Key = Key> extends TaskContext {
  readonly key: K;
  /** Do not replay this stream after its end. Does nothing once it has ended. */
  noStore(): void;
}

/** Opens the stream of a key. */
export type Open<C, K extends Key> = (context: StreamContext<K>) => Awaitable<AsyncIterable<C>>;

/** How a stream ended. */
export type StreamEnd =
  | { readonly status: 'fulfilled' }
  | { readonly status: 'rejected' | 'timeout' | 'aborted'; readonly reason: unknown };
