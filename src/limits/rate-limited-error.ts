import { RefusedError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';

/** A rate limiter has no turn within its `maxWait`. */
export class RateLimitedError extends RefusedError {
  override readonly code = 'RATE_LIMITED';
  /** When there may be a turn, ms from now. */
  override readonly retryAfter: Milliseconds;

  constructor({ source, retryAfter }: { source: string; retryAfter: Milliseconds }) {
    super(`\`${source}\` has no turn within its \`maxWait\`; try again in ${Math.ceil(retryAfter)} ms`, source);
    this.retryAfter = retryAfter;
  }

  override get name(): 'RateLimitedError' {
    return 'RateLimitedError';
  }
}
