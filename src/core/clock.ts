/*
 * The one port to time, timers and chance. Nothing else in `src` touches `performance`, `Date`, `Math.random` or a timer.
 *
 * Everything is read from the globals at each use, never at import: test runners' fake timers then work for us and for
 * our users, and edge runtimes that forbid clocks at module scope can import the package.
 */

/** A time, or a delay, that does not come. */
export const NEVER = Number.POSITIVE_INFINITY;

/** Longest delay that timers of Node and browsers keep; above it they fire after 1 ms. */
const MAX_DELAY = 2 ** 31 - 1;

/** Timers of Node count in whole loop milliseconds and may fire this much before the monotonic clock says so. */
const EARLY = 2;

/** Monotonic ms. */
export function now(): number {
  return performance.now();
}

/** Wall clock, ms since 1970: only to read dates that a server sent. */
export function wallNow(): number {
  return Date.now();
}

/** Uniform in 0 <= x < 1. */
export function random(): number {
  return Math.random();
}

/**
 * A one-shot timer that never fires early and takes delays of any length, Infinity excepted.
 *
 * The clock is consulted only for the last two milliseconds: where a test fakes timers but not the clock, or where the
 * clock stands still between I/O (workerd), a timer that fired is itself the proof that its time has come.
 */
export class Timer {
  readonly #callback: () => void;
  readonly #due: number;
  /** By how much it fired before its time, the last time. */
  #early = NEVER;
  readonly #madeBy = setTimeout;
  #keepsAlive: boolean;
  /** What is left when the platform's timer fires, as its delay was as long as it may be. */
  #rest = 0;
  #handle: ReturnType<typeof setTimeout> | undefined;

  /** @param keepAlive whether the process must stay up for it, where the runtime lets us choose. */
  constructor(callback: () => void, delay: number, keepAlive = true) {
    this.#callback = callback;
    this.#keepsAlive = keepAlive;
    this.#due = now() + delay;
    this.#arm(delay);
  }

  /** Does the process stay up for it? Also true where the runtime does not let us choose. */
  get keepsAlive(): boolean {
    return this.#keepsAlive;
  }

  /** Timers were faked, or are no longer, since it was made: it may never fire, and its clock is not that of now. */
  get isOrphan(): boolean {
    return this.#madeBy !== setTimeout;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(delay: number): void {
    const part = Math.min(Math.ceil(delay), MAX_DELAY);
    this.#rest = delay - part;
    this.#handle = setTimeout(this.#fire, part);
    this.#keepsAlive ||= !unref(this.#handle);
  }

  readonly #fire = (): void => {
    const early = this.#due - now();
    // A clock that stands still is no reason to wait for ever.
    const hasMoved = early < this.#early;
    this.#early = early;
    if (this.#rest > 0) this.#arm(this.#rest);
    else if (early > 0 && early <= EARLY && hasMoved) this.#arm(early);
    else this.#callback();
  };
}

/** Lets the process end before the timer; false where the runtime cannot. */
function unref(handle: ReturnType<typeof setTimeout>): boolean {
  const { Deno } = globalThis as { Deno?: { readonly unrefTimer?: (handle: unknown) => void } };
  // An object on Node and Bun, a number elsewhere.
  const unrefTimer = (handle as { unref?: () => void }).unref ?? Deno?.unrefTimer;
  unrefTimer?.call(handle, handle);
  return unrefTimer !== undefined;
}
