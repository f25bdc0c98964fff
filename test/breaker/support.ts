import { expect } from 'vitest';
import type { CircuitBreaker } from '../../src/breaker/index.js';
import { CircuitOpenError } from '../../src/breaker/index.js';
import type { Permit } from '../../src/core/permit.js';
import type { Verdict } from '../../src/core/types.js';

export const fails = (): Promise<never> => Promise.reject(new Error('down'));
export const works = (): Promise<string> => Promise.resolve('fine');

/** The error of a promise that must reject. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  );
  expect(outcome).toHaveProperty('reason');
  return (outcome as { reason: unknown }).reason;
}

/** What a breaker says to one more call, which is given back. */
export function refusalOf(breaker: CircuitBreaker): CircuitOpenError | undefined {
  const answer = breaker.tryAcquire();
  if (answer instanceof CircuitOpenError) return answer;
  (answer as Permit).release('ignore');
  return undefined;
}

/** So many calls with this verdict, one after the other. */
export function tell(breaker: CircuitBreaker, verdict: Verdict, times = 1, retryAfter?: number): void {
  for (let i = 0; i < times; i++) {
    const permit = breaker.acquire();
    permit.started();
    permit.release(verdict, retryAfter);
  }
}

/** A task that is settled by hand. */
export interface Held {
  readonly task: () => Promise<unknown>;
  readonly resolve: (value?: unknown) => void;
  readonly reject: (reason?: unknown) => void;
}

export function held(): Held {
  let resolve: (value?: unknown) => void = () => {};
  let reject: (reason?: unknown) => void = () => {};
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { task: () => promise, resolve, reject };
}

/** Everything that needs no time. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await undefined;
}
