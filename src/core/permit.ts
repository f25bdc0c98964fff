import { oneOf } from './options.js';
import type { Milliseconds, Verdict } from './types.js';

/** The right to do one piece of work. `using permit = await pool.acquire()` gives it back at the end of the block. */
export interface Permit extends Disposable {
  /** Aborts when the right is lost early: the gate was closed, a lease in Redis ran out. */
  readonly signal: AbortSignal;
  /**
   * The work begins: a rate window counts from here. A permit released before gives its place back, save that of a pool, whose work has begun
   * when it is given.
   */
  started(): void;
  /** The caller has its answer, though the work may still run. Only the first report counts. */
  report(verdict: Verdict, retryAfter?: Milliseconds): void;
  /** The work has ended; the capacity is free. Reports `verdict` (default `success`) unless that was done. A second call is a no-op. */
  release(verdict?: Verdict, retryAfter?: Milliseconds): void;
  /** `release('ignore')`: a block's end cannot know how the work went. */
  [Symbol.dispose](): void;
}

type Told = (verdict: Verdict, retryAfter: Milliseconds | undefined) => void;

export interface PermitOptions {
  /** Aborts when the right is lost early. May be a getter: it is read when somebody asks for it. Default: never aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Called once, at most. */
  readonly onStarted?: (() => void) | undefined;
  /** Called once, before `onRelease` at the latest. */
  readonly onReport?: ((verdict: Verdict, retryAfter: Milliseconds | undefined) => void) | undefined;
}

export const VERDICTS: readonly Verdict[] = ['success', 'failure', 'overload', 'ignore'];

class OwnPermit implements Permit {
  readonly started: () => void;
  readonly report: Permit['report'];
  readonly release: Permit['release'];
  readonly #options: PermitOptions;
  #signal: AbortSignal | undefined;

  constructor(onRelease: Told | undefined, options: PermitOptions) {
    let isStarted = false;
    let isReported = false;
    let isReleased = false;
    this.#options = options;
    this.started = () => {
      if (isStarted || isReleased) return;
      isStarted = true;
      options.onStarted?.();
    };
    this.report = (verdict, retryAfter) => {
      const known = oneOf('verdict', verdict, VERDICTS, 'success');
      if (isReported || isReleased) return;
      isReported = true;
      options.onReport?.(known, retryAfter);
    };
    this.release = (verdict = 'success', retryAfter) => {
      this.report(verdict, retryAfter);
      if (isReleased) return;
      isReleased = true;
      onRelease?.(verdict, retryAfter);
    };
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#options.signal ?? new AbortController().signal;
    return this.#signal;
  }

  get [Symbol.dispose](): () => void {
    return () => this.release('ignore');
  }
}

const NO_OPTIONS: PermitOptions = {};

/**
 * A permit: each of its moments happens once, whoever calls how often. Its methods may be taken off it.
 *
 * @param onRelease called once, after the report.
 */
export function createPermit(
  onRelease?: (verdict: Verdict, retryAfter: Milliseconds | undefined) => void,
  options = NO_OPTIONS,
): Permit {
  return new OwnPermit(onRelease, options);
}
