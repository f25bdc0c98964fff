import { NEVER } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import type { Gate } from '../core/gate.js';
import { mapKey } from '../core/keys.js';
import * as check from '../core/options.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import { type RateLimit, RateLimiter } from '../limits/rate-limiter.js';
import type { Admission } from './admission.js';
import type { PoolEngine } from './engine.js';
import type { Level } from './lanes.js';
import { Turnstile } from './turnstile.js';
import type { AcquireOptions, ItemWork, MapOptions, PromisePoolOptions } from './types.js';

const LEVELS = { high: 0, normal: 1, low: 2 } as const satisfies Record<NonNullable<AcquireOptions['priority']>, Level>;
const PRIORITIES = ['high', 'normal', 'low'] as const;

/** @throws {TypeError | RangeError} no such priority. */
export function levelOf(priority: AcquireOptions['priority']): Level {
  return LEVELS[check.oneOf('priority', priority, PRIORITIES, 'normal')];
}

/** @throws {TypeError | RangeError} no number >= 0, or none that the rate limits could ever admit. */
export function checkCost({ turnstile }: Admission, cost: number | undefined, group: Key | undefined): void {
  check.finiteDuration('cost', cost, 0);
  turnstile?.check({ cost, group });
}

/** @throws {TypeError | RangeError} */
export function turnstileOf(
  options: PromisePoolOptions,
  deadlines: Deadlines,
  wake: () => void,
): Turnstile | undefined {
  const { rateLimit = [], gates = [] } = options;
  const perGroup = check.options('perGroup', options.perGroup).rateLimit;
  const limiters = [rateLimit].flat().map((each: RateLimit | RateLimiter, i) => {
    if (each instanceof RateLimiter) return each;
    check.object(`rateLimit[${i}]`, each, 'a rate limit');
    return new RateLimiter({ ...each, name: `${options.name ?? 'pool'}.rateLimit` });
  });
  if (!Array.isArray(gates)) throw check.wrongType('gates', 'an array of gates', gates);
  for (const gate of gates as readonly Gate[]) check.callable('gates[].acquire', gate?.acquire);
  if (limiters.length === 0 && gates.length === 0 && perGroup === undefined) return undefined;
  return new Turnstile(limiters, gates as readonly Gate[], perGroup, deadlines, wake);
}

/** @throws {TypeError | RangeError} no limit, neither a number nor an algorithm. */
export function limitOf(concurrency: number | ConcurrencyLimit): {
  limit: number;
  adaptive: ConcurrencyLimit | undefined;
} {
  if (typeof concurrency !== 'object' || concurrency === null) {
    return { limit: check.limit('concurrency', concurrency), adaptive: undefined };
  }
  check.callable('concurrency.onSample', concurrency.onSample);
  check.positiveInteger('concurrency.min', concurrency.min);
  check.limit('concurrency.max', concurrency.max);
  return { limit: check.positiveInteger('concurrency.initial', concurrency.initial), adaptive: concurrency };
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
  const { timeout, priority, group, cost, ...options } = check.options('options', given);
  if (typeof cost !== 'function') checkCost(engine.admission, cost, typeof group === 'function' ? undefined : group);
  if (typeof group !== 'function' && group !== undefined) mapKey('group', group);
  if (options.concurrency === undefined && engine.admission.limit === NEVER && !Array.isArray(items)) {
    throw check.wrongType('concurrency', 'given, as the pool is unlimited and `items` is no array', undefined);
  }
  return {
    engine,
    work,
    group,
    cost,
    concurrency: options.concurrency === undefined ? NEVER : check.limit('concurrency', options.concurrency),
    timeout: check.duration('timeout', timeout, poolTimeout),
    level: levelOf(priority),
    signal: check.abortSignal('signal', options.signal),
  };
}
