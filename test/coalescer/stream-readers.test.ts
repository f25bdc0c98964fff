import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ReaderBehindError, StreamCoalescer } from '../../src/coalescer/index.js';
import { chunk, counting, DONE, expectStreamIdentity, manualStreams, readAll } from './stream-support.js';
import { never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Reads so many chunks by hand, which the upstream sends as they are asked for. */
async function readSome(reader: AsyncGenerator<unknown>, upstream: ReturnType<typeof manualStreams>, count: number) {
  for (let i = 0; i < count; i++) {
    const call = reader.next();
    await turn();
    const stream = upstream.streams.find(({ isAsked }) => isAsked);
    stream?.push(stream.pulls - 1);
    await call;
  }
}

describe('one upstream', () => {
  test('opens in the first next(), asks for one chunk when somebody wants one, and all readers share it', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const [one, two] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    await turn();
    expect(upstream.streams).toHaveLength(0);
    const first = one.next();
    expect(upstream.streams).toHaveLength(1);
    const same = two.next();
    await turn();
    expect(upstream.nth(0).pulls).toBe(1);
    upstream.nth(0).push('a');
    expect([await state(first), await state(same)]).toEqual([chunk('a'), chunk('a')]);
    expect(upstream.nth(0).pulls).toBe(1);
    await readSome(one, upstream, 3);
    expect(upstream.nth(0).pulls).toBe(4);
    await readSome(two, upstream, 3);
    expect(upstream.nth(0).pulls).toBe(4);
  });

  test('each result is an object of its own, and a reader iterates itself', async () => {
    const coalescer = new StreamCoalescer<number>({ ttl: 1_000 });
    const [one, two] = [coalescer.stream('k', counting(1).open), coalescer.stream('k', counting(1).open)];
    const [a, b] = await Promise.all([one.next(), two.next()]);
    expect(a).not.toBe(b);
    expect(one[Symbol.asyncIterator]()).toBe(one);
  });

  test('parallel calls of one reader are answered in order', async () => {
    const { open, seen } = counting(3);
    const coalescer = new StreamCoalescer<number>();
    const reader = coalescer.stream('k', open);
    const order: number[] = [];
    const calls = Array.from({ length: 5 }, (_, i) => reader.next().finally(() => order.push(i)));
    expect(await Promise.all(calls)).toEqual(
      [0, 1, 2].map((i) => chunk(i).value).concat(DONE.value as never, DONE.value as never),
    );
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(seen).toEqual({ opens: 1, closes: 1 });
  });

  test('one stream for a thousand readers, at any pace', async () => {
    const { open, seen } = counting(50);
    const coalescer = new StreamCoalescer<number>();
    const { signal } = new AbortController();
    const all = await Promise.all(
      Array.from({ length: 1_000 }, async (_, i) => {
        const chunks: number[] = [];
        for await (const each of coalescer.stream('k', open, { signal })) {
          chunks.push(each);
          for (let nap = 0; nap < i % 7; nap++) await Promise.resolve();
        }
        return chunks;
      }),
    );
    for (const chunks of all) expect(chunks).toEqual(all[0]);
    expect(all[0]).toHaveLength(50);
    expect(seen).toEqual({ opens: 1, closes: 1 });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  // COAL-62: the context of who leads, whoever asks.
  test('runs in the async context of the reader that opened it, whoever asks for a chunk', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const open = async function* () {
      seen.push(store.getStore());
      for (let i = 0; ; i++) {
        yield i;
        seen.push(store.getStore());
      }
    };
    const coalescer = new StreamCoalescer<number>();
    const one = store.run('one', () => coalescer.stream('k', open));
    const two = coalescer.stream('k', open);
    await store.run('leader', () => one.next());
    for (let i = 0; i < 3; i++) await store.run('joiner', () => two.next());
    await store.run('other', async () => {
      await one.next();
      await one.next();
      await one.next();
    });
    expect(seen).toEqual(['leader', 'leader', 'leader', 'leader']);
    await store.run('joiner', async () => {
      await two.next();
      expect(store.getStore()).toBe('joiner');
    });
  });

  test('a ReadableStream is an upstream too, and is cancelled when the last reader left', async () => {
    const cancel = vi.fn();
    const open = () =>
      new ReadableStream<number>({ pull: (out) => out.enqueue(1), cancel }) as unknown as AsyncIterable<number>;
    const coalescer = new StreamCoalescer<number>();
    const reader = coalescer.stream('k', open);
    expect(await reader.next()).toEqual(chunk(1).value);
    await reader.return();
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  test('open may read its own key without waiting for it, and other keys', async () => {
    const coalescer = new StreamCoalescer<number>();
    let own: Promise<number[]> | undefined;
    const open = async function* (): AsyncGenerator<number> {
      own ??= readAll(coalescer.stream('a', open));
      yield* coalescer.stream('b', counting(2).open);
    };
    expect(await readAll(coalescer.stream('a', open))).toEqual([0, 1]);
    expect(await own).toEqual([0, 1]);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 1 });
  });
});

describe('a reader leaves', () => {
  // COAL-26: the first caller's cancellation fails everyone.
  test('the leader alone: the others read on', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const leader = new AbortController();
    const first = coalescer.stream('k', upstream.open, { signal: leader.signal });
    const other = coalescer.stream('k', upstream.open);
    const calls = [first.next(), other.next()];
    leader.abort('left');
    expect(await state(calls[0] as Promise<unknown>)).toEqual({ reason: 'left' });
    expect(upstream.nth(0).signal.aborted).toBe(false);
    upstream.nth(0).push('a');
    expect(await state(calls[1] as Promise<unknown>)).toEqual(chunk('a'));
    expect(await state(first.next())).toEqual(DONE);
  });

  test.each(['return', 'throw', 'abort'] as const)(
    '%s settles a pending next() at once, though the upstream is silent',
    async (how) => {
      const upstream = manualStreams<unknown>();
      const coalescer = new StreamCoalescer();
      const control = new AbortController();
      const reader = coalescer.stream('k', upstream.open, { signal: control.signal });
      const pending = [reader.next(), reader.next()];
      await turn();
      upstream.nth(0).onReturn = never;
      const left =
        how === 'abort' ? control.abort('left') : how === 'return' ? reader.return() : state(reader.throw('left'));
      const outcomes = [await state(pending[0] as Promise<unknown>), await state(pending[1] as Promise<unknown>)];
      expect(outcomes).toEqual([how === 'abort' ? { reason: 'left' } : DONE, DONE]);
      if (how === 'return') expect(await state(left as Promise<unknown>)).toEqual(DONE);
      if (how === 'throw') expect(await left).toEqual({ reason: 'left' });
      expect(upstream.nth(0)).toMatchObject({ returns: 1, signal: { aborted: true } });
      if (how !== 'return') expect(upstream.nth(0).signal.reason).toBe('left');
      else expect(upstream.nth(0).signal.reason).toMatchObject({ name: 'AbortError' });
      expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, orphaned: 1, loadFailures: 0 });
      await vi.advanceTimersByTimeAsync(100_000);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test('break waits until an upstream that is not busy has closed', async () => {
    const upstream = manualStreams<number>();
    const coalescer = new StreamCoalescer<number>();
    let close: (() => void) | undefined;
    const loop = (async () => {
      for await (const _ of coalescer.stream('k', upstream.open)) break;
    })();
    await turn();
    upstream.nth(0).onReturn = () =>
      new Promise<void>((resolve) => {
        close = resolve;
      });
    upstream.nth(0).push(1);
    expect(await state(loop)).toBe('pending');
    expect(coalescer.getMetrics().inFlight).toBe(0);
    close?.();
    expect(await state(loop)).toEqual({ value: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("but no longer than it may be silent, and its failure is nobody's", async () => {
    const upstream = manualStreams<number>();
    const coalescer = new StreamCoalescer<number>({ idleTimeout: 1_000 });
    for (const [i, onReturn] of [never, () => Promise.reject(new Error('no'))].entries()) {
      const reader = coalescer.stream('k', upstream.open);
      const call = reader.next();
      await turn();
      upstream.nth(i).onReturn = onReturn;
      upstream.nth(i).push(1);
      await call;
      const left = reader.return();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await state(left)).toEqual(DONE);
      expect(upstream.nth(i).returns).toBe(1);
    }
    const throwing = coalescer.stream('k', () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false as const, value: 1 }),
        return() {
          throw new Error('no');
        },
      }),
    }));
    await throwing.next();
    expect(await state(throwing.return())).toEqual(DONE);
  });

  test('an upstream without return() is left alone', async () => {
    const coalescer = new StreamCoalescer<number>();
    const open = () => ({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false as const, value: 1 }) }) });
    const reader = coalescer.stream('k', open);
    await reader.next();
    expect(await state(reader.return())).toEqual(DONE);
  });

  // COAL-31: whoever comes in the abort attaches to the abandoned entry.
  test('when the last one left, the key is free before the upstream hears of it', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const reader = coalescer.stream('k', upstream.open);
    void reader.next();
    await turn();
    const seen: string[] = [];
    upstream.nth(0).onReturn = async () => seen.push('return');
    upstream.nth(0).signal.addEventListener('abort', () => {
      seen.push('abort');
      void coalescer.stream('k', upstream.open).next();
    });
    await reader.return();
    expect(seen).toEqual(['abort', 'return']);
    expect(upstream.streams).toHaveLength(2);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 0, inFlight: 1 });
  });

  // COAL-32: interrupted between insert and handler.
  test.each(['return', 'abort'] as const)(
    '%s in the first statement of open settles its reader and frees the key',
    async (how) => {
      const coalescer = new StreamCoalescer<number>();
      const control = new AbortController();
      const closes = vi.fn();
      let seen: AbortSignal | undefined;
      const reader: AsyncGenerator<number> = coalescer.stream(
        'k',
        ({ signal }) => {
          seen = signal;
          if (how === 'abort') control.abort('now');
          else void reader.return(undefined);
          return { [Symbol.asyncIterator]: () => ({ next: never, return: async () => closes() }) };
        },
        { signal: control.signal },
      );
      expect(await state(reader.next())).toEqual(how === 'abort' ? { reason: 'now' } : DONE);
      expect(seen?.aborted).toBe(true);
      expect(closes).toHaveBeenCalledTimes(1);
      expect(coalescer.getMetrics().inFlight).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test('a stream that is opened after all have left is closed, once, and asked for nothing', async () => {
    const coalescer = new StreamCoalescer<number>();
    const [next, close] = [vi.fn(), vi.fn()];
    let opened: ((stream: AsyncIterable<number>) => void) | undefined;
    const reader = coalescer.stream(
      'k',
      () =>
        new Promise<AsyncIterable<number>>((resolve) => {
          opened = resolve;
        }),
    );
    const call = reader.next();
    expect(await state(reader.return())).toEqual(DONE);
    expect(await state(call)).toEqual(DONE);
    opened?.({ [Symbol.asyncIterator]: () => ({ next, return: close }) });
    await turn();
    expect(next).not.toHaveBeenCalled();
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('whoever asks and leaves in one turn has asked for nothing', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const [one, other] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    void other.next();
    await readSome(one, upstream, 1);
    void one.next();
    await one.return();
    await turn();
    expect(upstream.nth(0)).toMatchObject({ pulls: 1, returns: 0 });
  });

  test('an abort between two calls is told by the next one, whatever there is to read, and not as the end', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const control = new AbortController();
    const [fast, reader] = [
      coalescer.stream('k', upstream.open),
      coalescer.stream('k', upstream.open, { signal: control.signal }),
    ];
    void reader.next();
    await readSome(fast, upstream, 3);
    control.abort(null);
    expect(await state(reader.next())).toEqual({ reason: null });
    expect(await state(reader.next())).toEqual(DONE);
    expect(await state(reader.return())).toEqual(DONE);
  });

  // COAL-28: an aborted follower never settles.
  test.each([undefined, null, 0, '', new Error('x')])(
    'a signal that was aborted before the first next() opens nothing: %s',
    async (why) => {
      const open = vi.fn(counting(1).open);
      const coalescer = new StreamCoalescer<number>();
      const control = new AbortController();
      const reader = coalescer.stream('k', open, { signal: control.signal });
      control.abort(why);
      expect(await state(reader.next())).toEqual({ reason: control.signal.reason });
      expect(await state(reader.next())).toEqual(DONE);
      expect(open).not.toHaveBeenCalled();
      expect(coalescer.getMetrics()).toMatchObject({ calls: 1, refused: 1, loads: 0 });
    },
  );

  test('a reader that was never started costs nothing and counts nothing', async () => {
    const open = vi.fn(counting(1).open);
    const coalescer = new StreamCoalescer<number>();
    const { signal } = new AbortController();
    const readers = Array.from({ length: 3 }, () => coalescer.stream('k', open, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(await state(readers[0]?.return() as Promise<unknown>)).toEqual(DONE);
    expect(await state(readers[1]?.throw('no') as Promise<unknown>)).toEqual({ reason: 'no' });
    await readers[2]?.[Symbol.asyncDispose]();
    for (const reader of readers) expect(await state(reader.next())).toEqual(DONE);
    expect(open).not.toHaveBeenCalled();
    expect(coalescer.getMetrics().calls).toBe(0);
  });

  // COAL-61: abort listeners are never removed.
  test('no listener is left on a signal that 2,000 readers share, and there was never more than one', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer();
    const { signal } = new AbortController();
    const readers = Array.from({ length: 2_000 }, (_, i) => coalescer.stream(i % 50, upstream.open, { signal }));
    const calls = readers.map((reader) => reader.next());
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await turn();
    for (const [i, stream] of upstream.streams.entries()) {
      if (i % 3 === 0) stream.end();
      else if (i % 3 === 1) stream.fail('no');
      else stream.push(1);
    }
    await Promise.allSettled(calls);
    for (const reader of readers) await reader.return(undefined);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(coalescer.getMetrics().inFlight).toBe(0);
  });
});

describe("whenOrphaned: 'finish'", () => {
  test('reads on to the end by itself and keeps the stream', async () => {
    const { open, seen } = counting(5);
    const coalescer = new StreamCoalescer<number>({ ttl: 1_000, whenOrphaned: 'finish' });
    const reader = coalescer.stream('k', open);
    await reader.next();
    await reader.return();
    await turn();
    await turn();
    expect(seen).toEqual({ opens: 1, closes: 1 });
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1, inFlight: 0, orphaned: 1 });
    expect(await readAll(coalescer.stream('k', open))).toEqual([0, 1, 2, 3, 4]);
    expect(seen.opens).toBe(1);
  });

  test('goes at the pace of a newcomer, and goes on when that one leaves too', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer({ ttl: 1_000, whenOrphaned: 'finish' });
    const reader = coalescer.stream('k', upstream.open);
    void reader.next();
    await reader.return();
    await turn();
    upstream.nth(0).push('a');
    await turn();
    expect(upstream.nth(0).pulls).toBe(2);
    const late = coalescer.stream('k', upstream.open);
    expect(await state(late.next())).toEqual(chunk('a'));
    upstream.nth(0).push('b');
    await turn();
    expect(upstream.nth(0).pulls).toBe(2);
    await late.return();
    await turn();
    expect(upstream.nth(0).pulls).toBe(3);
    upstream.nth(0).end();
    await turn();
    expect(await readAll(coalescer.stream('k', upstream.open))).toEqual(['a', 'b']);
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 1, hits: 1 });
  });

  test('is aborted once it has more chunks than may be kept', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer({ ttl: 1_000, whenOrphaned: 'finish', maxBuffer: 2 });
    const reader = coalescer.stream('k', upstream.open);
    void reader.next();
    await reader.return();
    for (let i = 0; i < 3; i++) {
      await turn();
      expect(upstream.nth(0).signal.aborted).toBe(false);
      upstream.nth(0).push(i);
    }
    await turn();
    expect(upstream.nth(0)).toMatchObject({ returns: 1, pulls: 3, signal: { aborted: true } });
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, entries: 0, orphaned: 1 });
  });
});

describe('maxBuffer', () => {
  test('a late reader starts at the first chunk while all fit, then a newcomer opens a new stream', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer({ maxBuffer: 3, ttl: 1_000 });
    const first = coalescer.stream('k', upstream.open);
    await readSome(first, upstream, 3);
    const late = coalescer.stream('k', upstream.open);
    expect(await state(late.next())).toEqual(chunk(0));
    await readSome(first, upstream, 1);
    const newcomer = coalescer.stream('k', upstream.open);
    void newcomer.next();
    expect(upstream.streams).toHaveLength(2);
    for (const value of [1, 2, 3]) expect(await state(late.next())).toEqual(chunk(value));
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 1, inFlight: 2 });
    // The old one is not stored, nor does its end touch the new one.
    const end = first.next();
    await turn();
    upstream.nth(0).end();
    expect(await state(end)).toEqual(DONE);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 0, inFlight: 1 });
    void coalescer.stream('k', upstream.open).next();
    expect(upstream.streams).toHaveLength(2);
  });

  test('a reader whose next chunk is gone is told so, once, and holds nothing from then on', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer({ name: 'answers', maxBuffer: 2 });
    const [fast, slow, slower] = [0, 1, 2].map(() => coalescer.stream('k', upstream.open)) as [
      AsyncGenerator,
      AsyncGenerator,
      AsyncGenerator,
    ];
    void slow.next();
    void slower.next();
    await readSome(fast, upstream, 3);
    expect(await state(slow.next())).toEqual(chunk(1));
    await readSome(fast, upstream, 1);
    expect(await state(slow.next())).toEqual(chunk(2));
    const told = await state(slower.next());
    expect(told).toMatchObject({ reason: { code: 'READER_BEHIND', maxBuffer: 2, source: 'answers' } });
    expect((told as { reason: unknown }).reason).toBeInstanceOf(ReaderBehindError);
    expect(await state(slower.next())).toEqual(DONE);
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 0, inFlight: 1 });
  });

  test('readers that are all too far behind are no readers: the stream is closed', async () => {
    const upstream = manualStreams<unknown>();
    const coalescer = new StreamCoalescer({ maxBuffer: 1, whenOrphaned: 'abort' });
    const [fast, slow] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    void slow.next();
    await readSome(fast, upstream, 2);
    const call = fast.next();
    await turn();
    await fast.return(undefined);
    await call;
    expect(upstream.nth(0).signal.aborted).toBe(false);
    upstream.nth(0).push('x');
    await turn();
    expect(upstream.nth(0)).toMatchObject({ returns: 1, signal: { aborted: true } });
    expect(await state(slow.next())).toMatchObject({ reason: { code: 'READER_BEHIND' } });
    expectStreamIdentity(coalescer);
  });

  test('Infinity keeps all, 10^5 chunks and more', async () => {
    const { open, seen } = counting(100_000);
    const coalescer = new StreamCoalescer<number>({ maxBuffer: Number.POSITIVE_INFINITY, ttl: 1_000 });
    const [one, late] = [coalescer.stream('k', open), coalescer.stream('k', open)];
    await late.next();
    expect(await readAll(one)).toHaveLength(100_000);
    expect(await readAll(late)).toHaveLength(99_999);
    expect(await readAll(coalescer.stream('k', open))).toHaveLength(100_000);
    expect(seen.opens).toBe(1);
  });
});
