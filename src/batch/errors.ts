import { PacelineError } from '../core/errors.js';

/** A chunk's call fulfilled but its answer did not cover this item. */
export class MissingResultError extends PacelineError {
  override readonly code = 'MISSING_RESULT';
  /** How many items the call was about. */
  readonly expected: number;
  /** How many of them the answer covered; for an array: its length. */
  readonly received: number;

  constructor({ source, expected, received }: { source: string; expected: number; received: number }) {
    super(`\`${source}\` expected ${expected} results, got ${received}`, source);
    this.expected = expected;
    this.received = received;
  }

  override get name(): 'MissingResultError' {
    return 'MissingResultError';
  }
}
