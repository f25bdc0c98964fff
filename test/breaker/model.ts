import type { BreakerState } from '../../src/breaker/index.js';
import type { BreakerRules } from '../../src/breaker/rules.js';
import type { Verdict } from '../../src/core/types.js';

export interface Token {
  readonly period: number;
  readonly admittedAt: number;
}

interface Result {
  readonly at: number;
  readonly isBad: boolean;
  readonly askedUntil: number;
}

/** What a breaker is to do, from lists of everything that happened since its last change of state. */
export class NaiveBreaker {
  state: BreakerState = 'closed';
  refused = 0;
  timesOpened = 0;
  changes: string[] = [];
  #period = 0;
  #results: Result[] = [];
  /** Where the buckets of the window begin. */
  #origin = 0;
  #trials: Token[] = [];
  #successes = 0;
  #openUntil = 0;
  readonly #rules: BreakerRules;

  constructor(rules: BreakerRules) {
    this.#rules = rules;
  }

  /** A token, or `retryAfter`. */
  admit(time: number): Token | number {
    this.look(time);
    const token = { period: this.#period, admittedAt: time };
    if (this.state === 'closed') return token;
    if (this.state === 'half-open' && this.#trials.length < this.#rules.probes) {
      this.#trials.push(token);
      return token;
    }
    this.refused++;
    const oldest = this.#trials[0];
    return (oldest === undefined ? this.#openUntil : oldest.admittedAt + this.#rules.probeTimeout) - time;
  }

  report(token: Token, verdict: Verdict, wait: number | undefined, time: number): void {
    // Who comes too late does not look.
    if (token.period !== this.#period) return;
    this.look(time);
    if (verdict === 'ignore') this.free(token);
    if (verdict === 'ignore' || token.period !== this.#period) return;
    if (this.state === 'half-open' && !this.#trials.includes(token)) return;
    const isBad = verdict !== 'success';
    const alive = this.#alive(time);
    if (alive.length === 0) this.#origin = time;
    this.#results.push({ at: time, isBad, askedUntil: isBad && wait !== undefined ? time + wait : 0 });
    const counted = this.#alive(time);
    const bad = counted.filter((result) => result.isBad).length;
    const lastGood = this.#results.map((result) => result.isBad).lastIndexOf(false);
    const inARow = this.#results.length - 1 - lastGood;
    const until = Math.max(time + this.#rules.openFor, ...counted.map(({ askedUntil }) => askedUntil));
    if (this.state === 'half-open') {
      if (isBad) this.open(until);
      else if (++this.#successes === this.#rules.probes) this.#become('closed');
    } else if (
      (bad > 0 && counted.length >= this.#rules.minCalls && bad / counted.length >= this.#rules.failureRate) ||
      inARow >= this.#rules.consecutiveFailures
    ) {
      this.open(until);
    }
  }

  free(token: Token): void {
    this.#trials = this.#trials.filter((trial) => trial !== token);
  }

  open(until: number): void {
    this.#openUntil = until;
    if (this.state !== 'open') this.#become('open');
  }

  reset(): void {
    this.#become('closed');
  }

  look(time: number): void {
    if (this.state === 'open' && time >= this.#openUntil) this.#become('half-open');
    this.#trials = this.#trials.filter(({ admittedAt }) => time < admittedAt + this.#rules.probeTimeout);
  }

  failureRate(time: number): number {
    const counted = this.#alive(time);
    return counted.length === 0 ? 0 : counted.filter(({ isBad }) => isBad).length / counted.length;
  }

  /** Twenty buckets: that of now, and the nineteen before it. */
  #alive(time: number): Result[] {
    const bucketOf = (at: number) => Math.floor((at - this.#origin) / (this.#rules.window / 20));
    return this.#results.filter(({ at }) => at >= this.#origin && bucketOf(at) > bucketOf(time) - 20);
  }

  #become(to: BreakerState): void {
    if (this.state !== to) this.changes.push(`${this.state} > ${to}`);
    if (to === 'open') this.timesOpened++;
    this.state = to;
    this.#period++;
    this.#results = [];
    this.#trials = [];
    this.#successes = 0;
  }
}
