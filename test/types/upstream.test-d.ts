import { describe, expectTypeOf, test } from 'vitest';
import {
  type AttemptContext,
  CircuitBreaker,
  type CloseReport,
  type CoalescerMetrics,
  type Executor,
  PromisePool,
  RequestCoalescer,
  RetryBudget,
  RetryPolicy,
  StreamCoalescer,
  Upstream,
  type UpstreamMetrics,
  type UpstreamOptions,
} from '../../src/index.js';

interface User {
  readonly id: string;
}
declare const db: { user(id: string, options?: { signal?: AbortSignal }): Promise<User> };
declare const upstream: Upstream;
declare function tokens(options?: { signal?: AbortSignal }): Promise<AsyncIterable<string>>;

describe('Upstream infers', () => {
  test('the result of a task, also when it destructures its context', () => {
    expectTypeOf(upstream.execute(({ signal }) => db.user('1', { signal }))).toEqualTypeOf<Promise<User>>();
    expectTypeOf(upstream.execute(() => 5, { key: ['user', 1] })).toEqualTypeOf<Promise<number>>();
    expectTypeOf(upstream.execute(async ({ attempt }) => (attempt > 1 ? null : ('x' as const)))).toEqualTypeOf<
      Promise<'x' | null>
    >();
    expectTypeOf(upstream.execute(() => {})).toEqualTypeOf<Promise<void>>();
    expectTypeOf(upstream.execute((task) => db.user('1', task))).toEqualTypeOf<Promise<User>>();
  });

  test('what a task is given', () => {
    void upstream.execute((context) => {
      expectTypeOf(context).toEqualTypeOf<AttemptContext>();
      return context.attempt;
    });
    void upstream.execute(({ signal, attempt, lastError, stop }) => {
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(lastError).toEqualTypeOf<unknown>();
      throw stop(new Error('no more'));
    });
  });

  test('the chunks of a stream, of a generator, a promise of one, or any async iterable', () => {
    type Stream<T> = AsyncGenerator<T, void, undefined>;
    expectTypeOf(upstream.stream(({ signal }) => tokens({ signal }))).toEqualTypeOf<Stream<string>>();
    expectTypeOf(
      upstream.stream(async function* ({ attempt }) {
        yield attempt;
        yield 'x' as const;
      }),
    ).toEqualTypeOf<Stream<number | 'x'>>();
    expectTypeOf(upstream.stream(() => new ReadableStream<Uint8Array>() as AsyncIterable<Uint8Array>)).toEqualTypeOf<
      Stream<Uint8Array>
    >();
  });

  test('parts and their metrics, which are read only', () => {
    expectTypeOf(upstream.pool).toEqualTypeOf<PromisePool | undefined>();
    expectTypeOf(upstream.breaker).toEqualTypeOf<CircuitBreaker | undefined>();
    expectTypeOf(upstream.coalescer).toEqualTypeOf<RequestCoalescer | undefined>();
    expectTypeOf(upstream.getMetrics()).toEqualTypeOf<UpstreamMetrics>();
    expectTypeOf(upstream.getMetrics().streams).toEqualTypeOf<CoalescerMetrics | undefined>();
    expectTypeOf(upstream.close({ grace: 5 })).toEqualTypeOf<Promise<CloseReport>>();
    // @ts-expect-error frozen
    upstream.getMetrics().calls = 5;
    // @ts-expect-error read only
    upstream.name = 'x';
    // @ts-expect-error there may be none
    void upstream.pool.running;
  });

  test('itself as what runs a task', () => {
    expectTypeOf(upstream).toExtend<Executor>();
    expectTypeOf(upstream).toExtend<AsyncDisposable>();
  });

  test('what a caller may not have given passes through (exactOptionalPropertyTypes)', () => {
    const load = (id: string, options?: { signal?: AbortSignal; timeout?: number; key?: string }) =>
      upstream.execute(({ signal }) => db.user(id, { signal }), {
        signal: options?.signal,
        timeout: options?.timeout,
        key: options?.key,
        fresh: undefined,
      });
    expectTypeOf(load).returns.toEqualTypeOf<Promise<User>>();
    const options: UpstreamOptions = {
      name: 'x',
      coalesce: undefined,
      retry: undefined,
      breaker: undefined,
      pool: undefined,
      timeout: undefined,
      classify: undefined,
    };
    expectTypeOf(options).toExtend<UpstreamOptions>();
  });

  test('options or parts for each layer', () => {
    new Upstream({ name: 'x', coalesce: {}, retry: { maxAttempts: 4, budget: new RetryBudget() }, breaker: {} });
    new Upstream({
      name: 'x',
      coalesce: new RequestCoalescer(),
      retry: new RetryPolicy(),
      breaker: new CircuitBreaker(),
      pool: new PromisePool({ concurrency: 5 }),
    });
    new Upstream({ name: 'x', coalesce: { ttl: 5_000, maxBuffer: 100 }, pool: { concurrency: 5, maxQueue: 10 } });
    new Upstream({ name: 'x', classify: ({ status }) => (status === 'rejected' ? 'failure' : 'success') });
    // Its type of value is the user's promise, as that of any cache.
    new Upstream({ name: 'x', coalesce: new RequestCoalescer<User, string>() });
  });
});

describe('Upstream refuses', () => {
  test('options of the whole inside a part, typos and parts of another kind', () => {
    // @ts-expect-error a name is required
    new Upstream({ pool: { concurrency: 5 } });
    // @ts-expect-error `timeout` is of the whole
    new Upstream({ name: 'x', pool: { concurrency: 5, timeout: 5 } });
    // @ts-expect-error `classify` is of the whole
    new Upstream({ name: 'x', breaker: { classify: () => 'failure' } });
    // @ts-expect-error a load ends with its attempts
    new Upstream({ name: 'x', coalesce: { loadTimeout: 5 } });
    // @ts-expect-error timeouts are of the whole
    new Upstream({ name: 'x', retry: { attemptTimeout: 5 } });
    // @ts-expect-error `{}` takes the defaults
    new Upstream({ name: 'x', retry: true });
    // @ts-expect-error streams have their own
    new Upstream({ name: 'x', coalesce: new StreamCoalescer() });
    // @ts-expect-error a typo
    new Upstream({ name: 'x', totalTimeOut: 5 });
    // @ts-expect-error no verdict
    new Upstream({ name: 'x', classify: () => true });
  });

  test('tasks and options that cannot be meant', () => {
    // @ts-expect-error the key is an option
    void upstream.execute('key', () => 1);
    // @ts-expect-error a promise has already started
    void upstream.execute(db.user('1'));
    // @ts-expect-error an object is no key
    void upstream.execute(() => 1, { key: { id: 1 } });
    // @ts-expect-error a numeric priority
    void upstream.execute(() => 1, { priority: 10 });
    // @ts-expect-error a stream is opened by a function
    upstream.stream(tokens());
    // @ts-expect-error a sync iterable
    upstream.stream(() => [1, 2]);
    // @ts-expect-error streams have nothing to refresh
    upstream.stream(() => tokens(), { key: 'k', waitUntil: () => {} });
  });
});
