import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';
import { StreamCoalescer } from '../../src/coalescer/index.js';
import { PromisePool, QueueFullError } from '../../src/pool/index.js';
import { RetryPolicy, retryWithBackoff } from '../../src/retry/index.js';
import { Upstream, type UpstreamOptions } from '../../src/upstream/index.js';
import { advance, hang, httpError, later, rejection, turns } from './support.js';

/** Works until it is told not to. */
function listening(log: unknown[] = []) {
  return ({ signal }: { signal: AbortSignal }) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        log.push(signal.reason);
        reject(signal.reason);
      });
    });
}

/** What a promise has come to by now: a hung one must fail a test, not its time limit. */
async function state(promise: Promise<unknown>): Promise<unknown> {
  let now: unknown = 'pending';
  promise.then(
    (value) => {
      now = value;
    },
    (error: unknown) => {
      now = { error };
    },
  );
  await turns(60);
  return now;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('who finishes within the grace of a close', () => {
  test.each([
    ['without a key', undefined],
    ['with a key', 'k'],
  ])('has the value, %s', async (_, key) => {
    const upstream = new Upstream({ name: 'api', coalesce: {} });
    const call = upstream.execute(() => later(10).then(() => 5), { key });
    const closing = upstream.close({ grace: 100 });
    await advance(10);
    expect(await state(call)).toBe(5);
    expect(await closing).toEqual({ clean: true, finished: 1, aborted: 0, refused: 0, left: [] });
  });

  test('has its own error, with a key', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: {} });
    const error = new Error('mine');
    const call = rejection(upstream.execute(() => later(10).then(() => Promise.reject(error)), { key: 'k' }));
    void upstream.close({ grace: 100 });
    await advance(10);
    expect(await call).toBe(error);
  });

  test.each([
    ['without a key', undefined],
    ['with a key', 'k'],
  ])('has the rest of a stream, %s', async (_, key) => {
    const upstream = new Upstream({ name: 'api', coalesce: {} });
    const open = async function* () {
      yield 1;
      await later(10);
      yield 2;
    };
    const stream = upstream.stream(open, { key });
    await stream.next();
    const closing = upstream.close({ grace: 100 });
    const rest = Promise.all([stream.next(), stream.next()]);
    await advance(10);
    expect(await state(rest)).toEqual([
      { done: false, value: 2 },
      { done: true, value: undefined },
    ]);
    expect(await closing).toEqual({ clean: true, finished: 1, aborted: 0, refused: 0, left: [] });
  });

  test('has all of a stream that began in the same turn', async () => {
    const upstream = new Upstream({ name: 'api' });
    const stream = upstream.stream(async function* () {
      yield 1;
    });
    const all = Promise.all([stream.next(), stream.next()]);
    const closing = upstream.close({ grace: 100 });
    expect(await state(all)).toEqual([
      { done: false, value: 1 },
      { done: true, value: undefined },
    ]);
    expect(await closing).toMatchObject({ clean: true, finished: 1 });
  });

  test('has the error that ends a stream', async () => {
    const upstream = new Upstream({ name: 'api' });
    const error = new Error('mine');
    const stream = upstream.stream(async function* () {
      yield 1;
      await later(10);
      throw error;
    });
    await stream.next();
    void upstream.close({ grace: 100 });
    const next = rejection(stream.next());
    await advance(10);
    expect(await next).toBe(error);
  });
});

describe('close', () => {
  test('ends a stream that waits for its reader at once', async () => {
    for (const pool of [undefined, { concurrency: 1 }, new PromisePool({ concurrency: 1 })]) {
      const upstream = new Upstream({ name: 'api', pool });
      const log: unknown[] = [];
      const stream = upstream.stream(async function* ({ signal }) {
        signal.addEventListener('abort', () => log.push('aborted'));
        try {
          yield 1;
          yield 2;
        } finally {
          log.push('closed');
        }
      });
      await stream.next();
      const report = await state(upstream.close({ grace: 0, abortGrace: Number.POSITIVE_INFINITY, reason: 'bye' }));
      expect(log).toEqual(['aborted', 'closed']);
      expect(report).toEqual({ clean: false, finished: 0, aborted: 1, refused: 0, left: [] });
      expect(await rejection(stream.next())).toBe('bye');
    }
  });

  test('reports though a task that was timed out hangs, and names it, as a pool does', async () => {
    const pool = new PromisePool({ name: 'api', concurrency: 1, timeout: 10, abortGrace: 10 });
    const upstream = new Upstream({ name: 'api', timeout: 10, pool: { concurrency: 1 } });
    for (const each of [pool, upstream]) {
      void each.execute(hang).catch(() => {});
      await advance(30);
      const closing = each.close();
      await advance(2_000);
      expect(await state(closing)).toMatchObject({ clean: false, left: ['api'] });
    }
  });

  test('names a stream that goes on once', async () => {
    for (const pool of [undefined, { concurrency: 1 }, new PromisePool({ concurrency: 1 })]) {
      const upstream = new Upstream({ name: 'api', pool });
      const stream = upstream.stream(async function* () {
        yield 1;
        await hang();
      });
      await stream.next();
      const next = rejection(stream.next());
      await turns();
      const closing = upstream.close({ grace: 0, abortGrace: 10 });
      await advance(20);
      expect(await next).toMatchObject({ code: 'CLOSED' });
      expect(await state(closing)).toMatchObject({ aborted: 1, left: ['api'] });
    }
  });

  test('from within a close is the same close, and what comes then is refused', async () => {
    const upstream = new Upstream({ name: 'api' });
    let again: Promise<unknown> | undefined;
    let late: Promise<unknown> | undefined;
    const task = ({ signal }: { signal: AbortSignal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          again = upstream.close({ grace: 0 });
          late = state(upstream.execute(hang));
          reject(signal.reason);
        });
      });
    const call = rejection(upstream.execute(task));
    const report = await state(upstream.close({ grace: 0 }));
    await call;
    expect(report).toMatchObject({ aborted: 1, left: [] });
    expect(await again).toBe(report);
    expect(await late).toMatchObject({ error: { code: 'CLOSED' } });
  });

  test.each([null, 0, '', false])('with the reason %j tells callers just that', async (reason) => {
    const upstream = new Upstream({ name: 'api' });
    const call = rejection(upstream.execute(hang));
    void upstream.close({ grace: 0, reason });
    expect(await call).toBe(reason);
  });

  test('counts a task that ran as no refusal, whatever the reason is', async () => {
    for (const reason of [undefined, 'bye']) {
      const upstream = new Upstream({ name: 'api' });
      void upstream.execute(hang).catch(() => {});
      void upstream.close({ grace: 0, reason });
      await turns();
      expect(upstream.getMetrics()).toMatchObject({ inFlight: 0, refused: 0 });
    }
  });
});

describe('a policy that was handed in with timeouts of its own', () => {
  const policy = () => new RetryPolicy({ attemptTimeout: 10, maxAttempts: 2, jitter: 'none', baseDelay: 5 });

  test.each([
    ['its own pool', () => ({ concurrency: 5 })],
    ['a pool that was handed in', () => new PromisePool({ concurrency: 5 })],
  ])('aborts the attempt that took too long, behind %s', async (_, poolOf) => {
    const log: unknown[] = [];
    const upstream = new Upstream({ name: 'api', retry: policy(), breaker: {}, pool: poolOf() });
    const error = rejection(upstream.execute(listening(log)));
    await advance(1_000);
    expect(await error).toMatchObject({ option: 'attemptTimeout' });
    expect(log).toHaveLength(2);
    expect(upstream.pool?.running).toBe(0);
  });

  test('takes a call whose time is over out of the queue', async () => {
    const upstream = new Upstream({
      name: 'api',
      retry: new RetryPolicy({ totalTimeout: 10 }),
      pool: { concurrency: 1 },
    });
    void upstream.pool?.execute(() => later(50));
    const task = vi.fn(() => 1);
    const open = vi.fn(async function* () {
      yield 1;
    });
    const ends = [rejection(upstream.execute(task)), rejection(upstream.stream(open).next())];
    await advance(1_000);
    for (const error of await Promise.all(ends)) expect(error).toMatchObject({ option: 'totalTimeout' });
    expect([task, open].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
    expect(upstream.pool?.running).toBe(0);
  });

  test('gives back the slot of an opening that took too long', async () => {
    const upstream = new Upstream({ name: 'api', retry: policy(), pool: { concurrency: 2 } });
    const stream = upstream.stream(async function* (context) {
      if (context.attempt === 1) await listening()(context);
      yield context.attempt;
    });
    const next = stream.next();
    await advance(100);
    expect(await next).toEqual({ done: false, value: 2 });
    expect(upstream.pool?.running).toBe(1);
    await stream.return();
    expect(upstream.pool?.running).toBe(0);
    expect(await state(upstream.close())).toMatchObject({ clean: true });
  });
});

describe('before a pool that was handed in', () => {
  test('its refusals are no bad samples, whatever `classify` says', async () => {
    const upstream = new Upstream({
      name: 'api',
      breaker: { minCalls: 1 },
      pool: new PromisePool({ concurrency: 1, maxQueue: 0 }),
      classify: ({ status }) => (status === 'rejected' ? 'failure' : 'success'),
    });
    void upstream.execute(hang);
    expect(await rejection(upstream.execute(hang))).toBeInstanceOf(QueueFullError);
    expect(upstream.breaker?.state).toBe('closed');
  });

  test('its refusals are no bad samples of a breaker that was handed in, whatever its `classify` says', async () => {
    const classify = ({ status }: { status: string }) => (status === 'rejected' ? 'failure' : 'success');
    const upstream = new Upstream({
      name: 'api',
      breaker: new CircuitBreaker({ minCalls: 1, classify }),
      pool: new PromisePool({ concurrency: 1, maxQueue: 0 }),
    });
    void upstream.execute(hang);
    expect(await rejection(upstream.execute(hang))).toBeInstanceOf(QueueFullError);
    expect(await rejection(upstream.stream(hang).next())).toBeInstanceOf(QueueFullError);
    expect(upstream.breaker?.state).toBe('closed');
  });

  test('its end ends a stream that waits for its reader', async () => {
    const pool = new PromisePool({ name: 'slots', concurrency: 1 });
    const upstream = new Upstream({ name: 'api', pool });
    let isClosed = false;
    const stream = upstream.stream(async function* () {
      try {
        yield 1;
        yield 2;
      } finally {
        isClosed = true;
      }
    });
    await stream.next();
    const report = await state(pool.close({ grace: 0 }));
    expect(isClosed).toBe(true);
    expect(report).toMatchObject({ left: [] });
    expect(await rejection(stream.next())).toMatchObject({ code: 'CLOSED', source: 'slots' });
  });
});

test.each([
  ['its own pool', () => ({ concurrency: 1 })],
  ['a pool that was handed in', () => new PromisePool({ concurrency: 1 })],
])('wrong options of a call are neither repeated nor a bad sample, before %s', async (_, poolOf) => {
  for (const wrong of [{ priority: 'urgent' }, { cost: Number.NaN }, { queueTimeout: -1 }, { group: {} }]) {
    const upstream = new Upstream({ name: 'api', retry: {}, breaker: { minCalls: 1 }, pool: poolOf() });
    const error = await state(upstream.execute(() => 1, wrong as object));
    expect(error).toMatchObject({ error: expect.any(Error) });
    expect(upstream.breaker?.state).toBe('closed');
    expect(upstream.getMetrics().retry?.retries).toBe(0);
  }
});

test('a retry around it repeats what it would repeat without a `totalTimeout`', async () => {
  for (const totalTimeout of [undefined, 1_000_000]) {
    const upstream = new Upstream({ name: 'api', totalTimeout });
    const task = vi.fn(() => Promise.reject(httpError(503)));
    const error = rejection(retryWithBackoff(() => upstream.execute(task), { maxAttempts: 3 }));
    await advance(100_000);
    await error;
    expect(task).toHaveBeenCalledTimes(3);
  }
});

test.each([null, undefined, 0, '', Number.NaN])(
  'an abort with %j is told as it is, and counted as one',
  async (reason) => {
    const upstream = new Upstream({ name: 'api', coalesce: {} });
    for (const key of [undefined, 'k']) {
      const control = new AbortController();
      const error = rejection(upstream.execute(listening(), { key, signal: control.signal }));
      control.abort(reason);
      expect(await error).toBe(control.signal.reason);
    }
    expect(upstream.getMetrics()).toMatchObject({ aborted: 2, failed: 0 });
  },
);

describe('a stream', () => {
  test('is left within one `timeout`, though its iterator never closes', async () => {
    const endless = { next: async () => ({ done: false, value: 1 }) as const, return: hang };
    const upstream = new Upstream({ name: 'api', timeout: 50, pool: { concurrency: 1 } });
    const stream = upstream.stream(() => ({ [Symbol.asyncIterator]: () => endless }));
    await stream.next();
    const left = stream.return();
    await advance(50);
    expect(await state(left)).toEqual({ done: true, value: undefined });
    expect(upstream.pool?.running).toBe(0);
    const closing = upstream.close();
    await advance(2_000);
    expect(await state(closing)).toMatchObject({ aborted: 0 });
  });

  test('whose reader is aborted while nobody asks is no call in flight', async () => {
    const control = new AbortController();
    const upstream = new Upstream({ name: 'api' });
    const open = async function* () {
      yield 1;
      yield 2;
    };
    const stream = upstream.stream(open, { signal: control.signal });
    await stream.next();
    control.abort('gone');
    await turns();
    expect(upstream.getMetrics()).toMatchObject({ inFlight: 0, aborted: 1 });
    expect(await rejection(stream.next())).toBe('gone');
    expect(upstream.getMetrics()).toMatchObject({ calls: 1, inFlight: 0, aborted: 1 });
  });

  test('that was cut while nobody asked says so at once, though its iterator never closes', async () => {
    const endless = { next: async () => ({ done: false, value: 1 }) as const, return: hang };
    const upstream = new Upstream({ name: 'api' });
    const stream = upstream.stream(() => ({ [Symbol.asyncIterator]: () => endless }));
    await stream.next();
    void upstream.close({ grace: 0, reason: 'bye' });
    expect(await state(stream.next())).toEqual({ error: 'bye' });
  });

  test('has the same `totalTimeout` with retries and without', async () => {
    const seen = [undefined, {}].map(async (retry) => {
      const upstream = new Upstream({ name: 'api', totalTimeout: 100, retry });
      const open = async function* () {
        for (let i = 0; i < 5; i++) {
          await later(50);
          yield i;
        }
      };
      const all: unknown[] = [];
      try {
        for await (const chunk of upstream.stream(open)) all.push(chunk);
      } catch (error) {
        all.push((error as Error).name);
      }
      return all;
    });
    await advance(1_000);
    const [plain, retried] = await Promise.all(seen);
    expect(plain).toEqual(retried);
  });

  test('that is shared ends in any case: a `totalTimeout` alone bounds no silence', async () => {
    const upstream = new Upstream({ name: 'api', coalesce: {}, totalTimeout: 100 });
    const open = async function* () {
      yield 1;
      await hang();
    };
    const stream = upstream.stream(open, { key: 'k' });
    await stream.next();
    const next = rejection(stream.next());
    await advance(100_000);
    expect(await state(next)).toMatchObject({ name: 'TimeoutError' });
  });
});

test.each([true, null, 5, new StreamCoalescer()])('`coalesce: %o` is said to be wrong', (coalesce) => {
  expect(() => new Upstream({ name: 'api', coalesce } as unknown as UpstreamOptions)).toThrow(/`coalesce`/);
});
