import { NEVER, now } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import { abortSignal, callable, duration, options, text } from '../core/options.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable, Executor, SignalOptions } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import type { AttemptContext, LazyAttemptContext } from './attempt-context.js';
import { RetryCounters, type RetryMetrics } from './counters.js';
import { RETRY_HOOKS, type RetryHooks } from './hooks.js';
import type { RetryPlan } from './plan.js';
import { retryFreely, retryWithin } from './retried-call.js';
import type { RetryTimeouts } from './retry-with-backoff.js';
import { checkRules, type RetryRules } from './rules.js';

export interface RetryPolicyOptions extends RetryRules, RetryTimeouts {
  /** In metrics, events and errors. Default 'retry'. */
  name?: string | undefined;
  hooks?: RetryHooks | undefined;
}

/**
 * Rules with a name and counters, to share between calls. Checked once, at the construction.
 *
 * It runs calls of its own (`execute`, which says and throws what `retryWithBackoff` does), and it may stand wherever there is a
 * `retry` option: its rules, budget, hooks and counters then hold there too. It owns nothing that must be closed.
 *
 * @example
 * const policy = new RetryPolicy({ name: 'search', maxAttempts: 4, totalTimeout: 20_000, budget: new RetryBudget() });
 * const hits = await policy.execute(({ signal }) => search(query, { signal }), { signal: request.signal });
 * const report = await batchAllSettled(pages, index, { retry: policy });
 */
export class RetryPolicy implements Executor {
  readonly name: string;
  /** @internal */
  readonly plan: RetryPlan;
  readonly #hooks: HookSet<RetryHooks>;
  readonly #counters = new RetryCounters();
  readonly #deadlines = new Deadlines();
  /** Nobody asks for the time before something fails. */
  readonly #isPlain: boolean;

  /** @throws {TypeError | RangeError} a bad option. */
  constructor(given?: RetryPolicyOptions) {
    const rules = checkRules(given, 'options');
    const { name, attemptTimeout, totalTimeout, hooks } = options('options', given);
    this.name = text('name', name, 'retry');
    this.#hooks = new HookSet(this.name, RETRY_HOOKS, hooks);
    this.plan = {
      name: this.name,
      rules,
      attemptTimeout: duration('attemptTimeout', attemptTimeout, NEVER),
      totalTimeout: duration('totalTimeout', totalTimeout, NEVER),
      hooks: this.#hooks,
      counters: this.#counters,
    };
    const { attemptTimeout: ofAttempt, totalTimeout: ofAll } = this.plan;
    this.#isPlain = ofAttempt === NEVER && ofAll === NEVER && rules.shouldRetry === undefined;
  }

  /**
   * Calls `fn` as `retryWithBackoff` does, under these rules. Timeouts that are given here stand in the place of the policy's.
   *
   * @throws the error of the last attempt, `signal.reason`, a {@link TimeoutError}, or a TypeError or RangeError for a bad argument: all as rejections.
   */
  execute<T>(fn: (context: AttemptContext) => Awaitable<T>, given?: SignalOptions & RetryTimeouts): Promise<T> {
    try {
      callable('fn', fn);
      const { plan } = this;
      if (given === undefined && this.#isPlain) {
        return retryFreely(fn, plan, this.#hooks.isEmpty ? undefined : now());
      }
      const { signal, attemptTimeout, totalTimeout } = options('options', given);
      return retryWithin(fn, plan, {
        signal: abortSignal('signal', signal),
        attemptTimeout: duration('attemptTimeout', attemptTimeout, plan.attemptTimeout),
        totalTimeout: duration('totalTimeout', totalTimeout, plan.totalTimeout),
        deadlines: this.#deadlines,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * For a function that ends by itself, and at once, when the signal aborts that it is given: nothing has to stand by while its first
   * attempt runs.
   *
   * @internal
   */
  run<T>(
    fn: (context: AttemptContext, signal: AbortSignal) => Awaitable<T>,
    signal: AbortSignal,
    totalTimeout = this.plan.totalTimeout,
  ): Promise<T> {
    const { plan } = this;
    const { attemptTimeout } = plan;
    if (attemptTimeout !== NEVER || totalTimeout !== NEVER) {
      return this.execute((context) => fn(context, LazyContext.innerSignal(context as LazyAttemptContext)), {
        signal,
        totalTimeout,
      });
    }
    const limits = { signal, attemptTimeout, totalTimeout, deadlines: undefined };
    const startedAt = this.#isPlain && this.#hooks.isEmpty ? undefined : now();
    return retryFreely((context) => fn(context, signal), plan, startedAt, limits);
  }

  /** Observes all calls until the returned function is called. @throws {TypeError} not an object of functions. */
  subscribe(hooks: RetryHooks): () => void {
    return this.#hooks.subscribe(hooks);
  }

  getMetrics(): RetryMetrics {
    return this.#counters.snapshot(this.name);
  }
}
