import { NEVER, now } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { derive, ignore, markHandled } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import { sleep } from '../core/sleep.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable, Milliseconds, Settled } from '../core/types.js';
import { type AttemptContext, LazyAttemptContext } from './attempt-context.js';
import { Attempts, type Decision } from './attempts.js';
import { bounded, type Cut } from './bounded.js';
import { Finals } from './finals.js';
import { invoke } from './invoke.js';
import type { RetryPlan } from './plan.js';
import { givenUp, type RetryInfo } from './retry-info.js';

export interface CallLimits {
  readonly attemptTimeout: Milliseconds;
  readonly totalTimeout: Milliseconds;
  readonly signal: AbortSignal | undefined;
  /** Given wherever a timeout may be finite. */
  readonly deadlines: Deadlines | undefined;
}

const NO_LIMITS: CallLimits = {
  attemptTimeout: NEVER,
  totalTimeout: NEVER,
  signal: undefined,
  deadlines: undefined,
};

/** So many retries without a wait may follow one another before timers have their turn. */
const BREATH = 8;

type Fn<T> = (context: AttemptContext) => Awaitable<T>;

/**
 * A call that nothing can cut short. Most succeed at their first attempt, so until that fails there is no state but the context,
 * and no step between the function's promise and the caller's.
 *
 * @param begin when it began, monotonic ms. Undefined: the clock is read at the first failure. A reading costs more than all the rest.
 * @param limits of the attempts that follow; the first is expected to end by itself when their signal aborts.
 */
export function retryFreely<T>(
  fn: Fn<T>,
  plan: RetryPlan,
  begin: number | undefined,
  limits: CallLimits = NO_LIMITS,
): Promise<T> {
  const { counters, rules } = plan;
  const begunAt = givenUp.nextMoment();
  const context = new LazyAttemptContext(1, undefined);
  if (counters !== undefined) {
    counters.calls++;
    counters.attempts++;
  }
  const failed = (error: unknown): Promise<T> => {
    const finals = LazyAttemptContext.finalsOf(context);
    return new RetriedCall(fn, plan, limits, { startedAt: begin ?? now(), begunAt, finals }).goOn(error);
  };
  const isAccounted = counters !== undefined || rules.budget !== undefined;
  return derive(invoke(fn, context), isAccounted ? accountOf(plan) : undefined, failed);
}

/** What becomes of the account when the first attempt is a success. */
function accountOf<T>({ counters, rules }: RetryPlan): (value: T) => T {
  return (value) => {
    if (counters !== undefined) counters.fulfilled++;
    rules.budget?.earn();
    return value;
  };
}

export function retryWithin<T>(fn: Fn<T>, plan: RetryPlan, limits: CallLimits): Promise<T> {
  const isFree = limits.signal === undefined && limits.attemptTimeout === NEVER && limits.totalTimeout === NEVER;
  const startedAt = now();
  return isFree
    ? retryFreely(fn, plan, startedAt)
    : new RetriedCall(fn, plan, limits, { startedAt, finals: new Finals() }).run();
}

/**
 * One call with its attempts, waits and decisions. A loop, not a recursion: memory does not grow with the number of attempts.
 *
 * At each step of it the caller's abort comes first: whatever a step ended with, the head of the loop looks at the signal before
 * anything else happens.
 */
class RetriedCall<T> {
  readonly #fn: Fn<T>;
  readonly #plan: RetryPlan;
  readonly #limits: CallLimits;
  readonly #deadline: number;
  readonly #attempts: Attempts;
  readonly #finals: Finals;
  #lastError: unknown;
  /** What ended the last attempt that ran too long. */
  #timeout: TimeoutError | undefined;

  constructor(
    fn: Fn<T>,
    plan: RetryPlan,
    limits: CallLimits,
    { startedAt, begunAt, finals }: { startedAt: number; begunAt?: number | undefined; finals: Finals },
  ) {
    this.#fn = fn;
    this.#plan = plan;
    this.#limits = limits;
    this.#deadline = startedAt + limits.totalTimeout;
    this.#finals = finals;
    // A family of its own: a policy shares its rules between calls, and those may be inside one another.
    const family = begunAt ?? givenUp.nextMoment();
    this.#attempts = new Attempts(plan, this.#deadline, startedAt, { family, begunAt, finals });
  }

  /** The first attempt was made, and failed with `error`. */
  async goOn(error: unknown): Promise<T> {
    this.#lastError = error;
    await this.#waitForNext();
    return this.run();
  }

  async run(): Promise<T> {
    const { signal } = this.#limits;
    for (;;) {
      if (signal?.aborted === true) throw this.#giveUp(signal.reason, 'aborted');
      const context = new LazyAttemptContext(this.#attempts.begin(), this.#lastError, this.#finals);
      const ending = await this.#runWithin(context);
      if (ending === 'aborted') continue;
      if (ending === 'overdue') {
        this.#lastError = this.#timeout;
        if (this.#timeout?.option === 'totalTimeout') throw this.#giveUp(this.#timeout, 'deadline');
      } else if (ending.status === 'fulfilled') {
        this.#attempts.succeed();
        return ending.value;
      } else {
        this.#lastError = ending.reason;
      }
      await this.#waitForNext();
    }
  }

  /** Runs an attempt that an abort or a timeout may cut short. */
  #runWithin(context: LazyAttemptContext): Promise<Settled<T> | Cut> {
    const fn = this.#fn;
    const { signal, attemptTimeout, deadlines } = this.#limits;
    const left = this.#deadline === NEVER ? NEVER : Math.max(0, this.#deadline - now());
    const limit = Math.min(left, attemptTimeout);
    const onCut = (cut: Cut): void => {
      const { counters } = this.#plan;
      if (counters !== undefined) counters.abandoned++;
      if (cut === 'overdue') this.#timeout = this.#timeoutError(context.attempt, limit === left);
      LazyContext.abort(context, cut === 'overdue' ? this.#timeout : signal?.reason);
    };
    return bounded(fn, context, { signal, limit, deadlines }, onCut);
  }

  #timeoutError(attempt: number, ofAll: boolean): TimeoutError {
    const { attemptTimeout, totalTimeout } = this.#limits;
    const source = this.#plan.name;
    if (!ofAll) return new TimeoutError({ source, timeout: attemptTimeout, option: 'attemptTimeout' });
    const fields = { source, timeout: totalTimeout, option: 'totalTimeout' } as const;
    return new TimeoutError(attempt === 1 ? fields : { ...fields, cause: this.#lastError });
  }

  /** Returns when the next attempt may begin, or at once after an abort; throws if there is to be none. */
  async #waitForNext(): Promise<void> {
    const { signal } = this.#limits;
    const error = this.#lastError;
    const ending = await this.#decide(error);
    if (typeof ending === 'object' && ending.status === 'fulfilled' && ending.value.again) {
      const { delay } = ending.value;
      if (delay === 0 && this.#attempts.number % BREATH !== 0) return;
      await sleep(delay, signal).catch(ignore);
      // A timer may be late, by as much as somebody blocks the thread.
      if (this.#deadline !== NEVER && !this.#isAborted && now() >= this.#deadline)
        throw this.#giveUp(error, 'deadline');
      return;
    }
    // Calls beside this one that failed with the same error, under limits, are a tick behind: they decide before it is noted.
    await undefined;
    if (this.#isAborted || ending === 'aborted') return;
    if (ending === 'overdue') throw this.#giveUp(error, 'deadline');
    if (ending.status === 'rejected') throw this.#giveUp(ending.reason, 'not-retryable');
    if (!ending.value.again) throw this.#giveUp(error, ending.value.reason);
  }

  #decide(error: unknown): Awaitable<Settled<Decision> | Cut> {
    const { signal, deadlines } = this.#limits;
    try {
      const decision = this.#attempts.decide(error, { signal });
      if (!(decision instanceof Promise)) return { status: 'fulfilled', value: decision };
      const limit = this.#deadline === NEVER ? NEVER : Math.max(0, this.#deadline - now());
      if (!this.#isAborted) return bounded(() => decision, undefined, { signal, limit, deadlines }, ignore);
      markHandled(decision);
      return 'aborted';
    } catch (reason) {
      return { status: 'rejected', reason };
    }
  }

  get #isAborted(): boolean {
    return this.#limits.signal?.aborted === true;
  }

  /** Returns the error to throw. */
  #giveUp<E>(error: E, reason: RetryInfo['reason']): E {
    this.#attempts.end(reason);
    this.#attempts.giveUp(error, reason);
    return error;
  }
}
