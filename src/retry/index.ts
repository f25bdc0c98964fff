export type { AttemptContext } from './attempt-context.js';
export type { RetryMetrics } from './counters.js';
export type { RetryEvent, RetryGiveUpEvent, RetryHooks } from './hooks.js';
export { isPolicy, type RetryPlan, rulesOf } from './plan.js';
export { getRetryInfo, type RetryInfo } from './retry-info.js';
export { RetryPolicy, type RetryPolicyOptions } from './retry-policy.js';
export { type RetryOptions, type RetryTimeouts, retryWithBackoff } from './retry-with-backoff.js';
export type { RetryContext, RetryRules } from './rules.js';
