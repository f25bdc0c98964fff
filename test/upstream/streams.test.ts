import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitOpenError } from '../../src/breaker/index.js';
import { ClosedError, TimeoutError } from '../../src/core/errors.js';
import { PromisePool, QueueFullError } from '../../src/pool/index.js';
import { Upstream, type UpstreamOptions } from '../../src/upstream/index.js';
import { advance, hang, httpError, identityHolds, later, rejection, turns } from './support.js';

const patient = { jitter: 'none', baseDelay: 100, maxAttempts: 3 } as const;

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

/** Numbers from 0, one every `gap` ms. */
async function* numbers(count: number, gap = 0, log: string[] = []): AsyncGenerator<number> {
  try {
    for (let i = 0; i < count; i++) {
      if (gap > 0) await later(gap);
      yield i;
    }
    log.push('end');
  } finally {
    log.push('closed');
  }
}

const pools = [
  ['its own pool', () => ({ concurrency: 1 })],
  ['a pool that was handed in', () => new PromisePool({ concurrency: 1 })],
] as const;

function running({ pool }: Upstream): readonly [number | undefined, number | undefined] {
  return [pool?.running, pool?.queued];
}

describe('a stream through the layers', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each(pools)('behind %s it holds its slot from the opening to the end', async (_, poolOf) => {
    const upstream = new Upstream({ name: 'llm', breaker: {}, pool: poolOf() });
    const open = vi.fn(() => numbers(3));
    const stream = upstream.stream(open);
    await turns();
    expect(open).not.toHaveBeenCalled();
    expect(running(upstream)).toEqual([0, 0]);
    expect(await stream.next()).toEqual({ done: false, value: 0 });
    expect(running(upstream)).toEqual([1, 0]);
    const other = upstream.execute(() => 'other');
    await turns();
    expect(running(upstream)).toEqual([1, 1]);
    expect(await collect(stream)).toEqual([1, 2]);
    expect(await other).toBe('other');
    expect(running(upstream)).toEqual([0, 0]);
    expect(upstream.getMetrics()).toMatchObject({ calls: 2, fulfilled: 2, inFlight: 0, breaker: { calls: 2 } });
  });

  test('it is retried until the first chunk, and holds no slot while the retry sleeps', async () => {
    const upstream = new Upstream({ name: 'llm', retry: patient, pool: { concurrency: 1 } });
    const attempts: number[] = [];
    const stream = upstream.stream(async ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw httpError(503);
      if (attempt === 2) {
        return (async function* () {
          yield* [];
          throw httpError(500);
        })();
      }
      return numbers(2);
    });
    const all = collect(stream);
    await turns(100);
    expect(running(upstream)).toEqual([0, 0]);
    await advance(300);
    expect(await all).toEqual([0, 1]);
    expect(attempts).toEqual([1, 2, 3]);
    expect(upstream.getMetrics()).toMatchObject({ calls: 1, fulfilled: 1, retry: { retries: 2, recovered: 1 } });
  });

  test.each(pools)('what breaks later reaches the reader after the chunks before, behind %s', async (_, poolOf) => {
    const upstream = new Upstream({ name: 'llm', retry: patient, breaker: { minCalls: 1 }, pool: poolOf() });
    const error = httpError(502);
    const stream = upstream.stream(async function* () {
      yield 1;
      yield 2;
      throw error;
    });
    expect([await stream.next(), await stream.next()]).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
    ]);
    expect(await rejection(stream.next())).toBe(error);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    await turns();
    expect(running(upstream)).toEqual([0, 0]);
    expect(upstream.breaker?.state).toBe('open');
    expect(upstream.getMetrics()).toMatchObject({ calls: 1, failed: 1 });
    expect(await rejection(upstream.stream(() => numbers(1)).next())).toBeInstanceOf(CircuitOpenError);
    expect(upstream.getMetrics()).toMatchObject({ calls: 2, failed: 1, refused: 1 });
  });

  test('readers with one key share it, and each leaves alone', async () => {
    const log: string[] = [];
    const upstream = new Upstream({ name: 'llm', coalesce: {}, pool: { concurrency: 1 } });
    const open = vi.fn(() => numbers(4, 10, log));
    const controller = new AbortController();
    const whole = collect(upstream.stream(open, { key: 'k' }));
    const left = upstream.stream(open, { key: 'k', signal: controller.signal });
    const first = left.next();
    await advance(10);
    expect(await first).toEqual({ done: false, value: 0 });
    const next = rejection(left.next());
    controller.abort('gone');
    expect(await next).toBe('gone');
    await advance(10);
    const late = collect(upstream.stream(open, { key: 'k' }));
    await advance(30);
    expect(await Promise.all([whole, late])).toEqual([
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ]);
    expect(open).toHaveBeenCalledTimes(1);
    expect(log).toEqual(['end', 'closed']);
    expect(upstream.getMetrics()).toMatchObject({
      calls: 3,
      fulfilled: 2,
      aborted: 1,
      streams: { loads: 1, coalesced: 2 },
    });
    expect(identityHolds(upstream)).toBe(true);
  });

  test.each(pools)('behind %s the last reader who leaves closes the upstream and frees the slot', async (_, poolOf) => {
    for (const key of [undefined, 'k']) {
      const log: string[] = [];
      const upstream = new Upstream({ name: 'llm', coalesce: {}, breaker: { minCalls: 1 }, pool: poolOf() });
      const stream = upstream.stream(
        ({ signal }) => {
          signal.addEventListener('abort', () => log.push('aborted'));
          return numbers(10, 0, log);
        },
        { key },
      );
      await stream.next();
      await stream.return();
      await turns();
      expect(log).toEqual(['aborted', 'closed']);
      expect(running(upstream)).toEqual([0, 0]);
      expect(upstream.breaker?.state).toBe('closed');
      expect(upstream.getMetrics()).toMatchObject({ calls: 1, aborted: 1, inFlight: 0 });
      await upstream.close();
    }
  });

  test.each(pools)('`timeout` bounds each wait for a chunk, not the whole, behind %s', async (_, poolOf) => {
    const upstream = new Upstream({ name: 'llm', timeout: 50, breaker: { minCalls: 1 }, pool: poolOf() });
    let signal: AbortSignal | undefined;
    const stream = upstream.stream(async function* (context) {
      signal = context.signal;
      for (let i = 0; i < 5; i++) {
        await later(40);
        yield i;
      }
      await hang();
    });
    for (let i = 0; i < 5; i++) {
      const next = stream.next();
      await advance(40);
      expect(await next).toEqual({ done: false, value: i });
    }
    const hung = rejection(stream.next());
    await advance(50);
    const error = await hung;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ option: 'timeout', timeout: 50, source: 'llm' });
    expect(signal?.reason).toBe(error);
    expect(upstream.breaker?.state).toBe('open');
    expect(running(upstream)).toEqual([1, 0]);
    await advance(50);
    expect(running(upstream)).toEqual([0, 0]);
  });

  test('an opening that hangs is an attempt like any other', async () => {
    const upstream = new Upstream({ name: 'llm', timeout: 50, retry: patient, pool: { concurrency: 2 } });
    const open = vi.fn(({ attempt }: { attempt: number }) => (attempt === 1 ? hang() : numbers(1)));
    const all = collect(upstream.stream(open));
    await advance(150);
    expect(await all).toEqual([0]);
    await advance(100);
    expect(running(upstream)).toEqual([0, 0]);
  });

  test('a stream that comes after its reader has left is closed', async () => {
    const log: string[] = [];
    const upstream = new Upstream({ name: 'llm', pool: { concurrency: 1 } });
    const controller = new AbortController();
    const stream = upstream.stream(
      async () => {
        await later(100);
        return numbers(3, 0, log);
      },
      { signal: controller.signal },
    );
    const next = rejection(stream.next());
    await turns();
    controller.abort('gone');
    expect(await next).toBe('gone');
    expect(running(upstream)).toEqual([1, 0]);
    await advance(100);
    expect(running(upstream)).toEqual([0, 0]);
    expect(log).toEqual([]);
    expect(upstream.getMetrics()).toMatchObject({ aborted: 1, inFlight: 0 });
  });

  test('refusals reach the first `next()` as their own errors', async () => {
    const upstream = new Upstream({ name: 'llm', retry: patient, pool: { concurrency: 1, maxQueue: 0 } });
    const holding = upstream.stream(() => numbers(2));
    await holding.next();
    const refused = upstream.stream(() => numbers(2));
    expect(await rejection(refused.next())).toBeInstanceOf(QueueFullError);
    expect(await refused.next()).toEqual({ done: true, value: undefined });
    await holding.return();
    const aborted = upstream.stream(() => numbers(2), { signal: AbortSignal.abort('early') });
    expect(await rejection(aborted.next())).toBe('early');
    expect(upstream.getMetrics()).toMatchObject({ calls: 3, refused: 1, aborted: 2 });
  });

  test('a pool that closes under it ends it with the reason of that', async () => {
    const pool = new PromisePool({ name: 'slots', concurrency: 1 });
    const upstream = new Upstream({ name: 'llm', pool });
    const stream = upstream.stream(() => numbers(10, 10));
    const first = stream.next();
    await advance(10);
    await first;
    const next = rejection(stream.next());
    void pool.close({ grace: 0, reason: 'maintenance' });
    expect(await next).toBe('maintenance');
  });

  test('`close` lets it be read to its end within the grace, or ends it', async () => {
    const upstream = new Upstream({ name: 'llm', coalesce: {}, pool: { concurrency: 5 } });
    const short = collect(upstream.stream(() => numbers(3, 10), { key: 'short' }));
    const long = upstream.stream(() => numbers(1_000, 10));
    const firstLong = long.next();
    await advance(10);
    await firstLong;
    const closing = upstream.close({ grace: 100, abortGrace: 50 });
    expect(await rejection(upstream.stream(() => numbers(1)).next())).toBeInstanceOf(ClosedError);
    await advance(30);
    expect(await short).toEqual([0, 1, 2]);
    const next = long.next();
    await advance(10);
    await next;
    const last = rejection(collect(long));
    await advance(100);
    expect(await last).toBeInstanceOf(ClosedError);
    expect(await closing).toMatchObject({ finished: 1, aborted: 1, left: [] });
  });

  test.each<[string, () => unknown]>([
    [
      'a throw',
      () => {
        throw new Error('opening');
      },
    ],
    ['a rejection', () => Promise.reject(new Error('opening'))],
    ['no stream', () => 5],
    ['a sync iterable', () => [1, 2]],
    ['a broken iterator', () => ({ [Symbol.asyncIterator]: () => ({ next: () => 5 }) })],
  ])('%s of `open` is the error of the reader, and leaves nothing behind', async (_, open) => {
    const upstream = new Upstream({ name: 'llm', pool: { concurrency: 1 } });
    expect(await rejection(upstream.stream(open as never).next())).toBeInstanceOf(Error);
    await turns();
    expect(running(upstream)).toEqual([0, 0]);
    expect(await upstream.close()).toMatchObject({ clean: true });
  });

  test('wrong options are said at once', () => {
    const upstream = new Upstream({ name: 'llm' } satisfies UpstreamOptions);
    expect(() => upstream.stream(() => numbers(1), { key: 'k' })).toThrow(/`key` needs/);
    expect(() => upstream.stream(() => numbers(1), { timeout: -1 })).toThrow(/`timeout`/);
  });
});
