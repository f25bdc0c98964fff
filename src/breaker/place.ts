import { createPermit, type Permit } from '../core/permit.js';
import type { Milliseconds, Verdict } from '../core/types.js';
import type { Circuit } from './circuit.js';
import type { Pass } from './pass.js';

/** A call that somebody else makes. Each of its moments happens once. */
export class BreakerPlace {
  readonly #circuit: Circuit;
  readonly #pass: Pass;
  #isStarted = false;
  #isReported = false;
  #isReleased = false;

  constructor(circuit: Circuit, pass: Pass) {
    this.#circuit = circuit;
    this.#pass = pass;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  started(): void {
    if (this.#isStarted || this.#isReleased) return;
    this.#isStarted = true;
    this.#circuit.calls++;
  }

  /** `ignore` makes room for another trial call at once, others when it is released: the call may still run. */
  report(verdict: Verdict, retryAfter?: Milliseconds): void {
    if (this.#isReported || this.#isReleased) return;
    // Who tells how it went has begun.
    if (verdict !== 'ignore') this.started();
    this.#isReported = true;
    this.#circuit.report(this.#pass, verdict, retryAfter);
  }

  release(verdict: Verdict, retryAfter?: Milliseconds): void {
    if (this.#isReleased) return;
    this.report(verdict, retryAfter);
    this.#isReleased = true;
    this.#circuit.free(this.#pass);
  }
}

/** The same as a permit. */
export function permitFor(place: BreakerPlace): Permit {
  const permit = createPermit(() => place.release('ignore'), {
    onStarted: () => place.started(),
    onReport: (verdict, retryAfter) => place.report(verdict, retryAfter),
  });
  const { release } = permit;
  // Given back without a word and without a start: nothing was tried, so that is no success.
  permit.release = (verdict = place.isStarted ? 'success' : 'ignore', retryAfter) => release(verdict, retryAfter);
  return permit;
}
