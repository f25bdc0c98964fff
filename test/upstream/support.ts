import { vi } from 'vitest';
import type { Upstream } from '../../src/upstream/index.js';

export const hang = () => new Promise<never>(() => {});
export const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** As an HTTP client throws it. */
export function httpError(status: number, retryAfter?: string): Error {
  const headers = new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter });
  return Object.assign(new Error(`HTTP ${status}`), { status, headers });
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('It was to be rejected');
}

/** Counts how many of its calls run at once. */
export class Gauge {
  running = 0;
  most = 0;
  calls = 0;

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.calls++;
    this.most = Math.max(this.most, ++this.running);
    try {
      return await work();
    } finally {
      this.running--;
    }
  }
}

/** `calls = inFlight + fulfilled + failed + aborted + refused`. */
export function identityHolds(upstream: Upstream): boolean {
  const { calls, inFlight, fulfilled, failed, aborted, refused } = upstream.getMetrics();
  return calls === inFlight + fulfilled + failed + aborted + refused;
}

export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

export const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms);
