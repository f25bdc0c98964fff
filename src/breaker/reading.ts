import { VERDICTS } from '../core/permit.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import { retryAfter } from '../limits/retry-after.js';
import { reportError } from '../metrics/hooks.js';

export type Classify = (result: Settled<unknown>) => Verdict;

/** What `classify` says, or the default if that throws or answers with something else. */
export function verdictOf(result: Settled<unknown>, classify: Classify, source: string): Verdict {
  try {
    const verdict = classify(result);
    if (VERDICTS.includes(verdict)) return verdict;
  } catch (error) {
    reportError(`\`classify\` of \`${source}\` failed`, error);
  }
  return classifyResult(result);
}

/** What the upstream asked for: in an error of its own, or in a `Response` that says "not now". */
export function waitIn(result: Settled<unknown>): Milliseconds | undefined {
  const source = result.status === 'rejected' ? result.reason : result.value;
  return typeof source === 'object' && source !== null ? retryAfter(source) : undefined;
}
