import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BatchResult, streamSettled } from '../../src/batch/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { act, type Kind, kind, model, slowly, sourceKind, sourceOf } from './kinds.js';
import { asynchronously, finish, Gauge, never, oneByOne, turns, upTo, wait } from './support.js';

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

const done = { done: true, value: undefined };
const order = fc.constantFrom('input' as const, 'completion' as const);
const buffer = fc.option(fc.nat({ max: 6 }), { nil: undefined });
const byIndex = (a: { index: number }, b: { index: number }): number => a.index - b.index;

describe('the laws of the stream', () => {
  property([
    fc.scheduler(),
    sourceKind,
    fc.integer({ min: 1, max: 4 }),
    fc.array(kind, { maxLength: 20 }),
    order,
    buffer,
  ])(
    'every item comes out once, in its order, never more are pulled than the bound allows, and the limit holds',
    async (s, from, concurrency, items, order, buffer) => {
      const gauge = new Gauge();
      const bound = Math.max(concurrency, buffer ?? concurrency);
      let pulled = 0;
      let read = 0;
      const started: number[] = [];
      const note = (): void => {
        pulled++;
        expect(pulled - read).toBeLessThanOrEqual(bound);
      };
      function* counted(): Generator<Kind> {
        for (const item of items) {
          note();
          yield item;
        }
      }
      const source = from === 'array' ? items : from === 'generator' ? counted() : slowly([...items], s, note);
      const work = (item: Kind, { index }: { index: number }) => {
        started.push(index);
        return gauge.around(() => act(item, index, () => s.schedule(Promise.resolve())));
      };
      const stream = streamSettled(source, work, { concurrency, order, buffer });
      await turns();
      expect([pulled, started.length]).toEqual([0, 0]);

      const seen: BatchResult<Kind, unknown>[] = [];
      const reading = (async () => {
        for await (const result of stream) {
          read++;
          seen.push(result);
          expect(started.length - read).toBeLessThanOrEqual(bound);
          await s.schedule(Promise.resolve());
        }
      })();
      await s.waitFor(reading);
      expect(order === 'input' ? seen : [...seen].sort(byIndex)).toEqual(items.map(model));
      expect(started).toEqual(upTo(items.length));
      expect(gauge.max).toBeLessThanOrEqual(concurrency);
    },
  );

  property([fc.scheduler(), sourceKind, fc.array(kind, { maxLength: 12 }), order, buffer, fc.nat(25)])(
    'an abort at any moment: what is settled, then what is skipped, and the end',
    async (s, from, items, order, buffer, abortAfter) => {
      const control = new AbortController();
      const reason = { why: 'enough' };
      const entered = new Set<number>();
      let lateEntries = 0;
      const work = (item: Kind, { index }: { index: number }) => {
        if (control.signal.aborted) lateEntries++;
        entered.add(index);
        return act(item, index, () => s.schedule(Promise.resolve()));
      };
      const options = { concurrency: 2, order, buffer, signal: control.signal };
      const seen: BatchResult<Kind, unknown>[] = [];
      const reading = (async () => {
        for await (const result of streamSettled(sourceOf(from, items, s), work, options)) {
          seen.push(result);
          await s.schedule(Promise.resolve());
        }
      })();
      for (let i = 0; i < abortAfter && s.count() > 0; i++) await s.waitOne();
      control.abort(reason);
      await s.waitFor(reading);

      expect(lateEntries).toBe(0);
      const results = [...seen].sort(byIndex);
      if (order === 'input') expect(seen).toEqual(results);
      expect(results.map(({ index }) => index)).toEqual(upTo(results.length));
      if (from === 'array') expect(results).toHaveLength(items.length);
      const firstSkipped = seen.findIndex(({ status }) => status === 'skipped');
      if (order === 'completion' && firstSkipped >= 0) {
        expect(seen.slice(firstSkipped).every(({ status }) => status === 'skipped')).toBe(true);
      }
      for (const [index, result] of results.entries()) {
        const item = items[index] as Kind;
        if (result.status !== 'skipped') expect(result).toEqual(model(item, index));
        else expect(result).toEqual({ status: 'skipped', reason, item, index, attempts: entered.has(index) ? 1 : 0 });
      }
      expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
      await s.waitAll();
    },
  );

  property([fc.scheduler(), fc.boolean(), fc.integer({ min: 1, max: 3 }), order, buffer, fc.nat(6), fc.boolean()])(
    'leaving after any number of results aborts what runs and closes the source, once',
    async (s, isAsync, concurrency, order, buffer, leaveAfter, isReading) => {
      let closed = 0;
      let ended = 0;
      const signals: AbortSignal[] = [];
      function* naturals(): Generator<number> {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          closed++;
        }
      }
      const work = async (i: number, { signal }: { signal: AbortSignal }) => {
        signals.push(signal);
        await s.schedule(Promise.resolve());
        ended++;
        return i;
      };
      const source = isAsync ? asynchronously(naturals()) : naturals();
      const stream = streamSettled(source, work, { concurrency, order, buffer });
      for (let i = 0; i < leaveAfter; i++) await s.waitFor(stream.next());
      const pending = isReading ? stream.next() : undefined;
      const started = signals.length;
      const endedBefore = ended;
      expect(await stream.return()).toEqual(done);
      // A next() that waited is answered too; a result that was ready when it asked is its own.
      if (pending !== undefined) await pending;
      expect(await stream.next()).toEqual(done);
      const wasOpen = leaveAfter > 0 || isReading;
      await turns();
      expect(closed).toBe(wasOpen && started > 0 ? 1 : closed);
      expect(signals.filter(({ aborted }) => aborted).length).toBe(started - endedBefore);
      await s.waitAll();
      await turns();
      expect(signals).toHaveLength(started);
      expect(closed).toBeLessThanOrEqual(1);
    },
  );
});

describe('a stream', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  // BATCH-13, sindresorhus/p-map#72: one slow item held up every other result.
  test("with order 'completion' a slow head holds up nobody", async () => {
    const seen: [number, number][] = [];
    const begin = performance.now();
    const read = async () => {
      const stream = streamSettled([100, 10, 20, 10], wait, { concurrency: 2, order: 'completion', buffer: 4 });
      for await (const { index } of stream) seen.push([index, performance.now() - begin]);
    };
    await finish(read());
    expect(seen).toEqual([
      [1, 10],
      [2, 30],
      [3, 40],
      [0, 100],
    ]);
  });

  test("with order 'input' what is ready waits behind it, and comes at once then", async () => {
    const seen: [number, number][] = [];
    const begin = performance.now();
    const read = async () => {
      for await (const { index } of streamSettled([100, 10, 20, 10], wait, { concurrency: 2, buffer: 4 })) {
        seen.push([index, performance.now() - begin]);
      }
    };
    await finish(read());
    expect(seen.map(([index]) => index)).toEqual([0, 1, 2, 3]);
    expect(seen.every(([, at]) => at === 100)).toBe(true);
  });

  // BATCH-11, sindresorhus/p-map#76: back-pressure on an async source let more run than allowed.
  test('concurrency 1 with a buffer of 2 on an async source: one runs, two are pulled ahead, no more', async () => {
    const gauge = new Gauge();
    let pulled = 0;
    let read = 0;
    async function* source(): AsyncGenerator<number> {
      for (; pulled < 10; ) {
        pulled++;
        expect(pulled - read).toBeLessThanOrEqual(2);
        yield pulled;
      }
    }
    const stream = streamSettled(source(), () => gauge.around(() => wait(1)), { concurrency: 1, buffer: 2 });
    const reading = (async () => {
      for await (const _ of stream) {
        read++;
        await wait(5);
      }
    })();
    await finish(reading);
    expect(gauge).toMatchObject({ entries: 10, max: 1 });
  });

  test.each([
    ['a buffer of 0 is the concurrency', { concurrency: 3, buffer: 0 }, 3],
    ['the default buffer is the concurrency', { concurrency: 3 }, 3],
    ['a larger buffer', { concurrency: 3, buffer: 7 }, 7],
    ['an endless buffer reads ahead to the end', { concurrency: 3, buffer: Number.POSITIVE_INFINITY }, 20],
    ['the default concurrency', {}, 5],
    ['with a pool its concurrency', { pool: new PromisePool({ concurrency: 4 }) }, 4],
  ])('%s: so many are pulled while nobody reads on', async (_, options, expected) => {
    let pulled = 0;
    function* source(): Generator<number> {
      for (; pulled < 20; ) yield pulled++;
    }
    const stream = streamSettled(source(), (n) => n, options);
    const first = stream.next();
    await turns(400);
    expect(await first).toMatchObject({ value: { index: 0 } });
    await turns(400);
    // The one that was read made room for another.
    expect(pulled).toBe(Math.min(expected + 1, 20));
    await stream.return();
  });

  test('an item that waits for its repeat counts as pulled, and holds no lane', async () => {
    const entries: number[] = [];
    const work = (n: number, { attempt }: { attempt: number }) => {
      entries.push(n);
      if (n === 0 && attempt === 1) throw new Error('again');
      return attempt;
    };
    const options = { concurrency: 1, buffer: 3, retry: { baseDelay: 50, jitter: 'none' } } as const;
    const stream = streamSettled(upTo(6), work, options);
    const first = stream.next();
    await turns(300);
    // Three are pulled and none is read.
    expect(entries).toEqual([0, 1, 2]);
    expect(await finish(first)).toMatchObject({ value: { value: 2, attempts: 2 } });
    expect(await finish(collect(stream))).toHaveLength(5);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('timeout, delay, pool and progress are those of a batch', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const told: unknown[] = [];
    const starts: number[] = [];
    const begin = performance.now();
    const work = (n: number) => {
      starts.push(performance.now() - begin);
      return n === 1 ? never() : wait(1).then(() => n);
    };
    const onProgress = ({ total, fulfilled, rejected }: { total?: unknown; fulfilled: number; rejected: number }) =>
      told.push([total, fulfilled, rejected]);
    const stream = streamSettled([0, 1, 2], work, { pool, timeout: 20, delay: 5, onProgress });
    const results = await finish(collect(stream));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { code: 'TIMEOUT', timeout: 20, source: 'batch' }, attempts: 1 });
    expect(starts).toEqual([0, 5, 10]);
    expect(told).toEqual([
      [3, 1, 0],
      [3, 2, 0],
      [3, 2, 1],
    ]);
  });

  test('with a timeout it always ends, whatever the work does', async () => {
    const results = await finish(collect(streamSettled(upTo(7), never, { concurrency: 2, timeout: 10 })));
    expect(results.map(({ status }) => status)).toEqual(upTo(7).map(() => 'rejected'));
    expect(vi.getTimerCount()).toBe(0);
  });

  test('falsy and thenable-free odd values come as they are', async () => {
    const items = [0, '', null, undefined, false, Number.NaN];
    const results = await finish(collect(streamSettled(items, (each) => each)));
    expect(results.map((result) => result.status === 'fulfilled' && result.value)).toEqual(items);
    expect(results.map(({ item }) => item)).toEqual(items);
  });

  test('an empty source ends at once', async () => {
    for (const source of [[], new Set<number>(), asynchronously<number>([])]) {
      expect(await finish(streamSettled(source, (n) => n).next())).toEqual(done);
    }
  });

  test('several next() are answered in turn', async () => {
    const stream = streamSettled([3, 2, 1], wait, { concurrency: 3, order: 'completion' });
    const asked = Promise.all([stream.next(), stream.next(), stream.next(), stream.next()]);
    const answers = await finish(asked);
    expect(answers.map(({ value }) => (value as { index: number } | undefined)?.index)).toEqual([2, 1, 0, undefined]);
  });

  test('bad arguments throw at once, and nothing is touched', () => {
    const open = vi.fn();
    const source = { [Symbol.iterator]: open } as unknown as Iterable<number>;
    expect(() => streamSettled(5 as never, () => 1)).toThrow(TypeError);
    expect(() => streamSettled(source, 5 as never)).toThrow(TypeError);
    expect(() => streamSettled(source, () => 1, null as never)).toThrow(TypeError);
    expect(() => streamSettled(source, () => 1, { order: 5 } as never)).toThrow(TypeError);
    expect(() => streamSettled(source, () => 1, { buffer: '1' } as never)).toThrow(TypeError);
    for (const options of [
      { order: 'random' },
      { buffer: -1 },
      { buffer: 1.5 },
      { buffer: Number.NaN },
      { concurrency: 0 },
    ]) {
      expect(() => streamSettled(source, () => 1, options as never)).toThrow(RangeError);
    }
    expect(open).not.toHaveBeenCalled();
  });
});

describe('the end of a stream', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test.each([
    ['sync', oneByOne<number>],
    ['async', asynchronously<number>],
  ])(
    'a %s source that throws: what it gave comes, then the end; the error is shown, not swallowed',
    async (_, read) => {
      const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
      const error = new Error('broken');
      function* source(): Generator<number> {
        yield* [0, 1, 2];
        throw error;
      }
      const results = await finish(collect(streamSettled(read(source()), (n) => wait(5 - n).then(() => n))));
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      expect(shown).toHaveBeenCalledTimes(1);
      expect(shown.mock.calls[0]?.[1]).toBe(error);
    },
  );

  test('an abort before the first next() skips all of an array and touches nothing else', async () => {
    const open = vi.fn();
    const work = vi.fn();
    const signal = AbortSignal.abort('no');
    const source = { [Symbol.asyncIterator]: open } as unknown as AsyncIterable<number>;
    expect(await collect(streamSettled(source, work, { signal }))).toEqual([]);
    expect(await collect(streamSettled(['a', 'b'], work, { signal }))).toEqual([
      { status: 'skipped', reason: 'no', item: 'a', index: 0, attempts: 0 },
      { status: 'skipped', reason: 'no', item: 'b', index: 1, attempts: 0 },
    ]);
    expect(open).not.toHaveBeenCalled();
    expect(work).not.toHaveBeenCalled();
  });

  test.each([undefined, null, 0, new Error('why')])('the reason %s is passed on as it is', async (reason) => {
    const control = new AbortController();
    const stream = streamSettled([1, 2], never, { concurrency: 1, signal: control.signal });
    const first = stream.next();
    control.abort(reason);
    const expected: unknown = control.signal.reason;
    expect(await first).toMatchObject({ value: { status: 'skipped', index: 0, attempts: 1 } });
    const second = await stream.next();
    expect((second.value as { reason: unknown }).reason).toBe(expected);
    expect(await stream.next()).toEqual(done);
  });

  test('the skipped of a million-item array are made as they are read', async () => {
    const control = new AbortController();
    const stream = streamSettled(new Array<number>(1_000_000).fill(7), never, { signal: control.signal });
    const first = stream.next();
    control.abort('stop');
    expect(await first).toMatchObject({ value: { status: 'skipped' } });
    let count = 1;
    for await (const { status, index } of stream) {
      if (status !== 'skipped' || index !== count) throw new Error(`${index}`);
      count++;
    }
    expect(count).toBe(1_000_000);
  });

  test('leaving waits for an async source that cleans up, for a second at most', async () => {
    let closed = false;
    const slow = (cleanUp: () => Promise<unknown>): AsyncIterable<number> => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: async () => {
          await cleanUp();
          closed = true;
          return { done: true, value: undefined };
        },
      }),
    });
    const signals: AbortSignal[] = [];
    const work = (n: number, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return signals.length === 1 ? n : never();
    };
    const stream = streamSettled(
      slow(() => wait(50)),
      work,
      { concurrency: 1 },
    );
    await stream.next();
    await turns();
    const left = stream.return();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(closed).toBe(false);
    await finish(left);
    expect(closed).toBe(true);

    const stuck = streamSettled(slow(never), never, { concurrency: 1 });
    const pending = stuck.next();
    await turns();
    const begin = performance.now();
    await finish(Promise.all([stuck.return(), stuck.return()]));
    expect(performance.now() - begin).toBe(1_000);
    expect(await pending).toEqual(done);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('leaving while the source is busy with a next() waits for nothing', async () => {
    const close = vi.fn(never);
    const source = { [Symbol.asyncIterator]: () => ({ next: never, return: close }) };
    const stream = streamSettled(source, (n) => n);
    const pending = stream.next();
    await turns();
    const begin = performance.now();
    expect(await finish(stream.return())).toEqual(done);
    expect(performance.now()).toBe(begin);
    expect(await pending).toEqual(done);
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('one that was never read leaves nothing behind when it is left', async () => {
    const control = new AbortController();
    const open = vi.fn();
    const source = { [Symbol.iterator]: open } as unknown as Iterable<number>;
    const stream = streamSettled(source, (n) => n, { signal: control.signal });
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    expect(await stream.return()).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect(open).not.toHaveBeenCalled();
  });

  test('throw() ends it as return() does, tells the work why, and rejects with its error', async () => {
    const error = new Error('mine');
    let reason: unknown;
    const work = (_: number, { signal }: { signal: AbortSignal }) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
      });
      return never();
    };
    const stream = streamSettled([1, 2], work, { concurrency: 1 });
    const pending = stream.next();
    await expect(stream.throw(error)).rejects.toBe(error);
    expect(reason).toBe(error);
    expect(await pending).toEqual(done);
    expect(await stream.next()).toEqual(done);
  });

  test('a source whose return() throws changes nothing for who leaves; it is shown', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const error = new Error('close');
    const make = () => ({
      next: () => ({ done: false, value: 1 }),
      return: () => {
        throw error;
      },
    });
    const sources = [
      { [Symbol.iterator]: make } as unknown as Iterable<number>,
      { [Symbol.asyncIterator]: make } as unknown as AsyncIterable<number>,
    ];
    for (const source of sources) {
      const stream = streamSettled(source, (n) => n);
      await finish(stream.next());
      await turns();
      expect(await finish(stream.return())).toEqual(done);
      expect(shown.mock.lastCall?.[1]).toBe(error);
    }
  });

  test('work that leaves, aborts or reads the stream it belongs to', async () => {
    const control = new AbortController();
    const leaving: AsyncGenerator<unknown> = streamSettled(upTo(5), async (n) => {
      if (n === 1) await leaving.return(undefined);
      return n;
    });
    const left = await finish(collect(leaving));
    expect(left.length).toBeLessThanOrEqual(1);

    const work = (n: number) => {
      if (n === 2) control.abort('poison');
      return n;
    };
    const results = await finish(collect(streamSettled(upTo(5), work, { concurrency: 1, signal: control.signal })));
    expect(results.map(({ status }) => status[0]).join('')).toBe('ffsss');

    const extra: Promise<unknown>[] = [];
    const reading: AsyncGenerator<unknown> = streamSettled(upTo(4), (n) => {
      extra.push(reading.next());
      return n;
    });
    const rest = await finish(collect(reading));
    expect(
      rest.length + (await Promise.all(extra)).filter((each) => (each as { done: boolean }).done === false).length,
    ).toBe(4);
  });

  test('a throwing or rejecting onProgress changes nothing and is shown once', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const onProgress = () => {
      throw new Error('hook');
    };
    expect(await finish(collect(streamSettled(upTo(20), (n) => n, { onProgress })))).toHaveLength(20);
    expect(shown).toHaveBeenCalledTimes(1);
  });
});

// BATCH-28, graph-gophers/dataloader#80 #121.
test.each([
  ['an array', () => upTo(12)],
  ['an async source', () => asynchronously(upTo(12))],
])('source and work run in the context of who asked for the stream, whoever reads: %s', async (_, source) => {
  const store = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  async function* watched() {
    for await (const n of source()) {
      seen.push(store.getStore());
      yield n;
    }
  }
  const work = async (n: number) => {
    seen.push(store.getStore());
    await store.run('inner', () => wait(n % 3));
    if (n % 4 === 0) throw new Error('again');
  };
  const options = { concurrency: 3, delay: 1, timeout: 9_000, retry: { maxAttempts: 2, baseDelay: 1 } };
  const stream = store.run('mine', () => streamSettled(watched(), work, options));
  await store.run('reader', async () => {
    for await (const _ of stream) expect(store.getStore()).toBe('reader');
  });
  expect(seen.length).toBeGreaterThanOrEqual(24);
  expect(new Set(seen)).toEqual(new Set(['mine']));
});
