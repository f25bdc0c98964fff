import type { CircuitBreaker } from '../breaker/index.js';
import { type RequestCoalescer, StreamCoalescer } from '../coalescer/index.js';
import { NEVER } from '../core/clock.js';
import { derive, markHandled, observe } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import { mapKey } from '../core/keys.js';
import * as check from '../core/options.js';
import { LazyContext } from '../core/task-context.js';
import type {
  Awaitable,
  CloseOptions,
  CloseReport,
  Executor,
  Milliseconds,
  Settled,
  TaskContext,
} from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import { checkWaitUntil } from '../core/wait-until.js';
import { verdictOf } from '../limits/reading.js';
import type { PromisePool } from '../pool/index.js';
import type { AttemptContext } from '../retry/index.js';
import type { Call } from './call.js';
import { Closing, checkTerms } from './closing.js';
import { Layers } from './layers.js';
import { type Outcome, outcomeOf, UpstreamCounters, type UpstreamMetrics } from './metrics.js';
import { makeParts, type Parts } from './parts.js';
import { StreamPassage } from './stream-passage.js';
import type { UpstreamExecuteOptions, UpstreamOptions } from './types.js';
import { UpstreamReader } from './upstream-reader.js';

const NO_OPTIONS: UpstreamExecuteOptions = Object.freeze({});

/**
 * Everything in front of one external service, in the right order: coalesce → retry → breaker → rate and slot → timeout.
 * Each layer is optional, and each refusal reaches the caller as its own error.
 *
 * - Callers who share a `key` share one sequence of attempts. Each leaves alone; the last one's leaving aborts it.
 * - A retry that sleeps holds no slot, and is no call for breaker and rate.
 * - A refusal by pool, rate or breaker is neither a bad sample nor repeated.
 * - A call that hangs is answered after `timeout`, and counts for the breaker then. Its slot is given up one more `timeout` later (the
 *   `abortGrace` of a pool that it makes).
 *
 * It closes the parts it made; parts that were handed in stay open. A pool that is handed in keeps its own `classify` and `abortGrace`,
 * a breaker, policy or coalescer its own options.
 *
 * @example
 * const llm = new Upstream({
 *   name: 'openai', timeout: 60_000,
 *   coalesce: { ttl: 5_000 }, retry: {}, breaker: {},
 *   pool: { concurrency: 8, rateLimit: { limit: 500, interval: 60_000 } },
 * });
 * const answer = await llm.execute(({ signal }) => openai.answer(question, { signal }), { key: [user, question], signal: request.signal });
 */
export class Upstream implements Executor, AsyncDisposable {
  readonly name: string;
  readonly coalescer: RequestCoalescer | undefined;
  readonly breaker: CircuitBreaker | undefined;
  /** The one that was asked for. */
  readonly pool: PromisePool | undefined;
  readonly #parts: Parts;
  readonly #timeout: Milliseconds;
  readonly #totalTimeout: Milliseconds;
  readonly #classify: UpstreamOptions['classify'];
  readonly #counters = new UpstreamCounters();
  readonly #layers: Layers;
  /** Streams without a key: each has one reader. */
  #soloStreams: StreamCoalescer | undefined;

  /** @throws {TypeError | RangeError} an option is wrong. */
  constructor(options: UpstreamOptions) {
    const given = check.object('options', options, 'an object');
    if (typeof given.name !== 'string') throw check.wrongType('name', 'a string', given.name);
    this.name = given.name;
    this.#timeout = check.duration('timeout', given.timeout, NEVER);
    this.#totalTimeout = check.duration('totalTimeout', given.totalTimeout, NEVER);
    this.#classify = given.classify;
    this.#parts = makeParts(given, this.name, this.#timeout, this.#totalTimeout);
    this.#layers = new Layers(this.name, this.#parts, this.#timeout);
    const { coalescer, breaker, pool } = this.#parts;
    this.coalescer = coalescer;
    this.breaker = breaker;
    this.pool = given.pool === undefined ? undefined : pool;
  }

  /**
   * Runs `task` through all layers. Each attempt gets its own `signal`, which aborts on the caller's abort (with a `key`: when the last
   * caller left), on a timeout and on `close`.
   *
   * @throws {RefusedError} a layer said no, with that layer's own error: the task never ran.
   * @throws {TimeoutError} `timeout` or `totalTimeout` was exceeded.
   * @throws the error of the last attempt, or `signal.reason`, untouched.
   */
  execute<T>(
    task: (context: AttemptContext) => Awaitable<T>,
    options: UpstreamExecuteOptions = NO_OPTIONS,
  ): Promise<T> {
    try {
      check.callable('task', task);
      const totalTimeout = this.#checkCall(options);
      const { signal, key, fresh, waitUntil } = options;
      const counters = this.#counters;
      const startedAt = counters.begin();
      const refusal = this.#refusal(signal);
      if (refusal !== undefined) {
        counters.end(refusal.outcome, startedAt);
        return Promise.reject(refusal.reason);
      }
      const { coalescer } = this.#parts;
      let call: Call | undefined;
      let promise: Promise<T>;
      if (key === undefined || coalescer === undefined) {
        call = this.#layers.begin(options, totalTimeout, signal);
        promise = call.run(task);
      } else {
        const load = (context: TaskContext): Promise<T> => {
          const shared = this.#layers.begin(options, totalTimeout, innerSignalOf(context));
          const loaded = shared.run(task);
          observe(loaded, shared.settled, shared.settled);
          return loaded;
        };
        promise = coalescer.execute(key, load, { signal, fresh, waitUntil }) as Promise<T>;
      }
      const outcome: Promise<T> = derive(
        promise,
        (value) => {
          counters.end('fulfilled', startedAt);
          call?.settled();
          return value;
        },
        (error) => {
          counters.end(this.#outcomeOf(error, signal), startedAt);
          call?.settled();
          // As a pool does: who closes need not look at what he cuts off.
          if (this.#layers.closing?.wasCutBy(error) === true) markHandled(outcome);
          throw error;
        },
      );
      return outcome;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * A stream through the same layers, e.g. an LLM's tokens: retried until the first chunk, its slot held until the end, shared by
   * readers with equal keys. `timeout` bounds each wait for a chunk. Nothing starts before the first `next()`.
   *
   * What breaks after the first chunk reaches the readers: nobody can take back what they have read.
   *
   * @throws {TypeError | RangeError} a wrong argument.
   */
  stream<T>(
    open: (context: AttemptContext) => Awaitable<AsyncIterable<T>>,
    options: Omit<UpstreamExecuteOptions, 'waitUntil'> = NO_OPTIONS,
  ): AsyncGenerator<T, void, undefined> {
    check.callable('open', open);
    const totalTimeout = this.#checkCall(options);
    const { signal, key, fresh } = options;
    const { sharedStreams } = this.#parts;
    const streams = key === undefined ? this.#solo : (sharedStreams as StreamCoalescer);
    const rules = {
      name: this.name,
      timeout: check.duration('timeout', options.timeout, this.#timeout),
      deadlines: this.#layers.deadlines,
      verdictOf: (result: Settled<unknown>) => verdictOf(result, this.#classify ?? classifyResult, this.name),
    };
    const passage = (context: TaskContext): AsyncGenerator<T, void, undefined> => {
      const call = this.#layers.begin(options, totalTimeout, innerSignalOf(context));
      return new StreamPassage(this.#layers, call, rules).read(open);
    };
    const reader = streams.stream(key ?? Symbol('stream'), passage, { signal, fresh });
    const refusal = () => this.#refusal(signal);
    return new UpstreamReader<T>(
      reader as AsyncGenerator<T, void, undefined>,
      this.#counters,
      signal,
      refusal,
      (error) => this.#outcomeOf(error, signal),
    );
  }

  /** How many attempts may run at once now, where there is a pool: a batch through this upstream takes it for its own. */
  get concurrency(): number | undefined {
    return this.pool?.concurrency;
  }

  /**
   * Takes nothing new, lets accepted calls finish for `grace`, waiting repeats included, then aborts. Never rejects but for wrong
   * options. A later `close` may only shorten the grace; all get the same report.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    try {
      const terms = checkTerms(options);
      // Before anything of the user's runs: that may come back to this upstream.
      this.#layers.closing ??= new Closing({
        name: this.name,
        calls: this.#layers.calls,
        makeReason: () => new ClosedError({ source: this.name }),
        closeParts: this.#closeParts,
      });
      this.#layers.closing.ask(terms);
      return this.#layers.closing.report;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `close()`: the block ends when the calls have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Of the whole and of its parts. */
  getMetrics(): UpstreamMetrics {
    const { coalescer, sharedStreams, policy, breaker } = this.#parts;
    return {
      ...this.#counters.snapshot(this.name),
      ...(coalescer && { coalescer: coalescer.getMetrics() }),
      ...(sharedStreams && { streams: sharedStreams.getMetrics() }),
      ...(policy && { retry: policy.getMetrics() }),
      ...(breaker && { breaker: breaker.getMetrics() }),
      ...(this.pool && { pool: this.pool.getMetrics() }),
    };
  }

  /** @throws {TypeError | RangeError} Returns the `totalTimeout` of the call. */
  #checkCall(options: UpstreamExecuteOptions): Milliseconds {
    const { signal, key, fresh, waitUntil, totalTimeout } = check.options('options', options);
    check.abortSignal('signal', signal);
    if (key !== undefined) {
      mapKey('key', key);
      if (this.#parts.coalescer === undefined) throw new TypeError('`key` needs an upstream with `coalesce`');
      checkWaitUntil(waitUntil);
    } else if (fresh !== undefined || waitUntil !== undefined) {
      throw new TypeError(`\`${fresh === undefined ? 'waitUntil' : 'fresh'}\` needs a \`key\``);
    }
    // Here, and not in the pool: there it would be a failed attempt.
    this.#parts.pool.check(options);
    return check.duration('totalTimeout', totalTimeout, this.#totalTimeout);
  }

  #refusal(signal: AbortSignal | undefined): { reason: unknown; outcome: 'aborted' | 'refused' } | undefined {
    if (signal?.aborted === true) return { reason: signal.reason, outcome: 'aborted' };
    if (this.#layers.closing === undefined) return undefined;
    return { reason: new ClosedError({ source: this.name }), outcome: 'refused' };
  }

  get #solo(): StreamCoalescer {
    this.#soloStreams ??= new StreamCoalescer({ name: this.name, maxBuffer: 1, idleTimeout: NEVER });
    return this.#soloStreams;
  }

  /** Ends what it made. Answers what still runs in the pool after `abortGrace`, if that is its own. */
  readonly #closeParts = async (
    isClean: boolean,
    reason: unknown,
    abortGrace: Milliseconds,
  ): Promise<readonly string[]> => {
    const { coalescer, sharedStreams, pool, ownsCoalescer, ownsPool } = this.#parts;
    // Callers who share what has just ended are to hear of it.
    const terms = isClean ? {} : { grace: 0, abortGrace: 0, reason };
    this.#layers.deadlines.clear();
    if (ownsCoalescer) void coalescer?.close(terms);
    void sharedStreams?.close(terms);
    void this.#soloStreams?.close(terms);
    if (!ownsPool) return [];
    const { left } = await pool.close({ grace: 0, abortGrace, reason });
    return left;
  };

  #outcomeOf(error: unknown, signal: AbortSignal | undefined): Outcome {
    return outcomeOf(error, signal, this.#layers.closing?.wasCutBy(error) === true);
  }
}

/** A context of ours gives its signal without a controller. */
function innerSignalOf(context: TaskContext): AbortSignal {
  return context instanceof LazyContext ? LazyContext.innerSignal(context) : context.signal;
}
