import { describe, expect, test, vi } from 'vitest';
import { derive, ignore, markHandled, observe, PromiseMaker } from '../../src/core/deferred.js';

async function unhandledDuring(work: () => unknown): Promise<unknown[]> {
  const seen: unknown[] = [];
  const listener = (reason: unknown): void => {
    seen.push(reason);
  };
  process.on('unhandledRejection', listener);
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', listener);
  return seen;
}

/** A promise whose own `then` somebody replaced. */
const patched = <T>(promise: Promise<T>): Promise<T> =>
  Object.defineProperty(promise, 'then', {
    value: () => {
      throw new Error('patched');
    },
  });

describe('PromiseMaker', () => {
  test('makes promises that are settled from outside, each on its own', async () => {
    const maker = new PromiseMaker();
    const [a, settleA] = [maker.make<number>(), maker.takeResolve<number>()];
    const [b, settleB] = [maker.make<number>(), maker.takeResolve<number>()];
    settleB(2);
    settleA(1);
    settleA(3);
    expect(await Promise.all([a, b])).toEqual([1, 2]);
  });

  test.each([undefined, null, 0, '', new Error('x')])(
    'rejects with %o itself by resolving with a rejected promise',
    async (reason) => {
      const maker = new PromiseMaker();
      const promise = maker.make();
      maker.takeResolve()(Promise.reject(reason));
      expect(await promise.then(ignore, (error: unknown) => [error])).toEqual([reason]);
    },
  );

  test('a made promise that nobody settled keeps nothing in its maker', () => {
    const maker = new PromiseMaker();
    void maker.make();
    expect(maker.takeResolve()).toBeTypeOf('function');
    expect(maker.takeResolve()).toBe(undefined);
  });
});

describe('observe', () => {
  test('calls one of the two, once, in a later microtask', async () => {
    for (const [promise, fulfils] of [
      [Promise.resolve(0), true],
      [Promise.reject(0), false],
      [patched(Promise.resolve(0)), true],
      [patched(Promise.reject(0)), false],
    ] as const) {
      const [yes, no] = [vi.fn(), vi.fn()];
      observe(promise, yes, no);
      expect([yes.mock.calls, no.mock.calls]).toEqual([[], []]);
      await Promise.resolve();
      expect([yes.mock.calls, no.mock.calls]).toEqual(fulfils ? [[[0]], []] : [[], [[0]]]);
    }
  });
});

describe('derive', () => {
  test('gives a promise of its own with the same outcome, or with what is made of the value', async () => {
    const source = patched(Promise.resolve(1));
    const same = derive(source);
    expect(same).not.toBe(source);
    expect(await same).toBe(1);
    expect(await derive(source, (value) => value + 1)).toBe(2);
    const reason = new Error('x');
    await expect(derive(Promise.reject(reason), ignore)).rejects.toBe(reason);
  });
});

describe('markHandled', () => {
  test('takes the crash from a rejection that nobody looks at, and only from that one', async () => {
    const seen = await unhandledDuring(() => {
      markHandled(Promise.reject(new Error('marked')));
      markHandled(patched(Promise.reject(new Error('marked too'))));
      void Promise.reject('not marked');
    });
    expect(seen).toEqual(['not marked']);
  });

  test('leaves the outcome to whoever looks later', async () => {
    const reason = new Error('x');
    const promise = Promise.reject(reason);
    markHandled(promise);
    await expect(promise).rejects.toBe(reason);
  });
});
