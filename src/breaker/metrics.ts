import type { BreakerState } from './hooks.js';

/** Counters count from construction, gauges tell now. */
export interface BreakerMetrics {
  readonly kind: 'breaker';
  readonly name: string;
  readonly state: BreakerState;
  /** All that asked: those that began, and those that were refused. A permit that was given back unused is none. */
  readonly calls: number;
  /** `CircuitOpenError`s. */
  readonly refused: number;
  readonly timesOpened: number;
  /** Of the window now, 0..1. It begins empty after each change of state. */
  readonly failureRate: number;
}
