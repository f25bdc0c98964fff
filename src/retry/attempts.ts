import { now } from '../core/clock.js';
import { finiteDuration, wrongType } from '../core/options.js';
import { read } from '../core/read.js';
import type { Awaitable, Milliseconds } from '../core/types.js';
import { classifyError } from '../core/verdicts.js';
import { backoffDelay } from '../limits/backoff.js';
import { retryAfter } from '../limits/retry-after.js';
import { givenUp, type RetryInfo } from './retry-info.js';
import type { CheckedRules, RetryAnswer } from './rules.js';

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

/**
 * The state of one retried call, and what is decided after each failed attempt. It sleeps nothing and calls nothing but
 * `shouldRetry`. Memory does not grow with the number of attempts.
 */
export class Attempts {
  readonly #rules: CheckedRules;
  readonly #deadline: number;
  readonly #startedAt: number;
  readonly #family: unknown;
  #attempt = 0;
  #attemptMoment = 0;
  #errors: unknown[] | undefined;
  #finals: Set<unknown> | undefined;
  #delayed = 0;
  /** The wait that was decided last, and when. */
  #wait = 0;
  #waitSince = 0;

  /**
   * @param deadline monotonic ms, or Infinity.
   * @param startedAt monotonic ms.
   * @param family is the same for calls that may fail with one and the same error while none of them is inside another, as the
   *   items of a batch: what one gives up on is then not taken for what an inner retry gave up on.
   */
  constructor(rules: CheckedRules, deadline: number, startedAt: number, family: unknown = rules) {
    this.#rules = rules;
    this.#deadline = deadline;
    this.#startedAt = startedAt;
    this.#family = family;
  }

  /** Counts an attempt; returns its number, from 1. */
  begin(): number {
    this.#delayed += this.#wait;
    this.#wait = 0;
    this.#attemptMoment = givenUp.nextMoment();
    return ++this.#attempt;
  }

  /** Makes an error final for this call; primitives too. */
  stop(error: unknown): void {
    this.#finals ??= new Set();
    this.#finals.add(error);
  }

  /**
   * What follows from the failure of the attempt begun last. Synchronous unless `shouldRetry` is not; if that throws or answers
   * nonsense, this throws or rejects too.
   */
  decide(error: unknown, failure: FailedAttempt = {}): Awaitable<Decision> {
    this.#errors ??= [];
    if (this.#errors.push(error) > KEPT_ERRORS) this.#errors.shift();
    const { signal, final, wanted } = failure;
    if (signal?.aborted === true) return giveUp('aborted');
    if (final === true || this.#isFinal(error)) return giveUp('not-retryable');

    const { maxAttempts } = this.#rules;
    const shouldRetry = wanted === true ? undefined : this.#rules.shouldRetry;
    const verdict = classifyError(error);
    const byDefault = verdict === 'failure' || verdict === 'overload';
    if (shouldRetry === undefined && !byDefault && wanted !== true) return giveUp('not-retryable');
    if (this.#attempt >= maxAttempts) return giveUp('exhausted');

    // A thrown string is no header, whatever it reads like.
    const hint = failure.retryAfter ?? (typeof error === 'string' ? undefined : retryAfter(error)) ?? 0;
    if (shouldRetry === undefined) return this.#schedule(hint, 0);
    const context = { attempt: this.#attempt, elapsedMs: this.#elapsed(now()), byDefault };
    const answer = shouldRetry(error, context);
    if (!isThenable(answer)) return this.#follow(answer, hint, signal);
    return Promise.resolve(answer).then((settled) => this.#follow(settled, hint, signal));
  }

  /** Notes for `getRetryInfo`, and for retries around this one, that this call ends with `error`. */
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
    return info;
  }

  #follow(answer: RetryAnswer, hint: Milliseconds, signal: AbortSignal | undefined): Decision {
    if (signal?.aborted === true) return giveUp('aborted');
    if (answer === false) return giveUp('not-retryable');
    if (answer === true) return this.#schedule(hint, 0);
    if (typeof answer !== 'object' || answer === null) {
      throw wrongType('shouldRetry()', 'true, false or { after }', answer);
    }
    return this.#schedule(hint, leastWait(answer));
  }

  #schedule(hint: Milliseconds, least: Milliseconds): Decision {
    const { backoff } = this.#rules;
    const time = now();
    const left = this.#deadline - time;
    const patience = left === Number.POSITIVE_INFINITY ? Math.max(backoff.maxDelay, PATIENCE) : left;
    // Coming back earlier than asked is what gets clients banned, so a hint is never shortened.
    if (hint > 0 && (hint > patience || hint === left)) return giveUp('hint-too-long');
    const delay = backoffDelay(this.#attempt, backoff, Math.max(hint, least));
    if (delay >= left) return giveUp('deadline');
    this.#wait = delay;
    this.#waitSince = time;
    return { again: true, delay };
  }

  /** Was it stopped, or did an inner retry give up on it during this attempt? Also if it was wrapped since. */
  #isFinal(error: unknown): boolean {
    let link = error;
    for (let i = 0; i < MAX_CAUSES; i++) {
      if (this.#finals?.has(link) === true) return true;
      const note = givenUp.find(link);
      if (note !== undefined && note.moment > this.#attemptMoment && note.family !== this.#family) return true;
      link = read(link, 'cause');
      if (link === undefined) break;
    }
    return false;
  }

  #elapsed(time: number): Milliseconds {
    return Math.max(0, time - this.#startedAt);
  }
}
