import { random } from '../core/clock.js';
import {
  duration,
  limit,
  oneOf,
  optionalCallable,
  options as optionsObject,
  outOfRange,
  share,
  text,
  wrongType,
} from '../core/options.js';
import type { Key, Milliseconds, WaitUntil } from '../core/types.js';
import { checkWaitUntil } from '../core/wait-until.js';
import type { LoadInfo, RequestCoalescerOptions } from './types.js';

/** The options of one coalescer, checked and complete. */
export interface CoalescerRules<V, K extends Key> {
  readonly name: string;
  readonly errorTtl: Milliseconds;
  readonly staleTtl: Milliseconds;
  readonly maxEntries: number;
  readonly loadTimeout: Milliseconds;
  readonly whenOrphaned: 'abort' | 'finish';
  readonly waitUntil: WaitUntil | undefined;
  /** A caller's own copy. Absent if all share one value. */
  copy?(value: V): V;
  /** For how long to keep it; 0 and less: not at all. May throw what the `ttl` function throws. */
  ttlOf(value: V, info: LoadInfo<K>): Milliseconds;
  /** Takes the random share off. */
  jittered(ttl: Milliseconds): Milliseconds;
}

/** @throws {TypeError | RangeError} */
export function checkRules<V, K extends Key>(given: RequestCoalescerOptions<V, K> | undefined): CoalescerRules<V, K> {
  const options = optionsObject('options', given);
  const { ttl } = options;
  const jitter = share('jitter', options.jitter, 0);
  const clone = optionalCallable('clone', options.clone);
  const constant = typeof ttl === 'function' ? undefined : checkTtl(ttl);
  const jittered = (span: Milliseconds): Milliseconds => (jitter === 0 ? span : span * (1 - jitter * random()));
  return {
    name: text('name', options.name, 'coalescer'),
    errorTtl: duration('errorTtl', options.errorTtl, 0),
    staleTtl: duration('staleTtl', options.staleTtl, 0),
    maxEntries: options.maxEntries === undefined ? 1_000 : limit('maxEntries', options.maxEntries),
    loadTimeout: duration('loadTimeout', options.loadTimeout, 60_000),
    whenOrphaned: oneOf('whenOrphaned', options.whenOrphaned, ['abort', 'finish'], 'abort'),
    waitUntil: checkWaitUntil(options.waitUntil),
    ...(clone !== undefined && { copy: clone }),
    ttlOf: (value, info) => jittered(constant ?? checkAnswer((ttl as TtlFunction<V, K>)(value, info))),
    jittered,
  };
}

type TtlFunction<V, K extends Key> = (value: V, info: LoadInfo<K>) => Milliseconds;

function checkTtl(ttl: Milliseconds | undefined): Milliseconds {
  if (ttl === undefined || typeof ttl === 'number') return duration('ttl', ttl, 0);
  throw wrongType('ttl', 'a number >= 0, Infinity or a function', ttl);
}

/** A moment in the past is no mistake: `(token) => token.expiresAt - Date.now()`. */
function checkAnswer(ttl: unknown): Milliseconds {
  if (typeof ttl !== 'number') throw wrongType('ttl(value)', 'a number', ttl);
  if (Number.isNaN(ttl)) throw outOfRange('ttl(value)', 'a number', ttl);
  return ttl;
}
