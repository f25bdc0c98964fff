import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { type AttemptContext, type RetryOptions, retryWithBackoff } from '../../src/retry/index.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const ENDLESS = { maxAttempts: Number.POSITIVE_INFINITY, baseDelay: 0 };

/** How many of the errors of 100 failed attempts are alive in the attempt after them. The last ten are kept by promise. */
async function alive(options: RetryOptions, marks: (context: AttemptContext) => unknown): Promise<number> {
  const refs: WeakRef<object>[] = [];
  return retryWithBackoff(
    (context) => {
      if (context.attempt > 100) {
        return new Promise<number>((resolve) => {
          setTimeout(() => {
            gc();
            resolve(refs.filter((ref) => ref.deref() !== undefined).length);
          }, 20);
        });
      }
      const error = new Error('again');
      refs.push(new WeakRef((marks(context) as object | undefined) ?? error));
      throw error;
    },
    { ...ENDLESS, ...options },
  );
}

// V8 keeps the functions of an error's frames until its `stack` is read: no closure on them may lead to the error before.
test.each([
  ['bare', {}],
  [
    'with a signal and timeouts',
    { signal: new AbortController().signal, attemptTimeout: 60_000, totalTimeout: 600_000 },
  ],
])('while it goes on, a call holds its last errors only: %s', async (_, options) => {
  expect(await alive(options, () => undefined)).toBeLessThanOrEqual(11);
});

test('what was stopped and not thrown is not held', async () => {
  expect(await alive({}, ({ stop }) => stop(new Error('unused')))).toBeLessThanOrEqual(11);
});

test('a predicate that aborts the call and then rejects leaves nothing unhandled', async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  const controller = new AbortController();
  const shouldRetry = async (): Promise<boolean> => {
    controller.abort('left');
    throw new Error('late');
  };
  const { signal } = controller;
  await expect(retryWithBackoff(() => Promise.reject(new Error('x')), { signal, shouldRetry })).rejects.toBe('left');
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off('unhandledRejection', listen);
  expect(unhandled).toEqual([]);
});
