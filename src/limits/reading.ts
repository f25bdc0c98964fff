import { VERDICTS } from '../core/permit.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import { reportError } from '../metrics/hooks.js';
import { retryAfter } from './retry-after.js';

export type Classify = (result: Settled<unknown>) => Verdict;

/** What the user's function says, or the default if that throws or answers with something else. */
export function verdictOf(result: Settled<unknown>, classify: Classify, source: string): Verdict {
  try {
    const verdict = classify(result);
    if (VERDICTS.includes(verdict)) return verdict;
  } catch (error) {
    reportError(`\`classify\` of \`${source}\` failed`, error);
  }
  return classifyResult(result);
}

/** What the upstream asked for, ms: in an error of its own, or in a `Response` that says "not now". */
export function waitIn(result: Settled<unknown>, verdict: Verdict): Milliseconds | undefined {
  if (verdict === 'ignore') return undefined;
  const isRejected = result.status === 'rejected';
  const source = isRejected ? result.reason : verdict === 'success' ? undefined : result.value;
  return typeof source === 'object' && source !== null ? retryAfter(source) : undefined;
}
