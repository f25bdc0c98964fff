import { NEVER } from '../core/clock.js';
import { mapKey } from '../core/keys.js';
import * as check from '../core/options.js';
import type { Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import type { Level } from './lanes.js';
import type { AcquireOptions, ItemWork, MapOptions } from './types.js';

const LEVELS = { high: 0, normal: 1, low: 2 } as const satisfies Record<NonNullable<AcquireOptions['priority']>, Level>;
const PRIORITIES = ['high', 'normal', 'low'] as const;

/** @throws {TypeError | RangeError} no such priority. */
export function levelOf(priority: AcquireOptions['priority']): Level {
  return LEVELS[check.oneOf('priority', priority, PRIORITIES, 'normal')];
}

/** What `map` and `stream` were given, checked. @throws {TypeError | RangeError} */
export function checkMap<I, R>(
  engine: PoolEngine,
  poolTimeout: Milliseconds,
  items: Iterable<I> | AsyncIterable<I>,
  work: ItemWork<I, R>,
  given: MapOptions<I> | undefined,
) {
  check.callable('work', work);
  const { timeout, priority, group, ...options } = check.options('options', given);
  if (typeof group !== 'function' && group !== undefined) mapKey('group', group);
  if (options.concurrency === undefined && engine.admission.limit === NEVER && !Array.isArray(items)) {
    throw check.wrongType('concurrency', 'given, as the pool is unlimited and `items` is no array', undefined);
  }
  return {
    engine,
    work,
    group,
    concurrency: options.concurrency === undefined ? NEVER : check.limit('concurrency', options.concurrency),
    timeout: check.duration('timeout', timeout, poolTimeout),
    level: levelOf(priority),
    signal: check.abortSignal('signal', options.signal),
  };
}
