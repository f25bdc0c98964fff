import { now } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { ignore } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import { sleep } from '../core/sleep.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable, Milliseconds, Settled } from '../core/types.js';
import type { HookSet } from '../metrics/hooks.js';
import { type AttemptContext, LazyAttemptContext } from './attempt-context.js';
import { Attempts } from './attempts.js';
import { bounded, type Cut } from './bounded.js';
import type { RetryHooks } from './hooks.js';
import { givenUp, type RetryInfo } from './retry-info.js';
import type { CheckedRules } from './rules.js';

/** What all calls of one owner share. */
export interface RetryOwner {
  readonly name: string;
  readonly rules: CheckedRules;
  readonly hooks: HookSet<RetryHooks> | undefined;
  /** Given wherever a timeout may be finite. */
  readonly deadlines: Deadlines | undefined;
}

export interface CallLimits {
  readonly attemptTimeout: Milliseconds;
  readonly totalTimeout: Milliseconds;
  readonly signal: AbortSignal | undefined;
}

const NEVER = Number.POSITIVE_INFINITY;

/**
 * One call with its attempts, waits and decisions. A loop, not a recursion: memory does not grow with the number of attempts.
 *
 * At each step of it the caller's abort comes first: whatever a step ended with, the head of the loop looks at the signal before
 * anything else happens.
 */
export class RetriedCall<T> {
  readonly #fn: (context: AttemptContext) => Awaitable<T>;
  readonly #owner: RetryOwner;
  readonly #limits: CallLimits;
  readonly #deadline: number;
  readonly #attempts: Attempts;
  #lastError: unknown;
  /** What ended the last attempt that ran too long. */
  #timeout: TimeoutError | undefined;

  constructor(fn: (context: AttemptContext) => Awaitable<T>, owner: RetryOwner, limits: CallLimits) {
    const startedAt = now();
    this.#fn = fn;
    this.#owner = owner;
    this.#limits = limits;
    this.#deadline = startedAt + limits.totalTimeout;
    // A family of its own: a policy shares its rules between calls, and those may be inside one another.
    this.#attempts = new Attempts(owner.rules, this.#deadline, startedAt, givenUp.nextMoment());
  }

  async run(): Promise<T> {
    const { signal, attemptTimeout, totalTimeout } = this.#limits;
    const unlimited = signal === undefined && attemptTimeout === NEVER && totalTimeout === NEVER;
    for (;;) {
      if (signal?.aborted === true) throw this.#giveUp(signal.reason, 'aborted');
      const attempt = this.#attempts.begin();
      const context = new LazyAttemptContext(this.#attempts, attempt, this.#lastError);
      if (unlimited) {
        const fn = this.#fn;
        try {
          return await fn(context);
        } catch (error) {
          this.#lastError = error;
        }
      } else {
        const ending = await this.#runWithin(context);
        if (ending === 'aborted') continue;
        if (ending === 'overdue') {
          this.#lastError = this.#timeout;
          if (this.#timeout?.option === 'totalTimeout') throw this.#giveUp(this.#timeout, 'deadline');
        } else {
          if (ending.status === 'fulfilled') return ending.value;
          this.#lastError = ending.reason;
        }
      }
      await this.#waitForNext(attempt);
    }
  }

  /** Runs an attempt that an abort or a timeout may cut short. */
  #runWithin(context: LazyAttemptContext): Promise<Settled<T> | Cut> {
    const fn = this.#fn;
    const { signal, attemptTimeout } = this.#limits;
    const left = Math.max(0, this.#deadline - now());
    const limit = Math.min(left, attemptTimeout);
    const onCut = (cut: Cut): void => {
      if (cut === 'overdue') this.#timeout = this.#timeoutError(context.attempt, limit === left);
      LazyContext.abort(context, cut === 'overdue' ? this.#timeout : signal?.reason);
    };
    return bounded(() => fn(context), { signal, limit, deadlines: this.#owner.deadlines }, onCut);
  }

  #timeoutError(attempt: number, ofAll: boolean): TimeoutError {
    const { attemptTimeout, totalTimeout } = this.#limits;
    const source = this.#owner.name;
    if (!ofAll) return new TimeoutError({ source, timeout: attemptTimeout, option: 'attemptTimeout' });
    const fields = { source, timeout: totalTimeout, option: 'totalTimeout' } as const;
    return new TimeoutError(attempt === 1 ? fields : { ...fields, cause: this.#lastError });
  }

  /** Returns when the next attempt may begin, or at once after an abort; throws if there is to be none. */
  async #waitForNext(attempt: number): Promise<void> {
    const { signal } = this.#limits;
    const { name, hooks, deadlines } = this.#owner;
    const error = this.#lastError;
    const bounds = { signal, limit: Math.max(0, this.#deadline - now()), deadlines };
    const ending = await bounded(() => this.#attempts.decide(error, { signal }), bounds, ignore);
    if (this.#aborted || ending === 'aborted') return;
    if (ending === 'overdue') throw this.#giveUp(error, 'deadline');
    if (ending.status === 'rejected') throw this.#giveUp(ending.reason, 'not-retryable');
    const decision = ending.value;
    if (!decision.again) throw this.#giveUp(error, decision.reason);

    const listeners = hooks?.listeners.onRetry;
    if (listeners !== undefined) hooks?.tell(listeners, { name, attempt, error, delayMs: decision.delay });
    await sleep(decision.delay, signal).catch(ignore);
    // A timer may be late, by as much as somebody blocks the thread.
    if (!this.#aborted && now() >= this.#deadline) throw this.#giveUp(error, 'deadline');
  }

  get #aborted(): boolean {
    return this.#limits.signal?.aborted === true;
  }

  /** Returns the error to throw. */
  #giveUp<E>(error: E, reason: RetryInfo['reason']): E {
    const info = this.#attempts.giveUp(error, reason);
    const { name, hooks } = this.#owner;
    const listeners = hooks?.listeners.onGiveUp;
    if (listeners !== undefined) hooks?.tell(listeners, { name, error, info });
    return error;
  }
}
