// Who retries, each as its documentation says, with three attempts and no wait between them.
import asyncRetry from 'async-retry';
import { ConstantBackoff, retry as cockatielRetry, handleAll } from 'cockatiel';
import { retry as esToolkitRetry } from 'es-toolkit';
import { backOff } from 'exponential-backoff';
import pRetry from 'p-retry';

export const rivals = {
  'p-retry': () => (task) => pRetry(task, { retries: 2, minTimeout: 0 }),
  'async-retry': () => (task) => asyncRetry(task, { retries: 2, minTimeout: 0 }),
  'exponential-backoff': () => (task) => backOff(task, { numOfAttempts: 3, startingDelay: 0 }),
  'es-toolkit': () => (task) => esToolkitRetry(task, { retries: 2, delay: 0 }),
  cockatiel: () => {
    const policy = cockatielRetry(handleAll, { maxAttempts: 2, backoff: new ConstantBackoff(0) });
    return (task) => policy.execute(task);
  },
};

/** Ours, from a build. */
export function ours({ retryWithBackoff, RetryPolicy, RetryBudget }) {
  const rules = { baseDelay: 0 };
  const withBudget = () => new RetryPolicy({ ...rules, budget: new RetryBudget({ burst: 1e9 }) });
  return {
    retryWithBackoff: () => (task) => retryWithBackoff(task),
    'retryWithBackoff, options': () => (task) => retryWithBackoff(task, rules),
    'policy.execute': () => {
      const policy = new RetryPolicy(rules);
      return (task) => policy.execute(task);
    },
    'policy.execute, budget': () => {
      const policy = withBudget();
      return (task) => policy.execute(task);
    },
    'policy.execute, signal': () => {
      const policy = new RetryPolicy(rules);
      const options = { signal: new AbortController().signal };
      return (task) => policy.execute(task, options);
    },
  };
}
