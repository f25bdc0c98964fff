import { RefusedError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';

/** The breaker is open, or all its probes are out: the task never ran. */
export class CircuitOpenError extends RefusedError {
  override readonly code = 'CIRCUIT_OPEN';
  override readonly retryAfter: Milliseconds;

  constructor({ source, retryAfter }: { source: string; retryAfter: Milliseconds }) {
    super(`\`${source}\` is open for another ${Math.ceil(retryAfter)} ms`, source);
    this.retryAfter = retryAfter;
  }

  override get name(): 'CircuitOpenError' {
    return 'CircuitOpenError';
  }
}
