import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from '../../src/breaker/index.js';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { ClosedError, TimeoutError } from '../../src/core/errors.js';
import type { Verdict } from '../../src/core/types.js';
import { PromisePool, QueueFullError, QueueTimeoutError } from '../../src/pool/index.js';
import { RetryPolicy } from '../../src/retry/index.js';
import { Upstream, type UpstreamOptions } from '../../src/upstream/index.js';
import { advance, Gauge, hang, httpError, identityHolds, later, rejection, turns } from './support.js';

const patient = { jitter: 'none', baseDelay: 100, maxAttempts: 3 } as const;

describe('the layers of an upstream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('callers with one key have one sequence of attempts and waits', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: {}, retry: patient, pool: { concurrency: 5 } });
    const startedAt: number[] = [];
    const task = vi.fn(async ({ attempt }: { attempt: number }) => {
      startedAt.push(performance.now());
      if (attempt < 3) throw httpError(503);
      return attempt;
    });
    const begin = performance.now();
    const all = Array.from({ length: 50 }, () => upstream.execute(task, { key: 'one' }));
    await advance(300);
    expect(await Promise.all(all)).toEqual(Array.from({ length: 50 }, () => 3));
    expect(startedAt.map((at) => at - begin)).toEqual([0, 100, 300]);
    expect(upstream.getMetrics()).toMatchObject({ calls: 50, fulfilled: 50, retry: { calls: 1, retries: 2 } });
    expect(identityHolds(upstream)).toBe(true);
  });

  test('a retry that sleeps holds no slot', async () => {
    const upstream = new Upstream({ name: 'api', retry: patient, pool: { concurrency: 1 } });
    let isBad = true;
    const first = upstream.execute(async () => {
      if (isBad) throw httpError(500);
      return 'first';
    });
    await turns();
    expect(upstream.pool?.running).toBe(0);
    isBad = false;
    expect(await upstream.execute(() => 'second')).toBe('second');
    await advance(100);
    expect(await first).toBe('first');
  });

  test.each([
    ['its own pool', (pool: { concurrency: number; maxQueue: number }) => pool],
    ['a pool that was handed in', (pool: { concurrency: number; maxQueue: number }) => new PromisePool(pool)],
  ])('a refusal by %s is neither repeated nor a bad sample', async (_, poolOf) => {
    const shouldRetry = vi.fn(() => true);
    const upstream = new Upstream({
      name: 'api',
      retry: { ...patient, shouldRetry },
      breaker: { minCalls: 1 },
      pool: poolOf({ concurrency: 1, maxQueue: 0 }),
    });
    const task = vi.fn(hang);
    void upstream.execute(task).catch(() => {});
    expect(await rejection(upstream.execute(task))).toBeInstanceOf(QueueFullError);
    const timedOut = rejection(upstream.execute(task, { queueTimeout: 0 }));
    expect(await timedOut).toBeInstanceOf(QueueTimeoutError);
    expect(task).toHaveBeenCalledTimes(1);
    expect(shouldRetry).not.toHaveBeenCalled();
    expect(upstream.breaker?.state).toBe('closed');
    expect(upstream.breaker?.getMetrics()).toMatchObject({ failureRate: 0, timesOpened: 0 });
    expect(upstream.getMetrics()).toMatchObject({ calls: 3, inFlight: 1, refused: 2, failed: 0 });
  });

  test.each([
    ['its own pool', { concurrency: 1 }],
    ['a pool that was handed in', new PromisePool({ concurrency: 1 })],
    ['no pool', undefined],
  ])('an open breaker before %s refuses with its own error, and is not asked again', async (_, pool) => {
    const shouldRetry = vi.fn(() => true);
    const upstream = new Upstream({
      name: 'api',
      retry: { ...patient, shouldRetry },
      breaker: { openFor: 1_000 },
      pool,
    });
    upstream.breaker?.forceOpen(1_000);
    const task = vi.fn(() => 1);
    const error = await rejection(upstream.execute(task));
    expect(error).toBeInstanceOf(CircuitOpenError);
    expect(error).toMatchObject({ source: 'api', retryAfter: 1_000 });
    expect(task).not.toHaveBeenCalled();
    expect(shouldRetry).not.toHaveBeenCalled();
    await advance(1_000);
    expect(await upstream.execute(task)).toBe(1);
    expect(upstream.breaker?.state).toBe('closed');
  });

  test('a caller leaves alone; the last one takes the attempt with it', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: {}, retry: patient, pool: { concurrency: 1 } });
    const signals: AbortSignal[] = [];
    const task = ({ signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const first = rejection(upstream.execute(task, { key: 1, signal: one.signal }));
    const second = rejection(upstream.execute(task, { key: 1, signal: two.signal }));
    one.abort('one left');
    expect(await first).toBe('one left');
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    two.abort('two left');
    expect(await second).toBe('two left');
    await turns();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(upstream.pool?.running).toBe(0);
    expect(upstream.getMetrics()).toMatchObject({ calls: 2, aborted: 2, inFlight: 0 });
  });

  test.each([
    ['its own pool', () => ({ concurrency: 2 })],
    ['a pool that was handed in', () => new PromisePool({ concurrency: 2, abortGrace: 50 })],
  ])(
    'a hung upstream behind %s: the breaker knows at the first timeout, the slots are free one more later',
    async (_, poolOf) => {
      const breaker = { minCalls: 1, openFor: 10_000 };
      const upstream = new Upstream({ name: 'api', timeout: 50, breaker, pool: poolOf() });
      const hung = [1, 2].map(() => rejection(upstream.execute(hang)));
      const waiting = [1, 2, 3].map(() => rejection(upstream.execute(hang)));
      await advance(49);
      expect(upstream.breaker?.state).toBe('closed');
      await advance(1);
      expect(upstream.breaker?.state).toBe('open');
      for (const error of await Promise.all(hung)) expect(error).toBeInstanceOf(TimeoutError);
      for (const error of await Promise.all(waiting)) expect(error).toBeInstanceOf(CircuitOpenError);
      expect([upstream.pool?.running, upstream.pool?.queued]).toEqual([2, 0]);
      await advance(50);
      expect([upstream.pool?.running, upstream.pool?.queued]).toEqual([0, 0]);
      expect(upstream.getMetrics()).toMatchObject({ calls: 5, failed: 2, refused: 3, inFlight: 0 });
    },
  );

  test('a sleeping retry does not wait out an open breaker: the next attempt is refused with its error', async () => {
    const upstream = new Upstream({ name: 'api', retry: patient, breaker: { minCalls: 1, openFor: 10_000 } });
    const task = vi.fn(() => Promise.reject(httpError(500)));
    const error = rejection(upstream.execute(task));
    await advance(100);
    expect(await error).toBeInstanceOf(CircuitOpenError);
    expect(task).toHaveBeenCalledTimes(1);
    expect(upstream.getMetrics()).toMatchObject({ calls: 1, refused: 1 });
  });

  test('`classify` speaks to breaker, pool and retry', async () => {
    const classify = vi.fn(
      ({ status }: { status: string }): Verdict => (status === 'rejected' ? 'overload' : 'success'),
    );
    const upstream = new Upstream({ name: 'api', retry: patient, breaker: { minCalls: 2 }, classify });
    const notFound = httpError(404);
    const task = vi.fn(() => Promise.reject(notFound));
    const error = rejection(upstream.execute(task));
    await advance(1_000);
    // The second bad call opens the breaker, so the third attempt is refused.
    expect(await error).toBeInstanceOf(CircuitOpenError);
    expect(task).toHaveBeenCalledTimes(2);
    expect(upstream.breaker?.state).toBe('open');
  });

  test('a classify that throws counts as the default', async () => {
    const classify = (): never => {
      throw new Error('oops');
    };
    const upstream = new Upstream({
      name: 'api',
      retry: { ...patient, maxAttempts: 2 },
      breaker: {},
      pool: { concurrency: 1 },
      classify,
    });
    const task = vi.fn(() => Promise.reject(httpError(503)));
    const error = rejection(upstream.execute(task));
    await advance(1_000);
    expect(await error).toMatchObject({ status: 503 });
    expect(task).toHaveBeenCalledTimes(2);
  });

  test('`totalTimeout` bounds queue, attempts and waits, also without retries', async () => {
    for (const retry of [undefined, patient]) {
      const upstream = new Upstream({ name: 'api', retry, totalTimeout: 80, pool: { concurrency: 1, abortGrace: 0 } });
      const running = rejection(upstream.execute(hang));
      const queued = rejection(upstream.execute(hang));
      await advance(81);
      for (const error of await Promise.all([running, queued])) {
        expect(error).toMatchObject({ name: 'TimeoutError', option: 'totalTimeout', timeout: 80, source: 'api' });
      }
      expect([upstream.pool?.running, upstream.pool?.queued]).toEqual([0, 0]);
    }
  });

  test('options of the call reach the pool', async () => {
    const upstream = new Upstream({ name: 'api', pool: { concurrency: 1, perGroup: { concurrency: 1 } } });
    const order: string[] = [];
    const run = (name: string) => () => later(10).then(() => void order.push(name));
    const all = [
      upstream.execute(run('a')),
      upstream.execute(run('low'), { priority: 'low' }),
      upstream.execute(run('high'), { priority: 'high', group: 'tenant' }),
    ];
    await advance(100);
    await Promise.all(all);
    expect(order).toEqual(['a', 'high', 'low']);
    const slow = rejection(upstream.execute(hang, { timeout: 5 }));
    await advance(5);
    expect(await slow).toMatchObject({ option: 'timeout', timeout: 5 });
  });

  test('the limit holds under keys, retries and timeouts', async () => {
    const gauge = new Gauge();
    const upstream = new Upstream({
      name: 'api',
      timeout: 30,
      coalesce: { ttl: 20 },
      retry: { ...patient, baseDelay: 5 },
      pool: { concurrency: 3, abortGrace: 1_000 },
    });
    const outcomes = Array.from({ length: 200 }, (_, i) =>
      upstream
        .execute(
          () =>
            gauge.run(async () => {
              await later(i % 50);
              if (i % 3 === 0) throw httpError(500);
              return i;
            }),
          i % 2 === 0 ? { key: i % 40 } : {},
        )
        .catch((error: unknown) => error),
    );
    await vi.runAllTimersAsync();
    await Promise.all(outcomes);
    expect(gauge.most).toBe(3);
    expect(identityHolds(upstream)).toBe(true);
    expect(upstream.getMetrics()).toMatchObject({ calls: 200, inFlight: 0 });
  });
});

describe('parts', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('those that were handed in are used and shown, and stay open', async () => {
    const parts = {
      coalescer: new RequestCoalescer({ name: 'shared', ttl: 1_000 }),
      breaker: new CircuitBreaker({ name: 'fuse' }),
      pool: new PromisePool({ name: 'slots', concurrency: 2 }),
      policy: new RetryPolicy({ name: 'again', ...patient }),
    };
    const upstream = new Upstream({
      name: 'api',
      coalesce: parts.coalescer,
      breaker: parts.breaker,
      pool: parts.pool,
      retry: parts.policy,
    });
    expect([upstream.coalescer, upstream.breaker, upstream.pool]).toEqual([parts.coalescer, parts.breaker, parts.pool]);
    expect(await upstream.execute(() => 5, { key: 'k' })).toBe(5);
    expect(parts.coalescer.peek('k')).toMatchObject({ value: 5 });
    expect(parts.policy.getMetrics()).toMatchObject({ calls: 1 });
    expect(parts.breaker.getMetrics()).toMatchObject({ calls: 1 });
    expect(parts.pool.getMetrics()).toMatchObject({ calls: 1 });
    const report = await upstream.close();
    expect(report).toEqual({ clean: true, finished: 0, aborted: 0, refused: 0, left: [] });
    expect(await rejection(upstream.execute(() => 1))).toBeInstanceOf(ClosedError);
    expect(await parts.pool.execute(() => 2)).toBe(2);
    expect(parts.coalescer.peek('k')).toMatchObject({ value: 5 });
  });

  test('those that it made are closed with it', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: { ttl: 1_000 }, pool: { concurrency: 2 } });
    await upstream.execute(() => 5, { key: 'k' });
    await upstream.close();
    expect(upstream.coalescer?.peek('k')).toBeUndefined();
    expect(await rejection(upstream.pool?.execute(() => 1) as Promise<unknown>)).toBeInstanceOf(ClosedError);
  });

  test('without options it is a plain call', async () => {
    const upstream = new Upstream({ name: 'api' });
    expect([upstream.coalescer, upstream.breaker, upstream.pool]).toEqual([undefined, undefined, undefined]);
    const contexts: unknown[] = [];
    const value = await upstream.execute(({ attempt, lastError, signal, stop }) => {
      contexts.push([attempt, lastError, signal.aborted, stop('same')]);
      return 7;
    });
    expect(value).toBe(7);
    expect(contexts).toEqual([[1, undefined, false, 'same']]);
    const error = new Error('mine');
    expect(await rejection(upstream.execute(() => Promise.reject(error)))).toBe(error);
    expect(Object.keys(upstream.getMetrics())).not.toContain('pool');
  });

  test.each([
    [{}, /`name`/],
    [{ name: 'x', timeout: -1 }, /`timeout`/],
    [{ name: 'x', totalTimeout: Number.NaN }, /`totalTimeout`/],
    [{ name: 'x', pool: {} }, /`concurrency`/],
    [{ name: 'x', breaker: { probes: 0 } }, /`probes`/],
    [{ name: 'x', retry: { maxAttempts: 0 } }, /`maxAttempts`/],
    [{ name: 'x', coalesce: { ttl: -1 } }, /`ttl`/],
    [{ name: 'x', classify: 1 }, /`classify`/],
  ])('wrong options are said at once: %j', (options, message) => {
    expect(() => new Upstream(options as unknown as UpstreamOptions)).toThrow(message);
  });

  test('wrong options of a call reject', async () => {
    const upstream = new Upstream({ name: 'api' });
    const wrong: [object, RegExp][] = [
      [{ key: 'k' }, /`key` needs/],
      [{ fresh: true }, /`fresh` needs a `key`/],
      [{ waitUntil: () => {} }, /`waitUntil` needs a `key`/],
      [{ totalTimeout: -1 }, /`totalTimeout`/],
      [{ signal: {} }, /`signal`/],
    ];
    for (const [options, message] of wrong) {
      await expect(upstream.execute(() => 1, options)).rejects.toThrow(message);
    }
    await expect(upstream.execute(5 as never)).rejects.toThrow(/`task`/);
    expect(() => upstream.stream(5 as never)).toThrow(/`open`/);
    expect(upstream.getMetrics().calls).toBe(0);
  });
});

describe('close', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([
    ['its own pool', () => ({ concurrency: 1 })],
    ['a pool that was handed in', () => new PromisePool({ concurrency: 1 })],
  ])('behind %s accepted calls finish within the grace, waiting repeats and queued ones too', async (_, poolOf) => {
    const upstream = new Upstream({ name: 'api', retry: patient, pool: poolOf() });
    let isBad = true;
    const flaky = upstream.execute(async () => {
      if (isBad) throw httpError(500);
      return 'flaky';
    });
    const slow = upstream.execute(() => later(50).then(() => 'slow'));
    const queued = upstream.execute(() => 'queued');
    await turns();
    isBad = false;
    const closing = upstream.close({ grace: 1_000 });
    expect(await rejection(upstream.execute(() => 1))).toBeInstanceOf(ClosedError);
    await advance(200);
    expect(await Promise.all([flaky, slow, queued])).toEqual(['flaky', 'slow', 'queued']);
    expect(await closing).toEqual({ clean: true, finished: 3, aborted: 0, refused: 0, left: [] });
  });

  test('what outlasts the grace is aborted with the reason, and named if it goes on', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: {}, retry: patient, pool: { concurrency: 1 } });
    const reason = new Error('shutting down');
    let signal: AbortSignal | undefined;
    const running = rejection(
      upstream.execute(
        (context) => {
          signal = context.signal;
          return hang();
        },
        { key: 'k', group: 'tenant' },
      ),
    );
    const queued = rejection(upstream.execute(hang));
    const closing = upstream.close({ grace: 100, abortGrace: 50, reason });
    await advance(100);
    expect(await running).toBe(reason);
    expect(await queued).toBe(reason);
    expect(signal?.reason).toBe(reason);
    await advance(50);
    expect(await closing).toEqual({ clean: false, finished: 0, aborted: 1, refused: 1, left: ['api#tenant'] });
    expect(await upstream.close()).toBe(await closing);
  });

  test('a later close may only shorten the grace; wrong options reject and close nothing', async () => {
    const upstream = new Upstream({ name: 'api' });
    await expect(upstream.close({ grace: Number.NaN })).rejects.toThrow(/`grace`/);
    expect(await upstream.execute(() => 1)).toBe(1);
    const call = rejection(upstream.execute(hang));
    const closing = upstream.close({ grace: 10_000 });
    const again = upstream.close({ grace: 10, abortGrace: 0 });
    void upstream.close({ grace: 5_000 });
    await advance(11);
    expect(await call).toBeInstanceOf(ClosedError);
    expect(await again).toBe(await closing);
  });

  test('`await using` waits for the calls', async () => {
    let isDone = false;
    const upstream = new Upstream({ name: 'api' });
    void upstream.execute(async () => {
      await later(20);
      isDone = true;
    });
    const disposing = upstream[Symbol.asyncDispose]();
    await advance(20);
    await disposing;
    expect(isDone).toBe(true);
  });
});
