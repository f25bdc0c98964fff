import type { MissingResultError } from '../batch/errors.js';
import type { CircuitOpenError } from '../breaker/circuit-open-error.js';
import type { ReaderBehindError } from '../coalescer/reader-behind-error.js';
import { type ClosedError, type ErrorCode, isBranded, type TimeoutError } from '../core/errors.js';
import type { GateRefusedError } from '../core/gate.js';
import type { RateLimitedError } from '../limits/rate-limited-error.js';
import type { ClearedError, QueueFullError, QueueTimeoutError } from '../pool/errors.js';

/** Every error there is, by its literal code. */
export interface ErrorByCode {
  QUEUE_FULL: QueueFullError;
  QUEUE_TIMEOUT: QueueTimeoutError;
  CLOSED: ClosedError;
  CLEARED: ClearedError;
  TIMEOUT: TimeoutError;
  MISSING_RESULT: MissingResultError;
  READER_BEHIND: ReaderBehindError;
  RATE_LIMITED: RateLimitedError;
  CIRCUIT_OPEN: CircuitOpenError;
  GATE_REFUSED: GateRefusedError;
}

/**
 * Is it one of ours, from any copy of the package? Without a code it narrows to the union of all (`switch (error.code)`),
 * with one to that class. Never throws, whatever was caught.
 *
 * @example
 * try {
 *   return await pool.execute(task);
 * } catch (error) {
 *   if (isPacelineError(error, 'QUEUE_FULL')) return busy(error.maxQueue);
 *   throw error;
 * }
 */
export function isPacelineError(error: unknown): error is ErrorByCode[ErrorCode];
export function isPacelineError<C extends ErrorCode>(error: unknown, code: C): error is ErrorByCode[C];
export function isPacelineError(error: unknown, code?: ErrorCode): boolean {
  return isBranded(error) && (code === undefined || error.code === code);
}
