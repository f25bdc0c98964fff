import { NEVER } from '../core/clock.js';
import { RefusedError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';

/** A circuit breaker is open, or half-open with all its trial calls out. */
export class CircuitOpenError extends RefusedError {
  override readonly code = 'CIRCUIT_OPEN';
  /**
   * Until a trial call may go, ms; while all of them are out, until the first of them times out. Infinity: opened by hand, until it is reset.
   */
  override readonly retryAfter: Milliseconds;

  constructor({ source, retryAfter }: { source: string; retryAfter: Milliseconds }) {
    const advice = retryAfter === NEVER ? ' until it is reset' : `; try again in ${Math.ceil(retryAfter)} ms`;
    super(`\`${source}\` is open${advice}`, source);
    this.retryAfter = retryAfter;
  }

  override get name(): 'CircuitOpenError' {
    return 'CircuitOpenError';
  }
}
