import { describe, expect, test, vi } from 'vitest';
import { batchAllSettled, type ChunkContext, chunkAllSettled, MissingResultError } from '../../src/batch/index.js';
import { asynchronously, statuses, upTo } from './support.js';

describe('cutting', () => {
  const sizes = async (
    items: Iterable<number> | AsyncIterable<number>,
    options: Parameters<typeof chunkAllSettled<number, number>>[2],
  ) => {
    const sent: (readonly number[])[] = [];
    const call = (chunk: readonly number[]) => {
      sent.push(chunk);
      return chunk;
    };
    const report = await chunkAllSettled(items, call, options);
    return { sent, report };
  };

  test('by size, the last one smaller', async () => {
    expect((await sizes(upTo(7), { size: 3 })).sent).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect((await sizes(asynchronously(upTo(4)), { size: 3 })).sent).toEqual([[0, 1, 2], [3]]);
    expect((await sizes(upTo(3), { size: 1 })).sent).toEqual([[0], [1], [2]]);
  });

  test('by weight: exactly full is full, too heavy goes alone, weightless goes along', async () => {
    const weight = { of: (n: number) => n, max: 10 };
    expect((await sizes([5, 5, 0, 11, 0, 10, 0, 1], { size: 9, weight })).sent).toEqual([
      [5, 5, 0],
      [11],
      [0, 10, 0],
      [1],
    ]);
    expect((await sizes([1, 1], { size: 9, weight: { of: () => Number.POSITIVE_INFINITY, max: 1e9 } })).sent).toEqual([
      [1],
      [1],
    ]);
    expect((await sizes([0, 0, 1, 0], { size: 9, weight: { of: (n) => n, max: 0 } })).sent).toEqual([[0, 0], [1], [0]]);
  });

  test('a chunk that is full does not wait for the next item', async () => {
    const call = vi.fn((chunk: readonly number[]) => chunk);
    async function* source(): AsyncGenerator<number> {
      yield 99;
      await new Promise(() => {});
    }
    const control = new AbortController();
    const options = { size: 9, weight: { of: (n: number) => n, max: 10 }, signal: control.signal };
    const running = chunkAllSettled(source(), call, options);
    await vi.waitFor(() => expect(call).toHaveBeenCalledTimes(1));
    control.abort();
    expect(statuses(await running)).toBe('f');
  });

  test.each([
    [
      'throws',
      () => {
        throw 'weight';
      },
      'weight',
    ],
    ['gives NaN', () => Number.NaN, expect.any(RangeError)],
    ['gives a negative number', () => -1, expect.any(RangeError)],
    ['gives a text', () => '5' as never, expect.any(TypeError)],
    ['gives nothing', () => undefined as never, expect.any(TypeError)],
  ])('an item whose weight %s rejects alone, unsent', async (_, bad, reason) => {
    const weight = { of: (n: number) => (n === 1 ? bad() : n), max: 10 };
    const { sent, report } = await sizes([0, 1, 2], { size: 9, weight });
    expect(sent).toEqual([[0, 2]]);
    expect(report.errors).toEqual([{ status: 'rejected', reason, item: 1, index: 1, attempts: 0 }]);
  });

  test('if all weights are bad, nothing is sent and it ends', async () => {
    const { sent, report } = await sizes(asynchronously([1, 2]), { size: 9, weight: { of: () => Number.NaN, max: 1 } });
    expect(sent).toEqual([]);
    expect(statuses(report)).toBe('rr');
  });

  test('an abort while a chunk is gathered skips what was pulled for it', async () => {
    const control = new AbortController();
    let pulled = 0;
    function* source(): Generator<number> {
      for (;;) {
        if (pulled === 3) control.abort('x');
        yield pulled++;
      }
    }
    const { sent, report } = await sizes(source(), { size: 5, signal: control.signal });
    expect(sent).toEqual([]);
    expect(report.results.map(({ item, status, attempts }) => [item, status, attempts])).toEqual([
      [0, 'skipped', 0],
      [1, 'skipped', 0],
      [2, 'skipped', 0],
      [3, 'skipped', 0],
    ]);
  });

  test('what the call does to its chunk is its own business', async () => {
    const call = (chunk: readonly number[]) => (chunk as number[]).splice(0).map((n) => n * 2);
    expect((await chunkAllSettled(upTo(3), call, { size: 3 })).unwrap()).toEqual([0, 2, 4]);
  });
});

describe('answers', () => {
  test('falsy values are values, holes are undefined', async () => {
    // biome-ignore lint/suspicious/noSparseArray: holes are what is tested.
    const values = [0, '', null, undefined, false, Number.NaN, ,];
    const report = await chunkAllSettled(upTo(7), () => values, { size: 7 });
    expect(report.values).toEqual([0, '', null, undefined, false, Number.NaN, undefined]);
    const mapped = await chunkAllSettled(
      upTo(2),
      () =>
        new Map([
          [0, undefined],
          [1, undefined],
        ]),
      { size: 2 },
    );
    expect(mapped.unwrap()).toEqual([undefined, undefined]);
  });

  test('without a key the item itself is looked up; objects by identity, NaN is NaN', async () => {
    const items = [{ a: 1 }, Number.NaN, 'x', [1, 'x'], [{ nested: 1 }]];
    const call = (chunk: readonly unknown[]) => new Map(chunk.map((item, i) => [item, i]));
    expect((await chunkAllSettled(items, call, { size: 9 })).unwrap()).toEqual(upTo(5));
  });

  test('tuples that are no tuples of primitives are only found as they are', async () => {
    const call = () =>
      new Map<unknown, number>([
        [[{}], 1],
        [['a'], 2],
        ['a', 3],
      ]);
    const report = await chunkAllSettled([[{}], ['a'], 'a'], call, { size: 9 });
    expect(statuses(report)).toBe('rff');
    expect(report.values).toEqual([2, 3]);
  });

  test('anything with `has` and `get` is a Map', async () => {
    const answer = { has: (key: unknown) => key === 'b', get: (key: unknown) => `${key}!` } as unknown as ReadonlyMap<
      string,
      string
    >;
    expect(statuses(await chunkAllSettled(['a', 'b'], () => answer, { size: 2 }))).toBe('rf');
  });

  test('a key that throws rejects that item, finally', async () => {
    const key = (n: number) => {
      if (n === 1) throw 'key';
      return n;
    };
    const call = vi.fn(
      () =>
        new Map([
          [0, 'zero'],
          [2, 'two'],
        ]),
    );
    const report = await chunkAllSettled(upTo(3), call, { size: 3, key, retry: { baseDelay: 0 } });
    expect(statuses(report)).toBe('frf');
    expect(report.errors[0]?.reason).toBe('key');
    expect(call).toHaveBeenCalledTimes(1);
  });

  test('an answer whose own code throws is a failed call; nothing of it is kept', async () => {
    const answer = Object.defineProperty([1, 2], 1, {
      get: () => {
        throw 'getter';
      },
    });
    const report = await chunkAllSettled([1, 2], () => answer, { size: 2 });
    expect(report.errors.map(({ reason }) => reason)).toEqual(['getter', 'getter']);
  });

  test('a revoked proxy in an answer is a value', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const report = await chunkAllSettled([1], () => [proxy], { size: 1 });
    expect(report.values[0]).toBe(proxy);
  });

  test('a wrong length is halved under `split`, until the item is found that the answer leaves out', async () => {
    const call = (chunk: readonly number[]) => chunk.filter((n) => n !== 3);
    const report = await chunkAllSettled(upTo(8), call, { size: 8, onChunkError: 'split' });
    expect(report.errors.map(({ item }) => item)).toEqual([3]);
    expect(report.errors[0]?.reason).toMatchObject({ expected: 1, received: 0 });
  });

  test('several bad items, all bad items: `split` finds each', async () => {
    const bad = new Set([0, 7, 8, 19]);
    const call = (chunk: readonly number[]) => {
      if (chunk.some((n) => bad.has(n))) throw new Error('bad');
      return chunk;
    };
    const some = await chunkAllSettled(upTo(20), call, { size: 20, onChunkError: 'split' });
    expect(some.errors.map(({ item }) => item)).toEqual([...bad]);
    const all = await chunkAllSettled(upTo(8), () => Promise.reject('down'), { size: 8, onChunkError: 'split' });
    expect(all.stats).toMatchObject({ calls: 15, splits: 7, rejected: 8 });
  });
});

describe('fail', () => {
  test('may be destructured, kept and used for any item', async () => {
    let kept: ChunkContext['fail'] | undefined;
    const call = (chunk: readonly number[], { fail }: ChunkContext) => {
      kept ??= fail;
      return chunk.map((n) => (n % 2 === 0 ? (kept as typeof fail)(n) : n));
    };
    const report = await chunkAllSettled(upTo(4), call, { size: 2 });
    expect(statuses(report)).toBe('rfrf');
  });

  test.each([undefined, null, 0, ''])('with %s as its reason is a failure', async (reason) => {
    const report = await chunkAllSettled([1], (_, { fail }) => [fail(reason)], { size: 1 });
    expect(report.results).toMatchObject([{ status: 'rejected', reason }]);
  });

  test.each([
    [{ retry: 'no' }, TypeError],
    [{ retryAfter: '5' }, TypeError],
    [{ retryAfter: Number.NaN }, RangeError],
    [{ retryAfter: -1 }, RangeError],
    [5, TypeError],
  ])('refuses %j', async (options, type) => {
    const report = await chunkAllSettled([1], (_, { fail }) => [fail('x', options as never)], { size: 1 });
    expect(report.errors[0]?.reason).toBeInstanceOf(type);
  });

  test('is a value like any other where items are called one by one', async () => {
    const failures: unknown[] = [];
    const call = (_: readonly number[], { fail }: ChunkContext) => {
      failures.push(fail('x'));
      return [1];
    };
    await chunkAllSettled([1], call, { size: 1 });
    expect((await batchAllSettled([1], () => failures[0])).values).toEqual(failures);
  });
});

test('MissingResultError says what it is', () => {
  const error = new MissingResultError({ source: 'mine', expected: 3, received: 2 });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'MissingResultError',
    code: 'MISSING_RESULT',
    source: 'mine',
    expected: 3,
    received: 2,
  });
  expect(error.message).toBe('`mine` expected 3 results, got 2');
  expect(error.stack).toContain('MissingResultError');
});
