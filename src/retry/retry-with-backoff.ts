import { NEVER } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { abortSignal, callable, duration } from '../core/options.js';
import type { Awaitable, Milliseconds, SignalOptions } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import type { AttemptContext } from './attempt-context.js';
import { RETRY_HOOKS, type RetryHooks } from './hooks.js';
import { planOf } from './plan.js';
import { retryFreely, retryWithin } from './retried-call.js';
import { checkRules, type RetryRules } from './rules.js';

export interface RetryTimeouts {
  /** Longest single attempt, ms, then an abort and a `TimeoutError`, which counts as a failed attempt. Default Infinity. */
  attemptTimeout?: Milliseconds | undefined;
  /** Longest whole call with all waits, ms. A wait that cannot finish in time is not started. Default Infinity. */
  totalTimeout?: Milliseconds | undefined;
}

export interface RetryOptions extends RetryRules, RetryTimeouts, SignalOptions {
  /** Observers of this call. */
  hooks?: RetryHooks | undefined;
}

const DEFAULTS = /* @__PURE__ */ planOf(/* @__PURE__ */ checkRules(undefined));

/**
 * Calls `fn` until it succeeds, `maxAttempts` is reached or the error is final. Throws the last error itself, untouched;
 * `getRetryInfo` tells the rest. An error that an inner retry gave up on is not retried again, whatever `shouldRetry` says.
 *
 * For a call that may fail for a moment and may safely be made twice. It sleeps outside of any pool: call the pool inside `fn`, so
 * that a waiting retry holds no slot.
 *
 * - The wait after attempt n is `baseDelay * factor^(n - 1)`, at most `maxDelay`, then jittered. If the error says how long to wait
 *   (`retryAfter`), that is the least, and the jitter comes on top; if that is too long (beyond the deadline, or without one beyond
 *   `maxDelay` and 60 s), the call gives up at once.
 * - An attempt that is cut short by a timeout or an abort is left alone: what it does later is swallowed.
 * - An abort is honoured at once in every state: in an attempt, while `shouldRetry` thinks, during a wait.
 * - Waits and timeouts keep the process alive while they run.
 *
 * Cost: without a signal and timeouts a call that succeeds makes no timer, no listener and no controller, and reads the clock
 * once; without any options, not at all (see `RetryInfo.elapsedMs`).
 * Retries without a wait follow at once; every eighth yields to timers first, so that an endless one does not stop the process.
 *
 * @throws the error of the last attempt.
 * @throws `signal.reason` itself, if the caller aborted.
 * @throws {TimeoutError} `totalTimeout` fell inside an attempt; `cause` is the error of the attempt before, if there was one.
 * @throws {TypeError|RangeError} a bad argument; as all else, it rejects.
 *
 * @example
 * ```ts
 * const user = await retryWithBackoff(
 *   async ({ signal, stop }) => {
 *     const response = await fetch('https://example.com/user', { signal });
 *     if (response.status === 410) throw stop(new Error('gone'));
 *     if (!response.ok) throw Object.assign(new Error('failed'), { status: response.status, headers: response.headers });
 *     return response.json();
 *   },
 *   { maxAttempts: 4, attemptTimeout: 5_000, totalTimeout: 20_000 },
 * );
 * ```
 */
export function retryWithBackoff<T>(fn: (context: AttemptContext) => Awaitable<T>, options?: RetryOptions): Promise<T> {
  try {
    callable('fn', fn);
    if (options === undefined) return retryFreely(fn, DEFAULTS, undefined);
    const rules = checkRules(options, 'options');
    const { hooks, signal, attemptTimeout, totalTimeout } = options;
    const plan = {
      ...DEFAULTS,
      rules,
      hooks: hooks === undefined ? undefined : new HookSet(DEFAULTS.name, RETRY_HOOKS, hooks),
    };
    return retryWithin(fn, plan, {
      attemptTimeout: duration('attemptTimeout', attemptTimeout, NEVER),
      totalTimeout: duration('totalTimeout', totalTimeout, NEVER),
      signal: abortSignal('signal', signal),
      deadlines: attemptTimeout === undefined && totalTimeout === undefined ? undefined : new Deadlines(),
    });
  } catch (error) {
    return Promise.reject(error);
  }
}
