import { duration, limit, oneOf, options as optionsObject, outOfRange, text, wrongType } from '../core/options.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { StreamCoalescerOptions } from './stream-types.js';
import type { LoadInfo } from './types.js';

/** The options of one stream coalescer, checked and complete. */
export interface StreamRules<K extends Key> {
  readonly name: string;
  readonly maxBuffer: number;
  readonly maxEntries: number;
  readonly idleTimeout: Milliseconds;
  readonly whenOrphaned: 'abort' | 'finish';
  /** For how long to replay it; 0 and less: not at all. May throw what the `ttl` function throws. */
  ttlOf(info: LoadInfo<K>): Milliseconds;
}

/** @throws {TypeError | RangeError} */
export function checkStreamRules<K extends Key>(given: StreamCoalescerOptions<K> | undefined): StreamRules<K> {
  const options = optionsObject('options', given);
  const { ttl = 0, maxBuffer, maxEntries } = options;
  return {
    name: text('name', options.name, 'stream-coalescer'),
    maxBuffer: maxBuffer === undefined ? 10_000 : limit('maxBuffer', maxBuffer),
    maxEntries: maxEntries === undefined ? 100 : limit('maxEntries', maxEntries),
    idleTimeout: duration('idleTimeout', options.idleTimeout, 60_000),
    whenOrphaned: oneOf('whenOrphaned', options.whenOrphaned, ['abort', 'finish'], 'abort'),
    ttlOf: ttlRule(ttl),
  };
}

function ttlRule<K extends Key>(
  ttl: Milliseconds | ((info: LoadInfo<K>) => Milliseconds),
): (info: LoadInfo<K>) => Milliseconds {
  if (typeof ttl === 'function') return (info) => checkAnswer(ttl(info));
  if (typeof ttl !== 'number') throw wrongType('ttl', 'a number >= 0, Infinity or a function', ttl);
  const constant = duration('ttl', ttl, 0);
  return () => constant;
}

/** A moment in the past is no mistake: see `ttl` of `RequestCoalescer`. */
function checkAnswer(ttl: unknown): Milliseconds {
  if (typeof ttl !== 'number') throw wrongType('ttl(info)', 'a number', ttl);
  if (Number.isNaN(ttl)) throw outOfRange('ttl(info)', 'a number', ttl);
  return ttl;
}
