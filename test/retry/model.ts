/** What one attempt does: how long it takes, ms (0: it does not wait at all), and how it ends. */
export interface Step {
  readonly takes: number;
  readonly ends: 'ok' | 'transient' | 'fatal' | { readonly hint: number };
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly maxAttempts: number;
  readonly baseDelay: number;
  readonly maxDelay: number;
  readonly factor: number;
  readonly attemptTimeout: number;
  readonly totalTimeout: number;
  /** When the caller aborts, ms; > 0. */
  readonly abortAt: number;
}

export interface Outcome {
  /** When each attempt began. */
  readonly starts: readonly number[];
  readonly endsAt: number;
  readonly reason: 'ok' | 'exhausted' | 'not-retryable' | 'deadline' | 'aborted' | 'hint-too-long';
  readonly throws: 'nothing' | 'error of the step' | 'attemptTimeout' | 'totalTimeout' | 'reason';
}

/**
 * A retry without jitter as a story told step by step: no timers, no promises. What happens in the same millisecond happens in the
 * order in which it was set up: the caller's abort, then timeouts, then the work.
 */
export function tell(plan: Plan): Outcome {
  const { steps, maxAttempts, baseDelay, maxDelay, factor, attemptTimeout, totalTimeout, abortAt } = plan;
  const starts: number[] = [];
  let time = 0;

  for (let attempt = 1; ; attempt++) {
    if (abortAt <= time) return { starts, endsAt: abortAt, reason: 'aborted', throws: 'reason' };
    starts.push(time);
    const { takes, ends } = steps[(attempt - 1) % steps.length] as Step;
    const left = totalTimeout - time;
    const limit = Math.min(attemptTimeout, left);
    const timesOut = takes > 0 && limit <= takes;
    time += timesOut ? limit : takes;
    if (abortAt <= time) return { starts, endsAt: abortAt, reason: 'aborted', throws: 'reason' };
    if (timesOut && left <= attemptTimeout) return { starts, endsAt: time, reason: 'deadline', throws: 'totalTimeout' };
    if (!timesOut && ends === 'ok') return { starts, endsAt: time, reason: 'ok', throws: 'nothing' };

    const throws = timesOut ? 'attemptTimeout' : 'error of the step';
    const endsAt = time;
    if (!timesOut && ends === 'fatal') return { starts, endsAt, reason: 'not-retryable', throws };
    if (attempt === maxAttempts) return { starts, endsAt, reason: 'exhausted', throws };
    const hint = !timesOut && typeof ends === 'object' ? ends.hint : 0;
    const remaining = totalTimeout - time;
    const hintTooLong = totalTimeout === Infinity ? hint > Math.max(maxDelay, 60_000) : hint > 0 && hint >= remaining;
    if (hintTooLong) return { starts, endsAt, reason: 'hint-too-long', throws };
    const delay = Math.max(Math.min(baseDelay * factor ** (attempt - 1), maxDelay), hint);
    if (delay >= remaining) return { starts, endsAt, reason: 'deadline', throws };
    time += delay;
  }
}
