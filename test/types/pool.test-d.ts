import { describe, expectTypeOf, test } from 'vitest';
import { type PoolMetrics, PromisePool, type PromisePoolOptions } from '../../src/index.js';

interface User {
  readonly id: string;
}
declare const db: { user(id: string, options?: { signal?: AbortSignal }): Promise<User> };
declare const pool: PromisePool;
async function* ids() {
  yield 1;
}

describe('PromisePool infers', () => {
  test('the result of a task, also when it destructures its context', () => {
    expectTypeOf(pool.execute(({ signal }) => db.user('1', { signal }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(pool.execute(() => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(pool.execute(async ({ signal }) => (signal.aborted ? null : ('x' as const)))).toEqualTypeOf<
      Promise<'x' | null>
    >();
    expectTypeOf(pool.execute(() => {})).toEqualTypeOf<Promise<void>>();
  });

  test('what wrap and map keep', () => {
    const load = (url: string, depth?: number): Promise<string> => Promise.resolve(url.repeat(depth ?? 1));
    expectTypeOf(pool.wrap(load, { group: 'x' })).toEqualTypeOf<(url: string, depth?: number) => Promise<string>>();
    const generic = pool.wrap(async <T>(x: T) => [x]);
    expectTypeOf(generic('a')).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(
      pool.map(new Set(['a']), async (text, { index, signal }) => `${text}${index}${signal.aborted}`),
    ).toEqualTypeOf<Promise<string[]>>();
    expectTypeOf(pool.map(ids(), (id) => id * 2)).toEqualTypeOf<Promise<number[]>>();
    expectTypeOf(pool.map(['a'], (x) => x.length, { group: (x) => x })).toEqualTypeOf<Promise<number[]>>();
  });

  test('no any in the metrics, which are read only', () => {
    expectTypeOf(pool.getMetrics()).toEqualTypeOf<PoolMetrics>();
    expectTypeOf<PoolMetrics['concurrency']>().toEqualTypeOf<number | null>();
    // @ts-expect-error frozen
    pool.getMetrics().running = 5;
    // @ts-expect-error read only
    pool.running = 0;
  });

  test('what a caller may not have given passes through (exactOptionalPropertyTypes)', () => {
    const load = (id: string, options?: { signal?: AbortSignal; timeout?: number }) =>
      pool.execute(({ signal }) => db.user(id, { signal }), { signal: options?.signal, timeout: options?.timeout });
    expectTypeOf(load).returns.toEqualTypeOf<Promise<User>>();
    const options: PromisePoolOptions = { concurrency: 5, maxQueue: undefined, hooks: undefined };
    expectTypeOf(options).toExtend<PromisePoolOptions>();
  });
});

describe('PromisePool refuses', () => {
  test('constructors of other libraries, typos and text', () => {
    // @ts-expect-error concurrency is required
    new PromisePool({ name: 'x' });
    // @ts-expect-error a bare number
    new PromisePool(5);
    // @ts-expect-error a typo
    new PromisePool({ concurrency: 5, queueTimeOut: 5 });
    // @ts-expect-error names of p-queue
    new PromisePool({ concurrency: 5, interval: 1_000, intervalCap: 10 });
    // @ts-expect-error a numeric string
    new PromisePool({ concurrency: process.env.CONCURRENCY });
  });

  test('tasks and options that cannot be meant', () => {
    // @ts-expect-error a promise has already started
    void pool.execute(db.user('1'));
    // @ts-expect-error arguments after the function
    void pool.execute(() => 1, 'id');
    // @ts-expect-error a function that wants arguments: the context is no id
    void pool.execute(async (id: string) => id);
    // @ts-expect-error a numeric priority
    void pool.execute(() => 1, { priority: 10 });
    // @ts-expect-error an object is no group
    void pool.execute(() => 1, { group: { guild: '1' } });
    // @ts-expect-error retries belong outside the slot
    void pool.execute(() => 1, { retry: {} });
    // @ts-expect-error the second parameter is a context, not an index
    void pool.map(['a'], (text, index: number) => text + index);
    // @ts-expect-error parseInt's radix
    void pool.map(['1'], parseInt);
    // @ts-expect-error wrapped functions keep their parameters
    void pool.wrap((id: string) => db.user(id))(5);
  });
});
