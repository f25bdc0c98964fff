import { AsyncLocalStorage } from 'node:async_hooks';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, type ChunkContext, chunkAllSettled, MissingResultError } from '../../src/batch/index.js';
import { asynchronously, finish, Gauge, never, statuses, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

// BATCH-01, graphql/dataloader#172: a maximum of 20 per call over 1,000 keys made 50 calls at once.
test('the size of a chunk does not multiply the concurrency', async () => {
  const gauge = new Gauge();
  const call = (chunk: readonly number[]) => gauge.around(() => wait(5).then(() => [...chunk]));
  const report = await finish(chunkAllSettled(upTo(1_000), call, { size: 20, concurrency: 3 }));
  expect(gauge).toMatchObject({ entries: 50, max: 3 });
  expect(report.unwrap()).toEqual(upTo(1_000));
});

// BATCH-02, getsentry/warden#126, aws/graph-explorer#2096, LedgerHQ/ledger-live-common#632: lanes idle at a barrier.
describe('a slow call holds up nobody', () => {
  test('items: a free lane takes the next one', async () => {
    const ended: number[] = [];
    const work = async (ms: number, { index }: { index: number }) => {
      await wait(ms);
      ended.push(index);
    };
    await finish(batchAllSettled([100, 10, 11, 12], work, { concurrency: 2 }));
    expect(ended).toEqual([1, 2, 3, 0]);
  });

  test('50 calls of uneven length in 5 lanes beat a barrier after each five', async () => {
    const times = upTo(50).map((i) => (i % 5 === 0 ? 100 : 10 + (i % 7)));
    const report = await finish(batchAllSettled(times, wait, { concurrency: 5 }));
    const barrier = upTo(10).reduce((sum, i) => sum + Math.max(...times.slice(5 * i, 5 * i + 5)), 0);
    const work = times.reduce((sum, time) => sum + time, 0);
    expect(barrier).toBe(1_000);
    expect(report.stats.durationMs).toBeLessThan(work / 5 + 100);
    expect(report.stats.durationMs).toBeLessThan(barrier / 2);
  });

  test('chunks: the same', async () => {
    const ended: number[] = [];
    const call = async (chunk: readonly number[], { offset }: { offset: number }) => {
      await wait(chunk[0] as number);
      ended.push(offset);
      return chunk;
    };
    await finish(chunkAllSettled([100, 100, 10, 10, 11, 11, 12, 12], call, { size: 2, concurrency: 2 }));
    expect(ended).toEqual([2, 4, 6, 0]);
  });
});

// BATCH-04, graphql/dataloader#66 #104 #237, Arize-ai/phoenix#4518: an unordered or short answer was dealt to the wrong items.
describe('an answer that is not one value per item in order', () => {
  const items = [{ id: 'a' }, { id: 'b' }, { id: 'c' }];

  test('is looked up by key; what it lacks is a missing result', async () => {
    const call = () =>
      new Map([
        ['c', 3],
        ['a', 1],
        ['x', 0],
      ]);
    const report = await chunkAllSettled(items, call, { size: 3, key: ({ id }) => id });
    expect(report.values).toEqual([1, 3]);
    expect(report.errors).toHaveLength(1);
    expect(report.errors[0]).toMatchObject({ index: 1, item: { id: 'b' } });
    const { reason } = report.errors[0] as { reason: unknown };
    expect(reason).toBeInstanceOf(MissingResultError);
    expect(reason).toMatchObject({ code: 'MISSING_RESULT', source: 'batch', expected: 3, received: 2 });
  });

  test.each([[[1, 2]], [[1, 2, 3, 4]], [undefined], [null], ['abc'], [{ length: 3 }], [new Set([1, 2, 3])]])(
    '%j rejects every item of the chunk, and only of that chunk',
    async (answer) => {
      const call = (chunk: readonly unknown[], { offset }: { offset: number }) =>
        (offset === 0 ? answer : chunk.map(() => 'fine')) as string[];
      const report = await chunkAllSettled([...items, { id: 'd' }], call, { size: 3 });
      expect(statuses(report)).toBe('rrrf');
      for (const { reason } of report.errors) {
        const received = Array.isArray(answer) ? answer.length : 0;
        expect(reason).toMatchObject({ name: 'MissingResultError', expected: 3, received });
      }
    },
  );

  test('a wrong length is not asked for again, since it would be answered the same way', async () => {
    const call = vi.fn(() => [1]);
    const report = await finish(chunkAllSettled(items, call, { size: 3, retry: { maxAttempts: 5 } }));
    expect(call).toHaveBeenCalledTimes(1);
    expect(statuses(report)).toBe('rrr');
  });

  test('a missing entry is not asked for again either', async () => {
    const call = vi.fn(
      () =>
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
    );
    const options = { size: 3, key: ({ id }: { id: string }) => id, retry: {} };
    const report = await finish(chunkAllSettled(items, call, options));
    expect(call).toHaveBeenCalledTimes(1);
    expect(statuses(report)).toBe('ffr');
  });
});

// BATCH-05, dataloader: an error of another realm counted as a value, one of this realm as a failure.
test('only `fail` marks a failure; errors in an answer, of whatever realm, are values', async () => {
  const foreign: unknown = runInNewContext('new Error("foreign")');
  const own = new Error('own');
  const call = (_: readonly number[], { fail }: ChunkContext) => [foreign, own, fail(foreign), fail(own)];
  const report = await chunkAllSettled([0, 1, 2, 3], call, { size: 4 });
  expect(report.values).toEqual([foreign, own]);
  expect(report.errors.map(({ reason }) => reason)).toEqual([foreign, own]);
});

// BATCH-08, sindresorhus/p-map#29 #42: what had succeeded was lost with the first failure.
test('failures cost no results', async () => {
  const work = (n: number) => (n % 2 === 0 ? n : Promise.reject(n));
  const report = await batchAllSettled([0, 1, 2, 3, 4], work);
  expect(report.values).toEqual([0, 2, 4]);
  expect(report.errors.map(({ reason }) => reason)).toEqual([1, 3]);
  expect(report.ok).toBe(false);
});

// BATCH-10, sindresorhus/p-map#48, sindresorhus/p-limit#110: a throwing iterator left rejections of the work unhandled.
test('a source that throws while work fails leaves nothing unhandled', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const inputError = new Error('input');
  function* source(): Generator<number> {
    yield* [0, 1, 2];
    throw inputError;
  }
  const work = async (n: number) => {
    await wait(n);
    if (n === 1) throw new Error('work');
  };
  const report = await finish(batchAllSettled(source(), work));
  vi.useRealTimers();
  await wait(5);
  process.off('unhandledRejection', unhandled);
  expect(statuses(report)).toBe('frf');
  expect(report).toMatchObject({ inputError, aborted: false, ok: false });
  expect(unhandled).not.toHaveBeenCalled();
});

// BATCH-11, sindresorhus/p-map#76: an async source let more run than allowed.
test('an async source does not break the limit, and is read as lanes come free', async () => {
  const gauge = new Gauge();
  let pulled = 0;
  let ended = 0;
  async function* source(): AsyncGenerator<number> {
    for (; pulled < 10; pulled++) {
      expect(pulled - ended).toBeLessThanOrEqual(1);
      yield pulled;
    }
  }
  const work = () =>
    gauge.around(async () => {
      await wait(1);
      ended++;
    });
  await finish(batchAllSettled(source(), work, { concurrency: 1 }));
  expect(gauge).toMatchObject({ entries: 10, max: 1 });
});

// BATCH-14, supercharge/promise-pool#23: each failure cost a lane for good.
test('failures cost no lanes', async () => {
  const gauge = new Gauge();
  const running: number[] = [];
  const work = (n: number) =>
    gauge.around(async () => {
      running.push(gauge.now);
      await wait(10);
      if (n % 3 === 0) throw new Error('third');
    });
  await finish(batchAllSettled(upTo(30), work, { concurrency: 4 }));
  expect(gauge.max).toBe(4);
  expect(Math.max(...running.slice(-8))).toBe(4);
});

// BATCH-16, supercharge/promise-pool#48 #54: one hung item clogged a lane for good.
test('a hung item is settled at its timeout, its signal aborts, and its lane is given up a timeout later', async () => {
  let aborted: unknown;
  const starts: number[] = [];
  const begin = performance.now();
  const work = (n: number, { signal }: { signal: AbortSignal }) => {
    starts.push(performance.now() - begin);
    signal.addEventListener('abort', () => {
      aborted = signal.reason;
    });
    return n === 0 ? never() : n;
  };
  const report = await finish(batchAllSettled([0, 1, 2], work, { concurrency: 1, timeout: 50 }));
  expect(statuses(report)).toBe('rff');
  expect(report.errors[0]?.reason).toMatchObject({ code: 'TIMEOUT', option: 'timeout', timeout: 50, source: 'batch' });
  expect(aborted).toBe(report.errors[0]?.reason);
  expect(starts).toEqual([0, 100, 100]);
  expect(report.stats).toMatchObject({ abandoned: 1, durationMs: 100, calls: 3 });
});

// BATCH-07, graphql/dataloader#258, and BATCH-17, aws/aws-sdk-js#1262, balmbees/dynamo-types#29: a call that succeeded with
// unprocessed items counted as a success of all, or all were sent again.
test('only the failed items of a chunk are sent again, together', async () => {
  const sent: string[] = [];
  const call = (chunk: readonly string[], { attempt, fail }: ChunkContext) => {
    sent.push(chunk.join(''));
    return chunk.map((item) => (attempt === 1 && 'bd'.includes(item) ? fail('unprocessed') : item));
  };
  const retry = { baseDelay: 10, jitter: 'none' } as const;
  const report = await finish(chunkAllSettled([...'abcdef'], call, { size: 5, retry }));
  expect(sent).toEqual(['abcde', 'f', 'bd']);
  expect(report.unwrap()).toEqual([...'abcdef']);
  expect(report.results.map(({ attempts }) => attempts)).toEqual([1, 2, 1, 2, 1, 1]);
  expect(report.stats).toMatchObject({ calls: 3, retries: 1 });
});

// BATCH-19, risingwavelabs/risingwave#25985: composite keys were compared as sets, so (a,b) and (b,a) were one.
test('tuple keys are compared by content and in order', async () => {
  const pairs = [
    ['a', 'b'],
    ['b', 'a'],
    ['a', 'b'],
    ['ab', ''],
    ['a-b', 'c'],
    ['a', 'b-c'],
  ] as const;
  const call = (chunk: readonly (readonly [string, string])[]) => new Map(chunk.map(([x, y]) => [[x, y], `${x}|${y}`]));
  const report = await chunkAllSettled(pairs, call, { size: 10, key: ([x, y]) => [x, y] });
  expect(report.unwrap()).toEqual(pairs.map(([x, y]) => `${x}|${y}`));
});

// BATCH-20, cocoindex-io/cocoindex#2270, DeytaHQ/khora#149, topoteretes/cognee#4856: one bad item failed its 19 neighbours.
test.each(upTo(20))('one poisoned item of 20, at place %i, is found by halving', async (poison) => {
  const call = vi.fn((chunk: readonly number[]) => {
    if (chunk.includes(poison)) throw new Error('poison');
    return chunk.map((n) => n * 2);
  });
  const report = await chunkAllSettled(upTo(20), call, { size: 20, onChunkError: 'split' });
  expect(report.errors.map(({ item }) => item)).toEqual([poison]);
  expect(report.values).toEqual(upTo(20).flatMap((n) => (n === poison ? [] : [n * 2])));
  expect(call.mock.calls.length - 1).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(20)));
  expect(report.stats.splits).toBe((call.mock.calls.length - 1) / 2);
});

// BATCH-22, vectorize-io/hindsight#1571: an item over the limit was never sent alone and stalled the worker.
test('an item that is too heavy goes alone and fails alone', async () => {
  const sent: (readonly number[])[] = [];
  const call = (chunk: readonly number[]) => {
    sent.push(chunk);
    if (chunk.reduce((sum, n) => sum + n, 0) > 10) throw new Error('too large');
    return chunk;
  };
  const report = await chunkAllSettled([4, 4, 99, 5, 5, 1], call, { size: 5, weight: { of: (n) => n, max: 10 } });
  expect(sent).toEqual([[4, 4], [99], [5, 5], [1]]);
  expect(statuses(report)).toBe('ffrfff');
});

// BATCH-25, Effect-TS/effect#7613: part of a batch had completed, then its failure overwrote that.
test('what succeeded stays so when the repeat of its neighbours fails as a whole', async () => {
  const call = (chunk: readonly string[], { attempt, fail }: ChunkContext) => {
    if (attempt > 1) throw new Error('down');
    return chunk.map((item) => (item === 'b' ? fail('busy') : item));
  };
  const report = await finish(chunkAllSettled(['a', 'b', 'c'], call, { size: 3, retry: { maxAttempts: 2 } }));
  expect(report.values).toEqual(['a', 'c']);
  expect(report.errors).toEqual([{ status: 'rejected', reason: new Error('down'), item: 'b', index: 1, attempts: 2 }]);
});

// BATCH-26, apify/apify-sdk-python#975: the second of two equal items was reported as done though its write was lost.
test('equal items share the outcome of their own call only', async () => {
  const call = (chunk: readonly string[], { offset }: { offset: number }) => {
    if (offset > 0) throw new Error('lost');
    return new Map(chunk.map((item) => [item, `saved ${item}`]));
  };
  const report = await chunkAllSettled(['x', 'x', 'x'], call, { size: 2 });
  expect(statuses(report)).toBe('ffr');
});

// BATCH-28, graph-gophers/dataloader#80 #121: calls ran in the context of whoever happened to come first.
describe('every call runs in the async context of who asked for the batch', () => {
  const store = new AsyncLocalStorage<string>();
  // Fake timers fire in the context of whoever advances them.
  beforeEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ['an array', () => upTo(12)],
    ['an async source', () => asynchronously(upTo(12))],
  ])('%s', async (_, source) => {
    const seen: (string | undefined)[] = [];
    const work = async (n: number) => {
      seen.push(store.getStore());
      await store.run('inner', () => wait(n % 3));
      if (n % 4 === 0) throw new Error('again');
    };
    const options = { concurrency: 3, delay: 1, timeout: 9_000, retry: { maxAttempts: 2, baseDelay: 1 } };
    const mine = store.run('mine', () => batchAllSettled(source(), work, options));
    const other = store.run('other', () => batchAllSettled(upTo(3), wait));
    await Promise.all([mine, other]);
    expect(seen.length).toBeGreaterThan(12);
    expect(new Set(seen)).toEqual(new Set(['mine']));
  });
});

// BATCH-29, guides to MS Graph `$batch`: 20 requests a call, outer 200, inner 429 with Retry-After, answers in any order.
test('20-item calls answered shuffled, two items at 429: all fulfilled in the end, and no wait undercut', async () => {
  const refusedAt = new Map<number, number>();
  const waits: number[] = [];
  let calls = 0;
  const server = async (requests: readonly { id: number }[]) => {
    calls++;
    await wait(30);
    const responses = requests.map(({ id }) => {
      const since = refusedAt.get(id);
      if (since !== undefined) waits.push(performance.now() - 30 - since);
      if ((id === 7 || id === 33) && since === undefined) {
        refusedAt.set(id, performance.now());
        return { id, status: 429, retryAfter: id === 7 ? 2 : 5, body: '' };
      }
      return { id, status: 200, retryAfter: 0, body: `body ${id}` };
    });
    return { status: 200, responses: responses.reverse() };
  };

  const requests = upTo(60).map((id) => ({ id }));
  const report = await finish(
    chunkAllSettled(
      requests,
      async (chunk, { fail }) => {
        const { responses } = await server(chunk);
        return new Map(
          responses.map(({ id, status, retryAfter, body }) => [
            id,
            status === 429 ? fail({ status }, { retryAfter: retryAfter * 1_000 }) : body,
          ]),
        );
      },
      { size: 20, concurrency: 2, key: ({ id }) => id, retry: { maxAttempts: 3 } },
    ),
  );
  expect(report.unwrap()).toEqual(requests.map(({ id }) => `body ${id}`));
  expect(report.results.filter(({ attempts }) => attempts === 2).map(({ index }) => index)).toEqual([7, 33]);
  expect(waits[0]).toBeGreaterThanOrEqual(2_000);
  expect(waits[1]).toBeGreaterThanOrEqual(5_000);
  expect(calls).toBe(5);
});
