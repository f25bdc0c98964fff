import { abortSignal, duration, finiteDuration, limit, optionalCallable, options, wrongType } from '../core/options.js';
import { read } from '../core/read.js';
import type { Executor, Milliseconds } from '../core/types.js';
import { type RetryPlan, rulesOf } from '../retry/index.js';
import type { BatchOptions, BatchProgress } from './types.js';

const DEFAULT_CONCURRENCY = 5;

/** Options of a batch, checked. */
export interface Settings {
  /** In errors. */
  readonly source: string;
  /** Undefined: the pool's, else the default. */
  readonly concurrency: number | undefined;
  readonly pool: Executor | undefined;
  readonly delay: Milliseconds;
  readonly timeout: Milliseconds;
  readonly plan: RetryPlan | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: BatchProgress) => void) | undefined;
}

/** @throws {TypeError | RangeError} an option of another type or out of range. */
export function checkOptions(source: string, batchOptions: BatchOptions | undefined): Settings {
  const { concurrency, pool, delay, timeout, retry, signal, onProgress } = options('options', batchOptions);
  const plan = retry === undefined ? undefined : rulesOf(retry);
  return {
    source,
    concurrency: concurrency === undefined ? undefined : limit('concurrency', concurrency),
    pool: pool === undefined ? undefined : executor(pool),
    delay: finiteDuration('delay', delay, 0),
    timeout: duration('timeout', timeout, plan?.attemptTimeout ?? Number.POSITIVE_INFINITY),
    plan,
    signal: abortSignal('signal', signal),
    onProgress: optionalCallable('onProgress', onProgress),
  };
}

function executor(pool: Executor): Executor {
  if (typeof read(pool, 'execute') === 'function') return pool;
  throw wrongType('pool', 'an object with an `execute` method', pool);
}

/** Read at each start: an adaptive pool can only grow if what it is given grows with it. */
export function concurrencyOf({ concurrency, pool }: Settings): number {
  if (concurrency !== undefined) return concurrency;
  const ofPool = read(pool, 'concurrency');
  return typeof ofPool === 'number' && ofPool >= 1 ? ofPool : DEFAULT_CONCURRENCY;
}
