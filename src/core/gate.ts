import { RefusedError } from './errors.js';
import type { Permit } from './permit.js';
import type { Awaitable, Key, Milliseconds, SignalOptions } from './types.js';

export interface AcquireRequest extends SignalOptions {
  /** Units of a rate limit that counts cost, e.g. tokens. Number >= 0. Where one does, leaving it out is a TypeError. */
  cost?: number | undefined;
  /** Whose work it is: tenant, host, channel. */
  group?: Key | undefined;
}

/**
 * Whatever admits work: pool, rate limiter, breaker, a semaphore in Redis. Answer at once (return a permit, or throw) or later
 * (a promise). Make permits with `createPermit`, refuse with `GateRefusedError`; `gateLaws` from `paceline/testing` checks your own.
 */
export interface Gate {
  acquire(request?: AcquireRequest): Awaitable<Permit>;
}

/** A gate of this process: it never makes a pool hold a slot while it waits. `RateLimiter`, `CircuitBreaker` and `PromisePool` are. */
export interface LocalGate extends Gate {
  /** A permit; or the refusal to reject with; or ms until it is worth asking again (Infinity: when `onChange` calls). Never waits. */
  tryAcquire(request?: AcquireRequest): Permit | RefusedError | Milliseconds;
  /** `wake` is called when a new try may succeed. Returns the function that ends it. */
  onChange(wake: () => void): () => void;
}

/** What whoever lets work in needs of a permit. */
export type Place = Pick<Permit, 'started' | 'report' | 'release'>;

/** What gates of ours tell each other. Not by symbols: a class with such members would stay in every bundle. */
export interface OwnGate {
  /** Is it shut for now? Answers why, and gives no permit to tell. */
  shutReason?(): RefusedError | undefined;
  /** So many were refused with that reason. */
  countRefused?(reason: RefusedError, count: number): void;
  /** Calls `tell` each time it shuts. Returns the function that ends it. */
  onShut?(tell: () => void): () => void;
  /** `tryAcquire` with less than a permit, for who uses each of its moments once. */
  tryPlace?(request: AcquireRequest): Place | RefusedError | Milliseconds;
  /** It cannot answer at once: one of its own gates is beyond this process. */
  readonly isRemote?: boolean;
}

/** For gates of your own: `throw new GateRefusedError('maintenance', { retryAfter: 60_000 })`. */
export class GateRefusedError extends RefusedError {
  override readonly code = 'GATE_REFUSED';
  override readonly retryAfter: Milliseconds | undefined;

  /** @param fields `source` is the gate's name, default 'gate'. */
  constructor(
    message: string,
    fields: { source?: string | undefined; retryAfter?: Milliseconds | undefined; cause?: unknown } = {},
  ) {
    super(message, fields.source ?? 'gate', 'cause' in fields ? { cause: fields.cause } : {});
    this.retryAfter = fields.retryAfter;
  }

  override get name(): 'GateRefusedError' {
    return 'GateRefusedError';
  }
}
