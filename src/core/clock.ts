/*
 * The one port to time, timers and chance. Nothing else in `src` touches `performance`, `Date`, `Math.random` or a timer.
 *
 * Everything is read from `globalThis` at each use, never at import: test runners' fake timers then work for us and for
 * our users, and edge runtimes that forbid clocks at module scope can import the package.
 */

/** Longest delay that timers of Node and browsers keep; above it they fire after 1 ms. */
const MAX_DELAY = 2 ** 31 - 1;

/** Timers of Node count in whole loop milliseconds and may fire this much before the monotonic clock says so. */
const EARLY = 2;

/** Monotonic ms. */
export function now(): number {
  return globalThis.performance.now();
}

/** Wall clock, ms since 1970: only to read dates that a server sent. */
export function wallNow(): number {
  return globalThis.Date.now();
}

/** Uniform in 0 <= x < 1. */
export function random(): number {
  return globalThis.Math.random();
}

/**
 * A one-shot timer that never fires early and takes delays of any length, Infinity excepted.
 *
 * The clock is consulted only for the last two milliseconds: where a test fakes timers but not the clock, or where the
 * clock stands still between I/O (workerd), a timer that fired is itself the proof that its time has come.
 */
export class Timer {
  readonly #callback: () => void;
  readonly #keepAlive: boolean;
  readonly #due: number;
  #beyond: number;
  readonly #madeBy = globalThis.setTimeout;
  #handle: ReturnType<typeof setTimeout>;
  #keepsAlive = true;

  /** @param keepAlive whether the process must stay up for it, where the runtime lets us choose. */
  constructor(callback: () => void, delay: number, keepAlive = true) {
    this.#callback = callback;
    this.#keepAlive = keepAlive;
    this.#due = now() + delay;
    this.#beyond = Math.max(0, delay - MAX_DELAY);
    this.#handle = this.#arm(delay);
  }

  /** Does the process stay up for it? Also true where the runtime does not let us choose. */
  get keepsAlive(): boolean {
    return this.#keepsAlive;
  }

  /** Timers were faked, or are no longer, since it was made: it may never fire, and its clock is not that of now. */
  get isOrphan(): boolean {
    return this.#madeBy !== globalThis.setTimeout;
  }

  cancel(): void {
    globalThis.clearTimeout(this.#handle);
  }

  #arm(delay: number): ReturnType<typeof setTimeout> {
    const handle = globalThis.setTimeout(this.#fire, Math.min(Math.ceil(delay), MAX_DELAY));
    if (!this.#keepAlive) this.#keepsAlive = !unref(handle);
    return handle;
  }

  readonly #fire = (): void => {
    if (this.#beyond > 0) {
      const next = this.#beyond;
      this.#beyond = Math.max(0, next - MAX_DELAY);
      this.#handle = this.#arm(next);
      return;
    }
    const early = this.#due - now();
    if (early > 0 && early <= EARLY) this.#handle = this.#arm(early);
    else this.#callback();
  };
}

/** Lets the process end before the timer; false where the runtime cannot. */
function unref(handle: ReturnType<typeof setTimeout>): boolean {
  if (typeof handle === 'object') {
    handle.unref?.();
    return handle.unref !== undefined;
  }
  const { Deno } = globalThis as { Deno?: { readonly unrefTimer?: (handle: number) => void } };
  Deno?.unrefTimer?.(handle);
  return Deno?.unrefTimer !== undefined;
}
