import { now } from '../core/clock.js';
import { isRefusedError } from '../core/errors.js';
import { finiteDuration, wrongType } from '../core/options.js';
import { read } from '../core/read.js';
import type { Awaitable, Milliseconds } from '../core/types.js';
import { classifyError } from '../core/verdicts.js';
import { backoffDelay } from '../limits/backoff.js';
import { retryAfter } from '../limits/retry-after.js';
import { Finals } from './finals.js';
import type { RetryPlan } from './plan.js';
import { givenUp, type RetryInfo } from './retry-info.js';
import type { RetryAnswer } from './rules.js';

export type Decision =
  | { readonly again: true; readonly delay: Milliseconds }
  | { readonly again: false; readonly reason: RetryInfo['reason'] };

export interface FailedAttempt {
  /** The caller's. Aborted means that nothing is decided any more. */
  readonly signal?: AbortSignal | undefined;
  /** The wait that was asked for, ms, where it does not stand in the error. */
  readonly retryAfter?: Milliseconds | undefined;
  /** Whatever the rules say, there is no further attempt. */
  readonly final?: boolean | undefined;
  /** It is to be repeated: the rules are not asked whether, only how often and when. */
  readonly wanted?: boolean | undefined;
}

/** How many errors are kept. */
const KEPT_ERRORS = 10;
/** A hint up to this long is followed even if `maxDelay` is shorter, ms. */
const PATIENCE = 60_000;
/** How deep an error is looked for behind `cause`; causes may form a ring. */
const MAX_CAUSES = 16;

const giveUp = (reason: RetryInfo['reason']): Decision => ({ again: false, reason });

function isThenable<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof read(value, 'then') === 'function';
}

function leastWait(answer: Exclude<RetryAnswer, boolean>): Milliseconds {
  const { after } = answer;
  if (typeof after !== 'number') throw wrongType('shouldRetry().after', 'a number', after);
  return finiteDuration('shouldRetry().after', after, 0);
}

export interface AttemptsOptions {
  /**
   * The same for calls that may fail with one and the same error while none of them is inside another, as the items of a batch: what
   * one gives up on is then not taken for what an inner retry gave up on. Default: the plan's rules.
   */
  readonly family?: unknown;
  /** Its first attempt was begun at this moment, and counted. */
  readonly begunAt?: number | undefined;
  /** Errors that were stopped; may grow. */
  readonly finals?: Finals | undefined;
  /** Filled with those whose outcome is not counted or whose retry is due: an owner that ends early knows by it whom to `end`. */
  readonly open?: Set<Attempts> | undefined;
}

/**
 * The state of one retried call, what is decided after each failed attempt, and the account of it: the budget's tokens, the hooks
 * and counters of its policy. It sleeps nothing and calls nothing but `shouldRetry` and hooks. Memory does not grow with the
 * number of attempts.
 *
 * Its owner says `begin` before each attempt, `decide` after each failure, and in the end `succeed`, `giveUp` or `end`.
 */
export class Attempts {
  readonly #plan: RetryPlan;
  readonly #deadline: number;
  readonly #startedAt: number;
  readonly #family: unknown;
  readonly #open: Set<Attempts> | undefined;
  #finals: Finals | undefined;
  #attempt = 0;
  #attemptMoment = 0;
  #errors: unknown[] | undefined;
  #delayed = 0;
  /** The wait that was decided last, and when. */
  #wait = 0;
  #waitSince = 0;
  /** A retry was decided and has not begun: a token of the budget is held for it, if there is one. */
  #isRetryDue = false;
  #isCounted = false;
  #isOver = false;

  /**
   * @param deadline monotonic ms, or Infinity.
   * @param startedAt monotonic ms.
   */
  constructor(plan: RetryPlan, deadline: number, startedAt: number, options: AttemptsOptions = {}) {
    const { family = plan.rules, begunAt, finals, open } = options;
    this.#plan = plan;
    this.#deadline = deadline;
    this.#startedAt = startedAt;
    this.#family = family;
    this.#finals = finals;
    this.#open = open;
    open?.add(this);
    if (begunAt !== undefined) {
      this.#attempt = 1;
      this.#attemptMoment = begunAt;
    } else if (plan.counters !== undefined) {
      plan.counters.calls++;
    }
  }

  /** Of the attempt begun last; 0 before the first. */
  get number(): number {
    return this.#attempt;
  }

  /** Counts an attempt; returns its number, from 1. */
  begin(): number {
    const { counters } = this.#plan;
    this.#attemptMoment = givenUp.nextMoment();
    this.#attempt++;
    if (counters !== undefined) counters.attempts++;
    if (this.#isRetryDue) {
      counters?.retried(this.#wait, this.#waitSince);
      this.#delayed += this.#wait;
      this.#wait = 0;
      this.#isRetryDue = false;
    }
    return this.#attempt;
  }

  /** Makes an error final for this call; primitives too. */
  stop(error: unknown): void {
    this.#finals ??= new Finals();
    this.#finals.add(error);
  }

  /**
   * What follows from the failure of the attempt begun last. Synchronous unless `shouldRetry` is not; if that throws or answers
   * nonsense, this throws or rejects too.
   */
  decide(error: unknown, failure: FailedAttempt = {}): Decision | Promise<Decision> {
    this.#errors ??= [];
    if (this.#errors.push(error) > KEPT_ERRORS) this.#errors.shift();
    const { signal, final, wanted } = failure;
    if (signal?.aborted === true) return giveUp('aborted');
    if (final === true || this.#isFinal(error)) return giveUp('not-retryable');

    const { rules } = this.#plan;
    const shouldRetry = wanted === true ? undefined : rules.shouldRetry;
    const verdict = classifyError(error);
    const byDefault = verdict === 'failure' || verdict === 'overload';
    if (shouldRetry === undefined && !byDefault && wanted !== true) return giveUp('not-retryable');
    if (this.#attempt >= rules.maxAttempts) return giveUp('exhausted');

    // A thrown string is no header, whatever it reads like.
    const hint = failure.retryAfter ?? (typeof error === 'string' ? undefined : retryAfter(error)) ?? 0;
    if (shouldRetry === undefined) return this.#schedule(error, hint, 0);
    const context = { attempt: this.#attempt, elapsedMs: this.#elapsed(now()), byDefault };
    const answer = shouldRetry(error, context);
    if (!isThenable(answer)) return this.#follow(answer, error, hint, signal);
    return Promise.resolve(answer).then((settled) => this.#follow(settled, error, hint, signal));
  }

  /** An attempt was a success. */
  succeed(): void {
    const { counters, rules } = this.#plan;
    rules.budget?.earn();
    if (!this.#count() || counters === undefined) return;
    counters.fulfilled++;
    if (this.#attempt > 1) counters.recovered++;
  }

  /**
   * This call, or a part of it, ends with `error`: notes that for `getRetryInfo` and for retries around this one, and tells
   * `onGiveUp`. A retry of other parts may still be due.
   */
  giveUp(error: unknown, reason: RetryInfo['reason']): RetryInfo {
    const time = now();
    const info = {
      attempts: this.#attempt,
      elapsedMs: this.#elapsed(time),
      // The last wait may have been cut short.
      delayedMs: this.#delayed + Math.min(this.#wait, Math.max(0, time - this.#waitSince)),
      reason,
      errors: this.#errors === undefined ? [] : [...this.#errors],
    };
    givenUp.add(error, info, this.#family);
    const { name, hooks, counters } = this.#plan;
    if (this.#count()) counters?.gaveUp(reason);
    const listeners = hooks?.listeners.onGiveUp;
    if (listeners !== undefined) hooks?.tell(listeners, { name, error, info });
    return info;
  }

  /** There will be no further attempt: gives back the token of one that was due. Nothing is decided any more. */
  end(reason: RetryInfo['reason']): void {
    const { counters, rules } = this.#plan;
    if (this.#isRetryDue) rules.budget?.giveBack();
    this.#isRetryDue = false;
    this.#isOver = true;
    if (this.#count()) counters?.gaveUp(reason);
  }

  /** Each call has one outcome. True: this is the first that is known. */
  #count(): boolean {
    const isFirst = !this.#isCounted;
    this.#isCounted = true;
    // Part of a chunk may have given up while the rest is to be sent again.
    if (!this.#isRetryDue) this.#open?.delete(this);
    return isFirst;
  }

  #follow(answer: RetryAnswer, error: unknown, hint: Milliseconds, signal: AbortSignal | undefined): Decision {
    // It may be over since: `shouldRetry` was slow.
    if (signal?.aborted === true || this.#isOver) return giveUp('aborted');
    if (answer === false) return giveUp('not-retryable');
    if (answer === true) return this.#schedule(error, hint, 0);
    if (typeof answer !== 'object' || answer === null) {
      throw wrongType('shouldRetry()', 'true, false or { after }', answer);
    }
    return this.#schedule(error, hint, leastWait(answer));
  }

  #schedule(error: unknown, hint: Milliseconds, least: Milliseconds): Decision {
    const { name, rules, hooks } = this.#plan;
    const { backoff, budget } = rules;
    const attempt = this.#attempt;
    const time = now();
    const left = this.#deadline - time;
    const patience = left === Number.POSITIVE_INFINITY ? Math.max(backoff.maxDelay, PATIENCE) : left;
    // Coming back earlier than asked is what gets clients banned, so a hint is never shortened.
    if (hint > 0 && (hint > patience || hint === left)) return giveUp('hint-too-long');
    const delay = backoffDelay(attempt, backoff, Math.max(hint, least));
    if (delay >= left) return giveUp('deadline');
    // Failed items of one chunk are sent again in one call, which takes one token and the longest of their waits.
    if (!this.#isRetryDue && budget?.take(time) === false) return giveUp('budget');
    this.#isRetryDue = true;
    this.#open?.add(this);
    this.#wait = Math.max(this.#wait, delay);
    this.#waitSince = time;
    const listeners = hooks?.listeners.onRetry;
    if (listeners !== undefined) hooks?.tell(listeners, { name, attempt, error, delayMs: delay });
    return { again: true, delay };
  }

  /** Was it stopped, or did an inner retry give up on it during this attempt? Also if it was wrapped since. */
  #isFinal(error: unknown): boolean {
    let link = error;
    for (let i = 0; i < MAX_CAUSES; i++) {
      if (this.#finals?.has(link) === true) return true;
      const note = givenUp.find(link);
      // A refusal may be shared by all who were refused at once. Nothing ran, so there is nothing that would multiply.
      const isGivenUp = note !== undefined && note.moment > this.#attemptMoment && note.family !== this.#family;
      if (isGivenUp && !isRefusedError(link)) return true;
      link = read(link, 'cause');
      if (link === undefined) break;
    }
    return false;
  }

  #elapsed(time: number): Milliseconds {
    return Math.max(0, time - this.#startedAt);
  }
}
