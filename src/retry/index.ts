export type { AttemptContext } from './attempt-context.js';
export type { RetryEvent, RetryGiveUpEvent, RetryHooks } from './hooks.js';
export { getRetryInfo, type RetryInfo } from './retry-info.js';
export { type RetryOptions, type RetryTimeouts, retryWithBackoff } from './retry-with-backoff.js';
export type { RetryContext, RetryRules } from './rules.js';
