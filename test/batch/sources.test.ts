import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, chunkAllSettled } from '../../src/batch/index.js';
import type { Task } from '../../src/core/types.js';
import { asynchronously, finish, never, oneByOne, statuses, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An iterator whose every step is scripted, and which counts what is asked of it. */
function scripted(steps: readonly (() => unknown)[], close?: () => unknown) {
  const calls = { next: 0, return: 0 };
  const iterator = {
    next: () => steps[calls.next++]?.() ?? { done: true, value: undefined },
    return:
      close &&
      (() => {
        calls.return++;
        return close();
      }),
  };
  return {
    calls,
    sync: { [Symbol.iterator]: () => iterator } as unknown as Iterable<number>,
    async: { [Symbol.asyncIterator]: () => iterator } as unknown as AsyncIterable<number>,
  };
}

const item = (value: number) => () => ({ done: false, value });
const later = (step: () => unknown) => async () => {
  await Promise.resolve();
  return step();
};

describe('what a source may be', () => {
  test.each([
    ['an array', [1, 2, 3]],
    ['a set', new Set([1, 2, 3])],
    ['a generator', oneByOne([1, 2, 3])],
    ['an async generator', asynchronously([1, 2, 3])],
    ['a typed array', Uint8Array.of(1, 2, 3)],
    ['an async iterator that answers without promises', scripted([item(1), item(2), item(3)]).async],
  ])('%s', async (_, source) => {
    const report = await batchAllSettled(source, (n) => n * 2);
    expect(report.unwrap()).toEqual([2, 4, 6]);
    expect(report.results.map((result) => result.item)).toEqual([1, 2, 3]);
  });

  test('a string is its characters, a map its entries', async () => {
    expect((await batchAllSettled('añb', (c) => c)).values).toEqual(['a', 'ñ', 'b']);
    expect((await batchAllSettled(new Map([['k', 1]]), ([k, v]) => k + v)).values).toEqual(['k1']);
  });

  test('what is both is read as an async iterable', async () => {
    const both = Object.assign(scripted([item(1)]).async, scripted([item(2)]).sync);
    expect((await batchAllSettled(both, (n) => n)).values).toEqual([1]);
  });

  test('falsy items and holes are items', async () => {
    // biome-ignore lint/suspicious/noSparseArray: holes are what is tested.
    const items = [0, '', null, undefined, false, Number.NaN, , -0];
    const report = await batchAllSettled(items, (each) => each);
    expect(report.results).toHaveLength(8);
    expect(report.values).toEqual([0, '', null, undefined, false, Number.NaN, undefined, -0]);
    expect(report.ok).toBe(true);
  });

  test('nothing at all is done at once', async () => {
    for (const source of [[], new Set<number>(), asynchronously<number>([])]) {
      const report = await chunkAllSettled(source, (chunk) => chunk, { size: 2 });
      expect(report).toMatchObject({ ok: true, results: [], values: [], errors: [], aborted: false });
      expect(report.stats).toMatchObject({ total: 0, calls: 0, perSecond: 0, failureRate: 0, peakInFlight: 0 });
    }
  });

  test('an array is copied: what is done to it meanwhile changes nothing', async () => {
    const items = [1, 2, 3];
    const work = (n: number) => {
      items.length = 0;
      items.push(9);
      return n;
    };
    expect((await batchAllSettled(items, work, { concurrency: 1 })).values).toEqual([1, 2, 3]);
  });

  test('100,000 items', async () => {
    const report = await batchAllSettled(oneByOne(upTo(100_000)), (n) => n, { concurrency: 7 });
    expect(report.values).toHaveLength(100_000);
    expect(report.values.at(-1)).toBe(99_999);
    const chunked = await chunkAllSettled(upTo(100_000), (chunk) => chunk, { size: 1_000, concurrency: 3 });
    expect(chunked.stats).toMatchObject({ calls: 100, fulfilled: 100_000 });
  });

  test('100,000 items at once', async () => {
    const options = { concurrency: Number.POSITIVE_INFINITY };
    const report = await batchAllSettled(upTo(100_000), async (n) => n, options);
    expect(report.ok).toBe(true);
    expect(report.stats.peakInFlight).toBe(100_000);
  });
});

describe('laziness', () => {
  test.each([
    ['sync', oneByOne<number>],
    ['async', asynchronously<number>],
  ])('an endless %s generator is read as lanes come free, and closed on an abort', async (_, read) => {
    let pulled = 0;
    let ended = 0;
    let closed = 0;
    function* naturals(): Generator<number> {
      try {
        for (;;) yield pulled++;
      } finally {
        closed++;
      }
    }
    const control = new AbortController();
    const work = async (n: number) => {
      expect(pulled - ended).toBeLessThanOrEqual(3);
      await wait(10);
      ended++;
      if (n === 50) control.abort('enough');
    };
    const report = await finish(batchAllSettled(read(naturals()), work, { concurrency: 3, signal: control.signal }));
    expect(report.aborted).toBe(true);
    expect(report.results.length).toBeLessThan(60);
    expect(report.results.slice(0, 48).every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(closed).toBe(1);
  });

  test('nothing is pulled before a lane is free and the delay has passed', async () => {
    const { sync, calls } = scripted(upTo(5).map(item));
    const running = batchAllSettled(sync, () => 1, { concurrency: 2, delay: 10 });
    expect(calls.next).toBe(1);
    await vi.advanceTimersByTimeAsync(9);
    expect(calls.next).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls.next).toBe(2);
    expect((await finish(running)).values).toHaveLength(5);
  });

  test('a source is not touched if the signal is aborted already', async () => {
    const open = vi.fn();
    const source = { [Symbol.iterator]: open } as unknown as Iterable<number>;
    const report = await batchAllSettled(source, (n) => n, { signal: AbortSignal.abort('no') });
    expect(open).not.toHaveBeenCalled();
    expect(report).toMatchObject({ aborted: true, ok: false, results: [] });
    expect('inputError' in report).toBe(false);
  });

  test('there is never more than one `next()` under way', async () => {
    let pending = 0;
    let next = 0;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          expect(++pending).toBe(1);
          await wait(5);
          pending--;
          return { done: next === 10, value: next++ };
        },
      }),
    };
    const report = await finish(batchAllSettled(source, (n) => n, { concurrency: 4 }));
    expect(report.unwrap()).toEqual(upTo(10));
  });
});

describe('a source that fails', () => {
  const error = { broken: true };
  const throwing = () => {
    throw error;
  };

  test.each([
    ['a next() that throws', [item(1), throwing]],
    ['a `done` that throws', [item(1), () => Object.defineProperty({}, 'done', { get: throwing })]],
    ['a `value` that throws', [item(1), () => Object.defineProperty({ done: false }, 'value', { get: throwing })]],
    ['a promise that rejects', [item(1), () => Promise.reject(error)], 'async'],
    ['a throw behind a promise', [item(1), later(throwing)], 'async'],
  ])('%s ends the intake; it is not closed, since it has ended itself', async (_, steps, only?) => {
    for (const kind of only === 'async' ? (['async'] as const) : (['sync', 'async'] as const)) {
      const source = scripted(steps as (() => unknown)[], () => ({}));
      const report = await batchAllSettled(source[kind], (n) => n);
      expect(report).toMatchObject({ ok: false, aborted: false, values: [1], inputError: error });
      expect(report.inputError).toBe(error);
      expect(source.calls).toEqual({ next: 2, return: 0 });
    }
  });

  test.each([undefined, null, 5, 'x'])('a next() that gives %s is a TypeError of the input', async (result) => {
    for (const kind of ['sync', 'async'] as const) {
      const steps = [item(1), () => (kind === 'sync' ? result : Promise.resolve(result))];
      const iterator = { next: () => steps.shift()?.() };
      const broken = { [kind === 'sync' ? Symbol.iterator : Symbol.asyncIterator]: () => iterator };
      const report = await batchAllSettled(broken as unknown as Iterable<number>, (n) => n);
      expect(report.values).toEqual([1]);
      expect(report.inputError).toBeInstanceOf(TypeError);
    }
  });

  test('undefined that was thrown is told by the presence of `inputError`', async () => {
    // biome-ignore lint/correctness/useYield: it throws before.
    function* source(): Generator<number> {
      throw undefined;
    }
    const report = await batchAllSettled(source(), (n) => n);
    expect('inputError' in report).toBe(true);
    expect(report.ok).toBe(false);
    expect(report.unwrap).toThrow(AggregateError);
  });

  test.each([
    ['iterator', Symbol.iterator],
    ['async iterator', Symbol.asyncIterator],
  ])('an %s that cannot be opened is an error of the input', async (_, symbol) => {
    const report = await batchAllSettled({ [symbol]: throwing } as unknown as Iterable<number>, (n) => n);
    expect(report.inputError).toBe(error);
  });

  test('what was gathered for a chunk is still sent', async () => {
    const report = await chunkAllSettled(scripted([item(1), item(2), throwing]).async, (chunk) => chunk, { size: 9 });
    expect(report).toMatchObject({ values: [1, 2], inputError: error });
  });
});

describe('closing a source early', () => {
  const abortAt = async (source: Iterable<number> | AsyncIterable<number>, timeout?: number) => {
    const control = new AbortController();
    const running = batchAllSettled(source, never, { concurrency: 2, signal: control.signal, timeout });
    await turns();
    control.abort('stop');
    return running;
  };

  test('a sync source: once, at once', async () => {
    const source = scripted(upTo(9).map(item), () => ({}));
    const report = await abortAt(source.sync);
    expect(source.calls).toEqual({ next: 2, return: 1 });
    expect(statuses(report)).toBe('ss');
  });

  test('an async source without a pending next(): once, and waited for', async () => {
    let cleaned = false;
    const source = scripted(upTo(9).map(item).map(later), async () => {
      await wait(500);
      cleaned = true;
      return {};
    });
    await finish(abortAt(source.async));
    expect(cleaned).toBe(true);
    expect(source.calls).toEqual({ next: 2, return: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('with a next() that never settles: once, and not waited for', async () => {
    const source = scripted([item(1), never], never);
    const report = await abortAt(source.async);
    expect(source.calls).toEqual({ next: 2, return: 1 });
    expect(statuses(report)).toBe('s');
  });

  test("an item that arrives after the end is nobody's", async () => {
    let arrive!: (result: unknown) => void;
    const source = scripted([item(1), () => new Promise((resolve) => (arrive = resolve))]);
    const report = await abortAt(source.async);
    arrive({ done: false, value: 2 });
    await turns();
    expect(report.results).toHaveLength(1);
    expect(source.calls.next).toBe(2);
  });

  test.each([
    [undefined, 1_000],
    [70, 70],
  ])(
    'a return() that never settles delays the report by a second at most (timeout %s: %s ms)',
    async (timeout, delay) => {
      const source = scripted(upTo(9).map(item).map(later), never);
      const begin = performance.now();
      const report = await finish(abortAt(source.async, timeout));
      expect(performance.now() - begin).toBe(delay);
      expect(report).toMatchObject({ aborted: true, stats: { durationMs: 0 } });
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test.each([
    ['sync', () => ({}), 'sync'],
    ['async', () => Promise.resolve({}), 'async'],
  ] as const)('a return() that fails is an error of the input (%s)', async (_, __, kind) => {
    const error = new Error('return');
    const source = scripted(
      upTo(9).map((n) => (kind === 'sync' ? item(n) : later(item(n)))),
      () => {
        if (kind === 'sync') throw error;
        return Promise.reject(error);
      },
    );
    const report = await abortAt(source[kind]);
    expect(report).toMatchObject({ aborted: true, inputError: error });
  });

  test('a return() that fails behind a pending next() is swallowed', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    await abortAt(scripted([never], () => Promise.reject(new Error('return'))).async);
    vi.useRealTimers();
    await wait(5);
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('an item that has come but found the window closed is skipped, not lost', async () => {
    const pool = { concurrency: 2, execute: <T>(task: Task<T>) => Promise.resolve(task({ signal: control.signal })) };
    const control = new AbortController();
    const source = scripted([item(1), item(2)].map(later));
    const running = batchAllSettled(source.async, never, { pool, signal: control.signal });
    while (source.calls.next < 2) await Promise.resolve();
    pool.concurrency = 1;
    await turns();
    control.abort('x');
    expect((await running).results.map(({ item, attempts }) => [item, attempts])).toEqual([
      [1, 1],
      [2, 0],
    ]);
  });

  test('a source without return() is just left', async () => {
    for (const kind of ['sync', 'async'] as const) {
      expect((await abortAt(scripted(upTo(9).map(item))[kind])).aborted).toBe(true);
    }
  });

  test('a source that was read to its end is not closed', async () => {
    for (const kind of ['sync', 'async'] as const) {
      const source = scripted([item(1)], () => ({}));
      await batchAllSettled(source[kind], (n) => n);
      expect(source.calls).toEqual({ next: 2, return: 0 });
    }
  });

  test('a generator that aborts the batch is not closed while it runs', async () => {
    const control = new AbortController();
    let closed = false;
    function* source(): Generator<number> {
      try {
        yield 1;
        control.abort('from inside');
        yield 2;
        yield 3;
      } finally {
        closed = true;
      }
    }
    const report = await batchAllSettled(source(), never, { signal: control.signal });
    expect(closed).toBe(true);
    expect('inputError' in report).toBe(false);
    expect(report.results.map(({ item, attempts }) => [item, attempts])).toEqual([
      [1, 1],
      [2, 0],
    ]);
  });
});
