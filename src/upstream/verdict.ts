import type { Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';

/** One that throws counts as the default. */
export function verdictWith(
  classify: ((result: Settled<unknown>) => Verdict) | undefined,
): (result: Settled<unknown>) => Verdict {
  if (classify === undefined) return classifyResult;
  return (result) => {
    try {
      return classify(result);
    } catch {
      return classifyResult(result);
    }
  };
}
