import type { Milliseconds } from '../core/types.js';
import type { Attempts, FailedAttempt } from '../retry/attempts.js';

export type RulesAnswer =
  | { readonly again: true; readonly delay: Milliseconds }
  /** `error` is what it ends with: its own, or what the predicate threw. `isAborted`: the batch ends, so nobody asks for it. */
  | { readonly again: false; readonly error: unknown; readonly isAborted: boolean };

/** What follows from a failure. Never rejects: a predicate that throws decides against the repeat, with its own error. */
export async function askRules(tries: Attempts, error: unknown, failure: FailedAttempt): Promise<RulesAnswer> {
  try {
    const decision = await tries.decide(error, failure);
    if (decision.again) return decision;
    const { reason } = decision;
    tries.giveUp(error, reason);
    return { again: false, error, isAborted: reason === 'aborted' };
  } catch (thrown) {
    tries.giveUp(thrown, 'not-retryable');
    return { again: false, error: thrown, isAborted: false };
  }
}
