import type { CircuitBreaker } from '../breaker/index.js';
import { AbortSubscription, InnerSignal } from '../core/abort.js';
import { ignore, observe } from '../core/deferred.js';
import type { Place } from '../core/gate.js';
import type { TaskContext } from '../core/types.js';
import type { ExecuteOptions, PromisePool } from '../pool/index.js';
import { ShutWatch } from '../pool/shut-watch.js';

/** One call at the door, as the pool hears of it: it follows its caller's signal. */
class Submission extends InnerSignal {
  isWaiting = true;
  readonly #subscription: AbortSubscription | undefined;

  constructor(signal: AbortSignal) {
    super();
    if (signal.aborted) this.abort(signal.reason);
    else this.#subscription = new AbortSubscription(signal, { onAbort: (reason) => this.abort(reason) });
  }

  unfollow(): void {
    this.#subscription?.end();
  }
}

/**
 * Breaker, then pool, where the pool was handed in: it serves others too, so the breaker cannot be one of its gates. The breaker is asked
 * when a call is submitted; if it opens before the call has its slot, the call leaves the pool's queue with that refusal.
 */
export class Door {
  readonly #breaker: CircuitBreaker;
  readonly #pool: PromisePool;
  readonly #waiting = new Set<Submission>();
  readonly #watch: ShutWatch;

  constructor(breaker: CircuitBreaker, pool: PromisePool) {
    this.#breaker = breaker;
    this.#pool = pool;
    this.#watch = new ShutWatch([breaker], (reason) => {
      const waiting = [...this.#waiting];
      for (const submission of waiting) submission.abort(reason);
      return waiting.length;
    });
  }

  execute<T>(task: (context: TaskContext) => unknown, options: ExecuteOptions, signal: AbortSignal): Promise<T> {
    const submission = new Submission(signal);
    const until = submission.asSignal;
    const unfollow = (): void => submission.unfollow();
    const enter = (context: TaskContext): T => {
      this.#entered(submission);
      return task(context) as T;
    };
    const submit = (): Promise<T> => {
      const promise = this.#pool.execute(enter, { ...options, signal: until });
      // A refusal by the pool is no result: whatever the breaker's `classify` would say, the call has left.
      observe(promise, ignore, (error) => {
        if (submission.isWaiting) submission.abort(error);
      });
      return this.#queued(submission, promise);
    };
    const outcome = this.#breaker.execute(submit, { signal: until });
    observe(outcome, unfollow, unfollow);
    return outcome;
  }

  /** The right of both, by hand. */
  async acquire(options: ExecuteOptions, signal: AbortSignal): Promise<Place & { readonly signal: AbortSignal }> {
    const pass = this.#breaker.acquire();
    const submission = new Submission(signal);
    try {
      const slot = await this.#queued(submission, this.#pool.acquire({ ...options, signal: submission.asSignal }));
      this.#entered(submission);
      return {
        signal: slot.signal,
        started: () => {
          pass.started();
          slot.started();
        },
        report: (verdict, retryAfter) => {
          pass.report(verdict, retryAfter);
          slot.report(verdict, retryAfter);
        },
        release: (verdict, retryAfter) => {
          pass.release(verdict, retryAfter);
          slot.release(verdict, retryAfter);
        },
      };
    } catch (error) {
      this.#entered(submission);
      pass.release('ignore');
      throw error;
    } finally {
      submission.unfollow();
    }
  }

  #queued<R>(submission: Submission, promise: Promise<R>): Promise<R> {
    if (!submission.isWaiting || submission.aborted) return promise;
    this.#waiting.add(submission);
    this.#watch.begin();
    const leave = (): void => this.#entered(submission);
    promise.then(leave, leave);
    return promise;
  }

  #entered(submission: Submission): void {
    submission.isWaiting = false;
    if (this.#waiting.delete(submission) && this.#waiting.size === 0) this.#watch.end();
  }
}
