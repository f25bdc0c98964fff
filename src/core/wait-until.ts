import { ignore, observe } from './deferred.js';
import { wrongType } from './options.js';
import type { WaitUntil } from './types.js';

/** @throws {TypeError} neither a function nor an object with such a method. */
export function checkWaitUntil(value: WaitUntil | undefined): WaitUntil | undefined {
  if (value === undefined || typeof value === 'function') return value;
  if (typeof (value as { waitUntil?: unknown } | null)?.waitUntil === 'function') return value;
  throw wrongType('waitUntil', 'a function or an object with a `waitUntil` method', value);
}

/**
 * Asks the platform to stay up for `promise`. An object's method is called on it: platforms answer "Illegal invocation"
 * otherwise. `failed` is told what it throws or rejects with; for a function that cannot be called on its own that is a
 * TypeError that says what to pass.
 */
export function keepAlive(waitUntil: WaitUntil, promise: Promise<void>, failed: (error: unknown) => void): void {
  try {
    const answer: unknown = typeof waitUntil === 'function' ? waitUntil(promise) : waitUntil.waitUntil(promise);
    if (answer !== undefined) observe(Promise.resolve(answer), ignore, failed);
  } catch (error) {
    failed(typeof waitUntil === 'function' && error instanceof TypeError ? detached(error) : error);
  }
}

function detached(error: TypeError): TypeError {
  return new TypeError(
    `\`waitUntil\` cannot be called on its own (${error.message}): pass \`ctx\` itself, not \`ctx.waitUntil\``,
    { cause: error },
  );
}
