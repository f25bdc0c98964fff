import { setMaxListeners } from 'node:events';
import { vi } from 'vitest';
import type { GateLaw } from '../../src/testing/index.js';

// The gates of these tests add a listener for each acquire. That is quadratic, and Node is right to warn.
setMaxListeners(0);

export interface Outcome {
  /** What the law said; undefined if it holds. */
  readonly message: string | undefined;
  /** Faked ms that it took. */
  readonly took: number;
}

/** Runs a law under fake timers to its end, without waiting. */
export async function judge(law: GateLaw): Promise<Outcome> {
  const start = performance.now();
  let outcome: Outcome | undefined;
  const end = (message: string | undefined) => {
    outcome = { message, took: performance.now() - start };
  };
  void law.run().then(
    () => end(undefined),
    (error: Error) => end(error.message),
  );
  while (outcome === undefined) await vi.advanceTimersToNextTimerAsync();
  return outcome;
}
