import type { Milliseconds } from './types.js';

/** Two copies of the package (ESM and CJS, or two versions) agree on it; `instanceof` would not. */
const brand = Symbol.for('paceline.error');

/** What we know of an error from any copy of the package, before its code is compared. */
export interface BrandedError extends Error {
  readonly code: string;
  readonly source: string;
}

/** What tells our errors apart; `ErrorByCode` maps each to its class. */
export type ErrorCode =
  | 'QUEUE_FULL'
  | 'QUEUE_TIMEOUT'
  | 'CLOSED'
  | 'CLEARED'
  | 'TIMEOUT'
  | 'MISSING_RESULT'
  | 'READER_BEHIND'
  | 'RATE_LIMITED'
  | 'CIRCUIT_OPEN'
  | 'GATE_REFUSED';

/** Root of our errors. A task's own error and `signal.reason` are never wrapped in one. */
export abstract class PacelineError extends Error {
  abstract readonly code: ErrorCode;
  /** The `name` option of the primitive that threw it. */
  readonly source: string;

  constructor(message: string, source: string, options?: { cause?: unknown }) {
    super(message, options);
    this.source = source;
  }

  /** @internal */
  get [brand](): 'error' | 'refused' {
    return 'error';
  }
}

/** The task never ran: it is safe to run it elsewhere or later. Map it to HTTP 503. Never retried by default. */
export abstract class RefusedError extends PacelineError {
  /** Earliest moment at which a new try makes sense, ms from now, where known. */
  readonly retryAfter: Milliseconds | undefined;

  /** @internal */
  override get [brand](): 'refused' {
    return 'refused';
  }
}

/** The primitive was closed before the task could run. */
export class ClosedError extends RefusedError {
  override readonly code = 'CLOSED';

  constructor({ source }: { source: string }) {
    super(`\`${source}\` is closed`, source);
  }

  // A getter on the prototype, here and below: the name is then there when the stack is captured, a field would come too late.
  override get name(): 'ClosedError' {
    return 'ClosedError';
  }
}

/** It ran too long. `name` is 'TimeoutError', as the platform's. */
export class TimeoutError extends PacelineError {
  override readonly code = 'TIMEOUT';
  /** The limit that was exceeded, ms. */
  readonly timeout: Milliseconds;
  /** The option that set it. */
  readonly option: 'timeout' | 'attemptTimeout' | 'totalTimeout' | 'loadTimeout' | 'idleTimeout';

  constructor(fields: { source: string; timeout: Milliseconds; option: TimeoutError['option']; cause?: unknown }) {
    const { source, timeout, option } = fields;
    super(`\`${source}\` exceeded its \`${option}\` of ${timeout} ms`, source, fields);
    this.timeout = timeout;
    this.option = option;
  }

  override get name(): 'TimeoutError' {
    return 'TimeoutError';
  }
}

function brandOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return undefined;
  try {
    return (error as { [brand]?: unknown })[brand];
  } catch {
    return undefined; // A revoked proxy, say: not ours.
  }
}

/** Is it one of ours, from any copy of the package? */
export function isBranded(error: unknown): error is BrandedError {
  return brandOf(error) !== undefined;
}

/** The task never ran. */
export function isRefusedError(error: unknown): error is RefusedError {
  return brandOf(error) === 'refused';
}
