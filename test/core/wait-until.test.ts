import { expect, test, vi } from 'vitest';
import { checkWaitUntil, keepAlive } from '../../src/core/wait-until.js';

test('checkWaitUntil takes a function or an object with such a method, as they are', () => {
  const fn = () => {};
  const ctx = { waitUntil: fn };
  expect([checkWaitUntil(fn), checkWaitUntil(ctx), checkWaitUntil(undefined)]).toEqual([fn, ctx, undefined]);
  for (const wrong of [null, true, 5, 'x', {}, { waitUntil: true }]) {
    expect(() => checkWaitUntil(wrong as unknown as () => void)).toThrow(
      /^Expected `waitUntil` to be a function or an object with a `waitUntil` method, got `/,
    );
  }
});

// BG-05: methods of a platform's context refuse to be called on anything else.
test('keepAlive calls the method on its object, and a function on its own', () => {
  const promise = Promise.resolve();
  const calls: unknown[] = [];
  function waitUntil(this: unknown, given: Promise<unknown>): void {
    calls.push([this, given]);
  }
  const ctx = { waitUntil };
  keepAlive(ctx, promise, () => {});
  keepAlive(waitUntil, promise, () => {});
  expect(calls).toEqual([
    [ctx, promise],
    [undefined, promise],
  ]);
});

test('keepAlive tells what was thrown: a detached method by a TypeError that says what to pass, else the error itself', () => {
  const illegal = new TypeError('Illegal invocation');
  const other = new Error('outside a request scope');
  const told = (waitUntil: Parameters<typeof keepAlive>[0]) => {
    const failed = vi.fn();
    keepAlive(waitUntil, Promise.resolve(), failed);
    expect(failed).toHaveBeenCalledTimes(1);
    return failed.mock.calls[0]?.[0];
  };
  const throws = (error: unknown) => () => {
    throw error;
  };
  const detached = told(throws(illegal));
  expect(detached).toBeInstanceOf(TypeError);
  expect(detached).toMatchObject({
    message: expect.stringMatching(/Illegal invocation.*pass `ctx` itself/),
    cause: illegal,
  });
  expect(told(throws(other))).toBe(other);
  expect(told({ waitUntil: throws(illegal) })).toBe(illegal);
  expect(told(throws(undefined))).toBe(undefined);
});

test('keepAlive tells what the answer rejects with, and nothing of an answer that fulfils', async () => {
  const failed = vi.fn();
  keepAlive((() => Promise.reject('async')) as () => void, Promise.resolve(), failed);
  keepAlive((() => Promise.resolve()) as () => void, Promise.resolve(), failed);
  expect(failed).not.toHaveBeenCalled();
  await Promise.resolve();
  expect(failed.mock.calls).toEqual([['async']]);
});
