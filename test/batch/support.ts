import { vi } from 'vitest';
import type { BatchReport } from '../../src/batch/index.js';

/** Counts real entries and exits of the work. */
export class Gauge {
  now = 0;
  max = 0;
  entries = 0;

  async around<T>(work: () => T | PromiseLike<T>): Promise<T> {
    this.entries++;
    this.now++;
    this.max = Math.max(this.max, this.now);
    try {
      return await work();
    } finally {
      this.now--;
    }
  }
}

/** A real sleep under the test's fake clock; it does not care about aborts. */
export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export function never(): Promise<never> {
  return new Promise(() => {});
}

/** Lets everything run that needs no timer. */
export async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

/** Runs the fake clock until the promise settles; a promise that never does fails the test. */
export async function finish<T>(promise: Promise<T>, limit = 1_000_000): Promise<T> {
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  promise.then(note, note);
  await turns();
  const end = performance.now() + limit;
  while (!isSettled && performance.now() < end) {
    if (vi.getTimerCount() > 0) await vi.advanceTimersToNextTimerAsync();
    await turns();
    if (!isSettled && vi.getTimerCount() === 0) break;
  }
  if (!isSettled) throw new Error('It never settles');
  return promise;
}

/** What became of each item, in short: 'f', 'r' or 's'. */
export function statuses(report: BatchReport<unknown, unknown>): string {
  return report.results.map(({ status }) => status[0]).join('');
}

/** The rejection of a promise. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
  if ('reason' in outcome) return outcome.reason;
  throw new Error('expected a rejection');
}

export async function* asynchronously<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

export function* oneByOne<T>(items: Iterable<T>): Generator<T> {
  yield* items;
}

/** 0, 1, 2, ... n - 1 */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
