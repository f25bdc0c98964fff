import { NEVER } from '../core/clock.js';
import * as check from '../core/options.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import type { BreakerHooks } from './hooks.js';

export interface CircuitBreakerOptions {
  /** Label in metrics and errors. Default 'breaker'. */
  name?: string | undefined;
  /** Opens at this share of bad calls (`failure`, `overload`) in the window, 0..1; 0 = at the first. Default 0.5. */
  failureRate?: number | undefined;
  /** Least settled calls in the window before the rate counts. Integer >= 1; Infinity = the rate never counts. Default 10. */
  minCalls?: number | undefined;
  /** Length of the window, ms, >= 1. A result counts for at least 95 % of it and never for longer. Default 10_000. */
  window?: Milliseconds | undefined;
  /** Also opens after this many bad calls in a row, however long that takes. Integer >= 1. Default: off. */
  consecutiveFailures?: number | undefined;
  /** How long it stays open, ms; longer where the upstream asked for it. Default 30_000. */
  openFor?: Milliseconds | undefined;
  /** Trial calls at once while half-open; it closes when so many of them succeeded. Integer >= 1. Default 1. */
  probes?: number | undefined;
  /** A trial call that takes longer frees its place for another, and its result is ignored, ms, >= 1. Default 60_000. */
  probeTimeout?: Milliseconds | undefined;
  /** What a result of `execute` tells. A function that throws counts as the default, `classifyResult`. A pool has its own. */
  classify?: ((result: Settled<unknown>) => Verdict) | undefined;
  hooks?: BreakerHooks | undefined;
}

export interface BreakerRules {
  readonly failureRate: number;
  readonly minCalls: number;
  readonly window: Milliseconds;
  readonly consecutiveFailures: number;
  readonly openFor: Milliseconds;
  readonly probes: number;
  readonly probeTimeout: Milliseconds;
}

/** @throws {TypeError | RangeError} a bad option. */
export function checkRules(options: CircuitBreakerOptions): BreakerRules {
  const { minCalls = 10, consecutiveFailures = NEVER, probes = 1 } = options;
  return {
    failureRate: check.share('failureRate', options.failureRate, 0.5),
    minCalls: check.limit('minCalls', minCalls),
    window: check.atLeast('window', options.window, 1, 10_000),
    consecutiveFailures: check.limit('consecutiveFailures', consecutiveFailures),
    openFor: check.duration('openFor', options.openFor, 30_000),
    probes: check.positiveInteger('probes', probes),
    probeTimeout: check.atLeast('probeTimeout', options.probeTimeout, 1, 60_000),
  };
}
