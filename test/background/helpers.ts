import { vi } from 'vitest';
import type { TaskHandle, TaskOutcome } from '../../src/background/index.js';

export interface Deferred<T = unknown> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason?: unknown) => void;
}

export function deferred<T = unknown>(): Deferred<T> {
  let resolve!: Deferred<T>['resolve'];
  let reject!: Deferred<T>['reject'];
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Tests reject works that no task has taken up yet.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** Lets everything run that needs no timer. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

export function never(): Promise<never> {
  return new Promise(() => {});
}

/** The outcome if it is known by now, without waiting for it. */
export async function outcomeOf(handle: TaskHandle): Promise<TaskOutcome | 'pending'> {
  let outcome: TaskOutcome | 'pending' = 'pending';
  void handle.done.then((value) => {
    outcome = value;
  });
  await settle();
  return outcome;
}

/** Takes the console's place; every call is an array of arguments. */
export function silenceConsole() {
  return vi.spyOn(console, 'error').mockImplementation(() => {});
}

/** Collects what would have crashed the process. Call the result to look, after a turn of the loop. */
export function watchUnhandled(): () => Promise<unknown[]> {
  const seen: unknown[] = [];
  const listener = (reason: unknown): void => {
    seen.push(reason);
  };
  process.on('unhandledRejection', listener);
  return async () => {
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', listener);
    return seen;
  };
}
