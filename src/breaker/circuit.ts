import { NEVER, now } from '../core/clock.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import { type Classify, verdictOf, waitIn } from '../limits/reading.js';
import { HookSet, reportError } from '../metrics/hooks.js';
import { CircuitOpenError } from './circuit-open-error.js';
import { BREAKER_HOOKS, type BreakerHooks, type BreakerState } from './hooks.js';
import { Pass } from './pass.js';
import { BreakerPlace } from './place.js';
import type { BreakerRules } from './rules.js';
import { ResultWindow } from './window.js';

/**
 * The three states, and what moves it from one to the next:
 *
 *     closed     -> open       enough of the results in the window are bad, or enough in a row
 *     open       -> half-open  somebody looks after the time
 *     half-open  -> closed     so many trial calls succeeded
 *     half-open  -> open       one of them did not
 *
 * Invariant: a result counts only if its pass is the one of the closed state now, or one of the trial calls now. Each change of state makes
 * all passes worthless, so what was admitted before it cannot move it again.
 *
 * Time is read when a result counts, and at admission only while it is not closed.
 */
export class Circuit {
  readonly name: string;
  readonly hooks: HookSet<BreakerHooks>;
  /** Who wants to know when a new try may succeed, or when there is no more point in waiting. */
  readonly listeners = new Set<{ readonly wake: () => void }>();
  state: BreakerState = 'closed';
  calls = 0;
  refused = 0;
  timesOpened = 0;
  readonly #rules: BreakerRules;
  readonly #classify: Classify | undefined;
  readonly #window: ResultWindow;
  /** Of all calls while it is closed. */
  #pass: Pass | undefined = new Pass(this, NEVER);
  /** Trial calls, in the order in which they time out. */
  readonly #probes = new Set<Pass>();
  #successes = 0;
  #badInARow = 0;
  #openUntil = 0;
  /** One of each, for ever: V8 throws optimised code away when the last object of a class is collected, that is in any pause. */
  readonly kept: readonly unknown[] = [new LazyContext(), new BreakerPlace(this, this.#pass as Pass)];

  constructor(name: string, rules: BreakerRules, classify: Classify | undefined, hooks: BreakerHooks | undefined) {
    this.name = name;
    this.#rules = rules;
    this.#classify = classify;
    this.#window = new ResultWindow(rules.window);
    this.hooks = new HookSet(name, BREAKER_HOOKS, hooks);
  }

  admit(): Pass | CircuitOpenError {
    return this.#pass ?? this.#admitTrial(now());
  }

  /** Is it shut for now? Takes nothing. */
  get refusal(): CircuitOpenError | undefined {
    if (this.state === 'closed') return undefined;
    const time = now();
    this.look(time);
    return this.#isShut ? this.#error(time) : undefined;
  }

  countRefused({ retryAfter }: CircuitOpenError, count: number): void {
    const { name } = this;
    this.calls += count;
    this.refused += count;
    const { onRefuse } = this.hooks.listeners;
    if (onRefuse === undefined) return;
    for (let i = 0; i < count; i++) this.hooks.tell(onRefuse, { name, retryAfter });
  }

  /** What time alone has changed. */
  look(time: number): void {
    if (this.state === 'closed') this.#window.moveTo(time);
    if (this.state === 'open' && time >= this.#openUntil) this.#become('half-open');
    for (const probe of this.#probes) {
      if (probe.expiresAt > time) break;
      this.#probes.delete(probe);
    }
  }

  get failureRate(): number {
    return this.#window.rate;
  }

  /** A call that `execute` let in has its result. */
  settled(pass: Pass, result: Settled<unknown>): void {
    const isTrial = pass !== this.#pass;
    if (isTrial && !this.#probes.has(pass)) return;
    const verdict =
      this.#classify === undefined ? classifyResult(result) : verdictOf(result, this.#classify, this.name);
    // The user's function may have come back: what it did stands.
    if (isTrial ? !this.#probes.has(pass) : pass !== this.#pass) return;
    if (verdict === 'success') this.#count(pass, false, undefined);
    else if (verdict !== 'ignore') this.#count(pass, true, waitIn(result, verdict));
    if (isTrial) this.free(pass);
  }

  /** @param wait what the upstream asked for; anything but a finite number > 0 is none. */
  report(pass: Pass, verdict: Verdict, wait: Milliseconds | undefined): void {
    if (verdict === 'ignore') this.free(pass);
    else if (pass === this.#pass || this.#probes.has(pass)) this.#count(pass, verdict !== 'success', wait);
  }

  /** A trial call gives its place to another. */
  free(pass: Pass): void {
    if (this.#probes.delete(pass)) this.#wake();
  }

  open(until: number): void {
    this.#openUntil = until;
    if (this.state !== 'open') this.#become('open');
  }

  reset(): void {
    this.#become('closed');
  }

  get #isShut(): boolean {
    return this.state === 'open' || (this.state === 'half-open' && this.#probes.size >= this.#rules.probes);
  }

  #admitTrial(time: number): Pass | CircuitOpenError {
    this.look(time);
    if (this.#isShut) return this.#refuse(time);
    // A hook that was told of the change may have closed it.
    if (this.#pass !== undefined) return this.#pass;
    const probe = new Pass(this, time + this.#rules.probeTimeout);
    this.#probes.add(probe);
    return probe;
  }

  #refuse(time: number): CircuitOpenError {
    const error = this.#error(time);
    this.countRefused(error, 1);
    return error;
  }

  #error(time: number): CircuitOpenError {
    const [oldest] = this.#probes;
    const until = oldest?.expiresAt ?? this.#openUntil;
    return new CircuitOpenError({ source: this.name, retryAfter: until - time });
  }

  #count(pass: Pass, isBad: boolean, wait: Milliseconds | undefined): void {
    const time = now();
    // Nobody may have looked since it timed out.
    if (pass.expiresAt <= time) {
      this.look(time);
      return;
    }
    const window = this.#window;
    const { probes, consecutiveFailures, minCalls, failureRate, openFor } = this.#rules;
    window.add(isBad, time);
    this.#badInARow = isBad ? this.#badInARow + 1 : 0;
    if (isBad && wait !== undefined && wait > 0 && wait < NEVER) window.ask(time + wait);
    if (pass !== this.#pass) {
      if (isBad) this.open(Math.max(time + openFor, window.askedUntil));
      else if (++this.#successes >= probes) this.#become('closed');
    } else if (window.bad > 0) {
      const isOften = window.total >= minCalls && window.rate >= failureRate;
      if (isOften || this.#badInARow >= consecutiveFailures) this.open(Math.max(time + openFor, window.askedUntil));
    }
  }

  #become(to: BreakerState): void {
    const { state: from, name } = this;
    const failureRate = this.#window.rate;
    this.state = to;
    if (to === 'open') this.timesOpened++;
    this.#pass = to === 'closed' ? new Pass(this, NEVER) : undefined;
    this.#probes.clear();
    this.#successes = 0;
    this.#badInARow = 0;
    this.#window.clear();
    if (from === to) return;
    const { onStateChange } = this.hooks.listeners;
    if (onStateChange !== undefined) this.hooks.tell(onStateChange, { name, from, to, failureRate });
    this.#wake();
  }

  #wake(): void {
    for (const listener of [...this.listeners]) {
      if (!this.listeners.has(listener)) continue;
      try {
        listener.wake();
      } catch (error) {
        reportError(`A listener of \`${this.name}\` failed.`, error);
      }
    }
  }
}
