import { oneOf } from './options.js';
import type { Milliseconds, Verdict } from './types.js';

/** The right to do one piece of work. `using permit = await pool.acquire()` gives it back at the end of the block. */
export interface Permit extends Disposable {
  /** Aborts when the right is lost early: its owner was closed. */
  readonly signal: AbortSignal;
  /** The work begins. A permit of a pool is counted as started when it is given. */
  started(): void;
  /** The caller has its answer, though the work may still run. Only the first report counts. */
  report(verdict: Verdict, retryAfter?: Milliseconds): void;
  /** The work has ended; the capacity is free. Reports `verdict` (default `success`) unless that was done. A second call is a no-op. */
  release(verdict?: Verdict, retryAfter?: Milliseconds): void;
  /** `release('ignore')`: a block's end cannot know how the work went. */
  [Symbol.dispose](): void;
}

export type Told = (verdict: Verdict, retryAfter: Milliseconds | undefined) => void;

export interface PermitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onStarted?: (() => void) | undefined;
  readonly onReport?: Told | undefined;
}

export const VERDICTS: readonly Verdict[] = ['success', 'failure', 'overload', 'ignore'];

/**
 * A permit: each of its moments happens once, whoever calls how often. Its methods may be taken off it.
 *
 * @param onRelease called once, after the report.
 * @param options `signal` is read when somebody asks the permit for it, so it may be a getter that makes one.
 */
export function createPermit(onRelease?: Told, options: PermitOptions = {}): Permit {
  let isStarted = false;
  let isReported = false;
  let isReleased = false;
  let neverAborted: AbortSignal | undefined;

  const started = (): void => {
    if (isStarted || isReleased) return;
    isStarted = true;
    options.onStarted?.();
  };
  const report: Permit['report'] = (verdict, retryAfter) => {
    oneOf('verdict', verdict, VERDICTS, 'success');
    if (isReported || isReleased) return;
    isReported = true;
    options.onReport?.(verdict, retryAfter);
  };
  const release: Permit['release'] = (verdict = 'success', retryAfter) => {
    report(verdict, retryAfter);
    if (isReleased) return;
    isReleased = true;
    onRelease?.(verdict, retryAfter);
  };
  return {
    get signal() {
      if (options.signal !== undefined) return options.signal;
      neverAborted ??= new AbortController().signal;
      return neverAborted;
    },
    started,
    report,
    release,
    [Symbol.dispose]: () => release('ignore'),
  };
}
