import { NEVER, now } from '../core/clock.js';
import type { RefusedError } from '../core/errors.js';
import type { AcquireRequest, LocalGate } from '../core/gate.js';
import * as check from '../core/options.js';
import type { Permit } from '../core/permit.js';
import type { Executor, Milliseconds, SignalOptions, Task } from '../core/types.js';
import { Circuit } from './circuit.js';
import { CircuitOpenError } from './circuit-open-error.js';
import { guarded, guardedUntil } from './guarded-call.js';
import type { BreakerHooks, BreakerState } from './hooks.js';
import type { BreakerMetrics } from './metrics.js';
import { BreakerPlace, permitFor } from './place.js';
import { type CircuitBreakerOptions, checkRules } from './rules.js';

/**
 * Stops calling an upstream that is down. No timers: states change when someone looks.
 *
 * Use one for each upstream, for as long as the app lives: around calls (`execute`), or as a gate of a pool (`gates: [breaker]`), where a call
 * that hangs counts at its timeout, though it still holds its slot.
 *
 * - **Closed**, all calls go. It opens when `failureRate` of the results in the last `window` ms are bad and there are `minCalls` of them, or
 *   after `consecutiveFailures`. Only calls that have settled or timed out count, in the numerator and in the denominator.
 * - **Open**, calls are refused with `CircuitOpenError`: for `openFor`, or longer if a result in the window asked for it by Retry-After,
 *   however long that is.
 * - **Half-open**, `probes` trial calls go at once, all others are refused: nobody waits. When `probes` of them succeeded it closes; one that
 *   fails opens it again. One that is aborted, or takes longer than `probeTimeout`, tells nothing and makes room for another.
 *
 * Verdicts: `success`, `failure` and `overload` (both bad) count; `ignore` (the caller's abort, a refusal of ours) does not. Each change of
 * state begins a new, empty window, and results of calls from before it are ignored.
 *
 * Cost: O(1) a call, fixed memory (about 2.5 kB a breaker), one look at the clock for each result.
 *
 * @example
 * const breaker = new CircuitBreaker({ name: 'openai', consecutiveFailures: 5 });
 * const answer = await breaker.execute(({ signal }) => fetch(url, { signal }), { signal });
 */
export class CircuitBreaker implements LocalGate, Executor {
  readonly name: string;
  readonly #circuit: Circuit;

  /** @throws {TypeError | RangeError} a bad option. */
  constructor(options?: CircuitBreakerOptions) {
    const given = check.options('options', options);
    this.name = check.text('name', given.name, 'breaker');
    const classify = check.optionalCallable('classify', given.classify);
    this.#circuit = new Circuit(this.name, checkRules(given), classify, given.hooks);
  }

  /** The state now. A look makes it half-open once its time has come, and the hooks are told then. */
  get state(): BreakerState {
    if (this.#circuit.state !== 'closed') this.#circuit.look(now());
    return this.#circuit.state;
  }

  /**
   * Runs `task` at once, or not at all. Settles as it does.
   *
   * An abort of `signal` rejects at once with its reason, aborts the task's own signal, and counts nothing; what the task does later is
   * ignored.
   *
   * @throws {CircuitOpenError} with `retryAfter`; the task never ran.
   */
  execute<T>(task: Task<T>, options?: SignalOptions): Promise<T> {
    try {
      check.callable('task', task);
      const signal =
        options === undefined ? undefined : check.abortSignal('signal', check.options('options', options).signal);
      if (signal?.aborted === true) return Promise.reject(signal.reason);
      const circuit = this.#circuit;
      const pass = circuit.admit();
      if (pass instanceof CircuitOpenError) return Promise.reject(pass);
      circuit.calls++;
      return signal === undefined ? guarded(task, pass) : guardedUntil(task, pass, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The right to make one call by yourself: `report` or `release` it with the verdict. Given back without a verdict and without `started()` it
   * counts as unused.
   *
   * @throws {CircuitOpenError} synchronously.
   * @throws `signal.reason` itself, if it has aborted.
   */
  acquire(request?: AcquireRequest): Permit {
    const signal = check.abortSignal('signal', check.options('request', request).signal);
    if (signal?.aborted === true) throw signal.reason;
    const answer = this.tryAcquire(request);
    if (answer instanceof CircuitOpenError) throw answer;
    return answer as Permit;
  }

  /** The same; the refusal is returned. Never a number: nobody waits for a breaker. */
  tryAcquire(request?: AcquireRequest): Permit | RefusedError | Milliseconds {
    const place = this.tryPlace(request);
    return place instanceof BreakerPlace ? permitFor(place) : place;
  }

  /**
   * The same, without a permit around the place: a pool has one of its own.
   *
   * @internal
   */
  tryPlace(request?: AcquireRequest): BreakerPlace | CircuitOpenError {
    check.options('request', request);
    const pass = this.#circuit.admit();
    return pass instanceof CircuitOpenError ? pass : new BreakerPlace(this.#circuit, pass);
  }

  /**
   * `wake` is called after each change of state, and when a trial call has made room for another. Returns the function that ends it. Time
   * alone wakes nobody: there are no timers.
   */
  onChange(wake: () => void): () => void {
    const { listeners } = this.#circuit;
    const listener = { wake: check.callable('wake', wake) };
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /**
   * Told of each change: whoever listens asks for the reason.
   *
   * @internal
   */
  onShut(tell: () => void): () => void {
    return this.onChange(tell);
  }

  /**
   * Counted apart: whoever asks may refuse many with it, or none.
   *
   * @internal
   */
  shutReason(): CircuitOpenError | undefined {
    return this.#circuit.refusal;
  }

  /** @internal */
  countRefused(reason: CircuitOpenError, count: number): void {
    this.#circuit.countRefused(reason, count);
  }

  /**
   * Opens by hand, for `duration` ms or until `reset`. Then it goes on as if it had opened by itself. If it is open already, this replaces
   * the time it had left.
   *
   * @throws {TypeError | RangeError} not a number >= 0 or Infinity.
   */
  forceOpen(duration?: Milliseconds): void {
    const time = now();
    const until = time + check.duration('duration', duration, NEVER);
    // It may have been over: then this opens it anew.
    this.#circuit.look(time);
    this.#circuit.open(until);
  }

  /** Closes by hand and forgets all results, those of calls under way included. */
  reset(): void {
    this.#circuit.reset();
  }

  /** Adds observers. Returns the function that ends it. @throws {TypeError} not an object of functions. */
  subscribe(hooks: BreakerHooks): () => void {
    return this.#circuit.hooks.subscribe(hooks);
  }

  /** A look, too: see `state`. */
  getMetrics(): BreakerMetrics {
    const circuit = this.#circuit;
    circuit.look(now());
    const { state, calls, refused, timesOpened, failureRate } = circuit;
    return { kind: 'breaker', name: this.name, state, calls, refused, timesOpened, failureRate };
  }
}
