import { expect } from 'vitest';
import type { PromisePool } from '../../src/pool/index.js';

/** A promise that the test settles by hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Lets everything happen that needs no time. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

/** The law of the counters, to be looked at at any turn. */
export function expectIdentity(pool: PromisePool): void {
  const { calls, running, overdue, queued, fulfilled, failed, timedOut, aborted, refused } = pool.getMetrics();
  expect(calls).toBe(running - overdue + queued + fulfilled + failed + timedOut + aborted + refused);
}

/** Counts real entries and exits of functions, not promises. */
export class Gauge {
  now = 0;
  max = 0;
  entered = 0;

  enter(): void {
    this.entered++;
    this.now++;
    this.max = Math.max(this.max, this.now);
  }

  leave(): void {
    this.now--;
  }

  async around<T>(work: Promise<T> | (() => Promise<T>)): Promise<T> {
    this.enter();
    try {
      return await (typeof work === 'function' ? work() : work);
    } finally {
      this.leave();
    }
  }
}

/** The rejection of a promise, or a failure if it fulfils. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
  if ('reason' in outcome) return outcome.reason;
  throw new Error(`expected a rejection, got ${String(outcome.value)}`);
}
