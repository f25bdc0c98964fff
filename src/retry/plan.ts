import { NEVER } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import type { HookSet } from '../metrics/hooks.js';
import type { RetryCounters } from './counters.js';
import type { RetryHooks } from './hooks.js';
import type { RetryPolicy } from './retry-policy.js';
import { type CheckedRules, checkRules, type RetryRules } from './rules.js';

/** What calls have in common: those of a policy, the items of a batch. */
export interface RetryPlan {
  /** In events and errors. */
  readonly name: string;
  readonly rules: CheckedRules;
  readonly attemptTimeout: Milliseconds;
  readonly totalTimeout: Milliseconds;
  readonly hooks: HookSet<RetryHooks> | undefined;
  /** Kept by policies only. */
  readonly counters: RetryCounters | undefined;
}

const NAME = 'retry';

/** Plain rules belong to nobody. */
export function planOf(rules: CheckedRules): RetryPlan {
  return { name: NAME, rules, attemptTimeout: NEVER, totalTimeout: NEVER, hooks: undefined, counters: undefined };
}

/** By shape: bundles without a policy stay without one, and it may be of another copy of the package. */
export function isPolicy(retry: RetryRules | RetryPolicy | undefined): retry is RetryPolicy {
  return typeof retry === 'object' && retry !== null && 'plan' in retry;
}

/**
 * What stands behind a `retry` option: rules alone, or a policy with its budget, timeouts, hooks and counters. `Attempts` does the
 * accounting for all of it.
 *
 * @throws {TypeError | RangeError} as `checkRules`.
 */
export function rulesOf(retry: RetryRules | RetryPolicy | undefined): RetryPlan {
  return isPolicy(retry) ? retry.plan : planOf(checkRules(retry));
}
