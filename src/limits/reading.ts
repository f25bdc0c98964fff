import { ignore, observe } from '../core/deferred.js';
import { VERDICTS } from '../core/permit.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import { reportError } from '../metrics/hooks.js';
import { retryAfter } from './retry-after.js';

export type Classify = (result: Settled<unknown>) => Verdict;

/**
 * What the user's function says, or the default if that throws or answers with something else. A promise is something else: its
 * verdict would come too late.
 */
export function verdictOf(result: Settled<unknown>, classify: Classify, source: string): Verdict {
  try {
    const verdict = classify(result);
    if (VERDICTS.includes(verdict)) return verdict;
    // An async function by mistake: its rejection must not end the process.
    if (typeof (verdict as { then?: unknown } | null | undefined)?.then === 'function') {
      observe(Promise.resolve(verdict), ignore, ignore);
      reportError(
        `\`classify\` of \`${source}\` must answer at once`,
        new TypeError('Expected a verdict, got a promise'),
      );
    }
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
