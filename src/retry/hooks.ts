import type { Milliseconds } from '../core/types.js';
import type { RetryInfo } from './retry-info.js';

/** Observers. They never change an outcome: one that throws or rejects is contained and reported on the console. */
export interface RetryHooks {
  /** Before each wait. */
  onRetry?: ((event: RetryEvent) => void) | undefined;
  /** Before the call rejects, whatever the reason. */
  onGiveUp?: ((event: RetryGiveUpEvent) => void) | undefined;
}

export interface RetryEvent {
  readonly name: string;
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  readonly error: unknown;
  readonly delayMs: Milliseconds;
}

export interface RetryGiveUpEvent {
  readonly name: string;
  /** What the call rejects with. */
  readonly error: unknown;
  readonly info: RetryInfo;
}

export const RETRY_HOOKS = ['onRetry', 'onGiveUp'] as const;
