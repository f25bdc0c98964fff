import { CircuitBreaker } from '../breaker/index.js';
import { RequestCoalescer, StreamCoalescer } from '../coalescer/index.js';
import { NEVER } from '../core/clock.js';
import { isRefusedError } from '../core/errors.js';
import * as check from '../core/options.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { PromisePool } from '../pool/index.js';
import { RetryPolicy, type RetryRules } from '../retry/index.js';
import type { UpstreamCoalesceOptions, UpstreamOptions } from './types.js';

type Classify = (result: Settled<unknown>) => Verdict;

/** Longest silence of a shared stream that nothing else bounds, ms. */
const SILENCE = 60_000;

/** The layers of one upstream: those it was handed, and those it makes of options and will close. */
export interface Parts {
  readonly coalescer: RequestCoalescer | undefined;
  /** For `stream` with a key. */
  readonly sharedStreams: StreamCoalescer | undefined;
  readonly policy: RetryPolicy | undefined;
  readonly breaker: CircuitBreaker | undefined;
  /** There is always one: an unlimited pool has timeouts and gates too. */
  readonly pool: PromisePool;
  /** Stands before a pool that was handed in; one of our own has its breaker among its gates. */
  readonly outerBreaker: CircuitBreaker | undefined;
  readonly ownsCoalescer: boolean;
  readonly ownsPool: boolean;
}

/** @throws {TypeError | RangeError} */
export function makeParts(
  options: UpstreamOptions,
  name: string,
  timeout: Milliseconds,
  totalTimeout: Milliseconds,
): Parts {
  const { coalesce, retry, pool: given } = options;
  const classify = check.optionalCallable('classify', options.classify);
  const breaker = breakerOf(options.breaker, name, classify);
  const ownsCoalescer = !(coalesce instanceof RequestCoalescer);
  if (coalesce instanceof StreamCoalescer) throw check.wrongType('coalesce', 'options or a RequestCoalescer', coalesce);
  if (coalesce !== undefined) check.options('coalesce', coalesce);
  const ownsPool = !(given instanceof PromisePool);
  return {
    coalescer:
      coalesce === undefined || !ownsCoalescer
        ? coalesce
        : coalescerOf(coalesce, name, timeout !== NEVER || totalTimeout !== NEVER),
    sharedStreams:
      coalesce === undefined
        ? undefined
        : streamsOf(ownsCoalescer ? coalesce : {}, name, silenceOf(timeout, totalTimeout)),
    policy: policyOf(retry, name, classify),
    breaker,
    pool: ownsPool ? poolOf(given, name, timeout, classify, breaker) : given,
    outerBreaker: ownsPool ? undefined : breaker,
    ownsCoalescer,
    ownsPool,
  };
}

function breakerOf(
  given: UpstreamOptions['breaker'],
  name: string,
  classify: Classify | undefined,
): CircuitBreaker | undefined {
  if (given === undefined || given instanceof CircuitBreaker) return given;
  // Before a pool that was handed in it sees the refusals of that too, and those are no results.
  const read = classify && ((result: Settled<unknown>) => (isRefusal(result) ? 'ignore' : classify(result)));
  return new CircuitBreaker({ ...check.options('breaker', given), name, classify: read });
}

function isRefusal(result: Settled<unknown>): boolean {
  return result.status === 'rejected' && isRefusedError(result.reason);
}

function poolOf(
  given: Exclude<UpstreamOptions['pool'], PromisePool>,
  name: string,
  timeout: Milliseconds,
  classify: Classify | undefined,
  breaker: CircuitBreaker | undefined,
): PromisePool {
  const options = check.options('pool', given ?? { concurrency: NEVER });
  const { gates = [], abortGrace = timeout } = options;
  // Before the other gates: what is down is not asked for further permits.
  return new PromisePool({
    ...options,
    name,
    timeout,
    classify,
    abortGrace,
    gates: breaker === undefined ? gates : [breaker, ...gates],
  });
}

function policyOf(
  given: RetryRules | RetryPolicy | undefined,
  name: string,
  classify: Classify | undefined,
): RetryPolicy | undefined {
  if (given === undefined || given instanceof RetryPolicy) return given;
  const rules = check.options('retry', given);
  const asked = check.optionalCallable('shouldRetry', rules.shouldRetry);
  if (classify === undefined && asked === undefined) return new RetryPolicy({ ...rules, name });
  return new RetryPolicy({
    ...rules,
    name,
    shouldRetry: (error, context) => {
      // It never ran, and each layer has its own way to wait.
      if (isRefusedError(error)) return false;
      const byDefault = classify === undefined ? context.byDefault : isBad(classify, error, context.byDefault);
      return asked === undefined ? byDefault : asked(error, { ...context, byDefault });
    },
  });
}

function isBad(classify: Classify, reason: unknown, byDefault: boolean): boolean {
  try {
    const verdict = classify({ status: 'rejected', reason });
    return verdict === 'failure' || verdict === 'overload';
  } catch {
    return byDefault;
  }
}

/**
 * A load ends where its attempts do. Only where nothing bounds those does it have the coalescer's own limit: a key must not be blocked
 * for ever.
 */
function coalescerOf({ maxBuffer: _, ...options }: UpstreamCoalesceOptions, name: string, isBounded: boolean) {
  return new RequestCoalescer({ ...options, name, loadTimeout: isBounded ? NEVER : undefined });
}

/** Each wait for a chunk has the upstream's `timeout`. Without one a shared stream may be silent for a minute, or for the whole call. */
function silenceOf(timeout: Milliseconds, totalTimeout: Milliseconds): Milliseconds {
  if (timeout !== NEVER) return NEVER;
  return totalTimeout === NEVER ? SILENCE : Math.max(SILENCE, totalTimeout);
}

function streamsOf(options: UpstreamCoalesceOptions, name: string, idleTimeout: Milliseconds): StreamCoalescer {
  const { ttl, maxBuffer, maxEntries, whenOrphaned } = options;
  return new StreamCoalescer({
    name,
    // There is no value of which a function could tell.
    ttl: typeof ttl === 'function' ? undefined : ttl,
    maxBuffer,
    maxEntries,
    whenOrphaned,
    idleTimeout,
  });
}
