import { RefusedError } from '../core/errors.js';
import type { Milliseconds } from '../core/types.js';

/** As many tasks as `maxQueue` allows were waiting already. */
export class QueueFullError extends RefusedError {
  override readonly code = 'QUEUE_FULL';
  readonly maxQueue: number;

  constructor({ source, maxQueue }: { source: string; maxQueue: number }) {
    super(`The queue of \`${source}\` is full: ${maxQueue} may wait`, source);
    this.maxQueue = maxQueue;
  }

  override get name(): 'QueueFullError' {
    return 'QueueFullError';
  }
}

/** No slot came free within `queueTimeout`. */
export class QueueTimeoutError extends RefusedError {
  override readonly code = 'QUEUE_TIMEOUT';
  /** The limit that was exceeded, ms. */
  readonly timeout: Milliseconds;

  /** @param fields `running` and `overdue` tell why: a pool whose slots are held by overdue work says so. */
  constructor(fields: { source: string; timeout: Milliseconds; running?: number; overdue?: number }) {
    const { source, timeout, running = 0, overdue = 0 } = fields;
    const why = overdue === 0 ? '' : `: overdue work holds ${overdue} of ${running} slots (see \`abortGrace\`)`;
    super(`\`${source}\` had no slot within its \`queueTimeout\` of ${timeout} ms${why}`, source);
    this.timeout = timeout;
  }

  override get name(): 'QueueTimeoutError' {
    return 'QueueTimeoutError';
  }
}

/** `clear` took the task out of the queue. */
export class ClearedError extends RefusedError {
  override readonly code = 'CLEARED';

  constructor({ source }: { source: string }) {
    super(`The queue of \`${source}\` was cleared`, source);
  }

  override get name(): 'ClearedError' {
    return 'ClearedError';
  }
}
