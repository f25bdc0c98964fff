import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StreamCoalescer, type StreamContext } from '../../src/coalescer/index.js';
import { markHandled } from '../../src/core/deferred.js';
import { TimeoutError } from '../../src/core/errors.js';
import { chunk, counting, DONE, expectStreamIdentity, manualStreams, readAll } from './stream-support.js';
import { never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class Strange extends Error {}
const failing = new Strange('no');
const iterating = (iterator: object) => ({ [Symbol.asyncIterator]: () => iterator });

// COAL-04, COAL-22, COAL-23: whatever odd way the upstream takes, nobody hangs and the key is free.
describe('an upstream that fails', () => {
  const ways: readonly [string, (context: StreamContext) => unknown, unknown][] = [
    [
      'open throws',
      () => {
        throw failing;
      },
      failing,
    ],
    ['open rejects', () => Promise.reject(failing), failing],
    [
      'open returns a thenable that throws',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        then() {
          throw failing;
        },
      }),
      failing,
    ],
    [
      '[Symbol.asyncIterator] throws',
      () => ({
        [Symbol.asyncIterator]() {
          throw failing;
        },
      }),
      failing,
    ],
    [
      '[Symbol.asyncIterator] cannot be read',
      () => ({
        get [Symbol.asyncIterator]() {
          throw failing;
        },
      }),
      failing,
    ],
    [
      'next throws',
      () =>
        iterating({
          next() {
            throw failing;
          },
        }),
      failing,
    ],
    ['next rejects', () => iterating({ next: () => Promise.reject(failing) }), failing],
    [
      'done throws',
      () =>
        iterating({
          next: async () => ({
            get done() {
              throw failing;
            },
          }),
        }),
      failing,
    ],
    [
      'value throws',
      () =>
        iterating({
          next: async () => ({
            get value() {
              throw failing;
            },
          }),
        }),
      failing,
    ],
    ['open returns nothing', () => undefined, TypeError],
    ['open returns null', () => null, TypeError],
    ['open returns a number', () => 5, TypeError],
    ['open returns an array', () => [1], TypeError],
    ['open returns an object', () => ({}), TypeError],
    ['[Symbol.asyncIterator] is no function', () => ({ [Symbol.asyncIterator]: 5 }), TypeError],
    ['[Symbol.asyncIterator] returns nothing', () => iterating(undefined as unknown as object), TypeError],
    ['there is no next', () => iterating({}), TypeError],
    ['next answers with nothing', () => iterating({ next: () => undefined }), TypeError],
    ['next answers with a number', () => iterating({ next: async () => 5 }), TypeError],
  ];

  test.each(ways)('%s: leader and joiners hear of it, once, and the key is free', async (_, open, expected) => {
    const coalescer = new StreamCoalescer({ ttl: 1_000 });
    const { signal } = new AbortController();
    const readers = [0, 1, 2].map((i) =>
      coalescer.stream('k', open as () => AsyncIterable<unknown>, i === 2 ? { signal } : {}),
    );
    const calls = readers.map((reader) => reader.next());
    for (const call of calls) {
      if (expected === failing) await expect(call).rejects.toBe(failing);
      else await expect(call).rejects.toThrow(TypeError);
    }
    for (const reader of readers) expect(await reader.next()).toEqual(DONE.value);
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, entries: 0, loads: 1, coalesced: 2, loadFailures: 1 });
    expect(await readAll(coalescer.stream('k', counting(2).open))).toEqual([0, 1]);
    coalescer.clear();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('says what was expected', async () => {
    const coalescer = new StreamCoalescer();
    const told = (open: () => unknown) => state(coalescer.stream('k', open as () => AsyncIterable<unknown>).next());
    expect(await told(() => [1])).toMatchObject({
      reason: { message: expect.stringContaining('got `an array`, which is only a sync one') },
    });
    expect(await told(() => 5)).toMatchObject({
      reason: { message: 'Expected `open` to return an async iterable, got `5`' },
    });
    expect(await told(() => iterating({ next: () => null }))).toMatchObject({
      reason: { message: 'Expected `next()` of the upstream to return an object, got `null`' },
    });
  });

  test('thenables and plain answers are taken as `for await` takes them', async () => {
    const coalescer = new StreamCoalescer<number>();
    let left = 2;
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    const answer = () => ({ then: (ok: (v: unknown) => void) => ok({ done: left === 0, value: left-- }) });
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    const open = () => ({ then: (ok: (v: unknown) => void) => ok(iterating({ next: answer })) });
    expect(await readAll(coalescer.stream('k', open as unknown as () => AsyncIterable<number>))).toEqual([2, 1]);
    let more = 2;
    const plain = () => iterating({ next: () => ({ done: more === 0, value: more-- }) }) as AsyncIterable<number>;
    expect(await readAll(coalescer.stream('k', plain))).toEqual([2, 1]);
  });

  // COAL-43: a falsy rejection is taken for none.
  test.each([undefined, null, 0, '', false, Number.NaN, failing])(
    'each reader gets the chunks it has not read, then %s itself, then the end',
    async (reason) => {
      const upstream = manualStreams<string>();
      const coalescer = new StreamCoalescer<string>({ ttl: 1_000 });
      const [fast, slow] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
      void slow.next();
      for (const value of ['a', 'b']) {
        const call = fast.next();
        await turn();
        upstream.nth(0).push(value);
        expect(await state(call)).toEqual(chunk(value));
      }
      const last = fast.next();
      await turn();
      upstream.nth(0).fail(reason);
      expect(await state(last)).toEqual({ reason });
      expect(await state(fast.next())).toEqual(DONE);
      expect(await state(slow.next())).toEqual(chunk('b'));
      expect(await state(slow.next())).toEqual({ reason });
      expect(await state(slow.next())).toEqual(DONE);
      expect(upstream.nth(0).returns).toBe(0);
      expect(upstream.nth(0).signal.aborted).toBe(false);
    },
  );

  // COAL-01, COAL-02: the key must be free inside the first rejection handler, and errors are never replayed.
  test('is out of the table before any reader hears of it', async () => {
    const coalescer = new StreamCoalescer<number>({ ttl: 1_000 });
    const bad = () => Promise.reject(failing);
    let again: Promise<number[]> | undefined;
    await coalescer
      .stream('k', bad)
      .next()
      .catch(() => {
        again = readAll(coalescer.stream('k', counting(3).open));
      });
    expect(await again).toEqual([0, 1, 2]);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, loadFailures: 1, errorHits: 0 });
  });

  test('chunks may be anything, undefined and promises included', async () => {
    const promise = Promise.resolve(1);
    const chunks = [undefined, null, 0, '', Number.NaN, false, promise, { done: true }];
    let at = 0;
    const open = () =>
      iterating({ next: async () => ({ done: at === chunks.length, value: chunks[at++] }) }) as AsyncIterable<unknown>;
    const coalescer = new StreamCoalescer({ ttl: 1_000 });
    const reader = coalescer.stream('k', open);
    for (const value of chunks) expect((await reader.next()).value).toBe(value);
    expect(await reader.next()).toEqual(DONE.value);
    const replay = coalescer.stream('k', open);
    for (const value of chunks) expect((await replay.next()).value).toBe(value);
  });

  test('what the upstream returns at its end is not handed on', async () => {
    const coalescer = new StreamCoalescer<number>();
    const open = async function* () {
      yield 1;
      return 2;
    };
    const reader = coalescer.stream('k', open);
    expect([await reader.next(), await reader.next()]).toEqual([{ done: false, value: 1 }, DONE.value]);
  });
});

describe('idleTimeout', () => {
  const timeout = (ms: number) => ({ reason: new TimeoutError({ source: 's', timeout: ms, option: 'idleTimeout' }) });

  // COAL-25: a hung loader blocks the key until restart.
  test.each([
    ['open', never as () => Promise<AsyncIterable<unknown>>],
    ['the first chunk', () => iterating({ next: never, return: never }) as AsyncIterable<unknown>],
  ])('a silence before %s ends the stream for all its readers, frees the key and aborts', async (_, open) => {
    const coalescer = new StreamCoalescer({ name: 's', idleTimeout: 100 });
    let signal: AbortSignal | undefined;
    const calls = [0, 1].map(() =>
      coalescer
        .stream('k', (context) => {
          signal = context.signal;
          return open();
        })
        .next(),
    );
    for (const call of calls) markHandled(call);
    await vi.advanceTimersByTimeAsync(99);
    expect(await state(calls[0] as Promise<unknown>)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    for (const call of calls) expect(await state(call)).toEqual(timeout(100));
    expect(signal?.reason).toBeInstanceOf(TimeoutError);
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, loadTimeouts: 1, loadFailures: 0 });
    expect(await readAll(coalescer.stream('k', counting(1).open))).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('counts from the request for a chunk to that chunk: a reader that does not ask is no silence', async () => {
    const upstream = manualStreams<string>();
    const coalescer = new StreamCoalescer<string>({ name: 's', idleTimeout: 100 });
    const [reader, slow] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    const first = reader.next();
    void slow.next();
    await vi.advanceTimersByTimeAsync(90);
    upstream.nth(0).push('a');
    await first;
    await vi.advanceTimersByTimeAsync(10_000);
    const second = reader.next();
    await vi.advanceTimersByTimeAsync(90);
    upstream.nth(0).push('b');
    expect(await state(second)).toEqual(chunk('b'));
    const third = reader.next();
    markHandled(third);
    await vi.advanceTimersByTimeAsync(99);
    expect(await state(third)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    expect(await state(third)).toEqual(timeout(100));
    expect(await state(slow.next())).toEqual(chunk('b'));
    expect(await state(slow.next())).toEqual(timeout(100));
    expect(upstream.nth(0)).toMatchObject({ returns: 1, signal: { aborted: true } });
  });

  test('a chunk a moment before the deadline begins a new silence', async () => {
    const upstream = manualStreams<number>();
    const coalescer = new StreamCoalescer<number>({ name: 's', idleTimeout: 100 });
    const reader = coalescer.stream('k', upstream.open);
    for (let i = 0; i < 20; i++) {
      const call = reader.next();
      await vi.advanceTimersByTimeAsync(99);
      upstream.nth(0).push(i);
      expect(await state(call)).toEqual(chunk(i));
    }
    const last = reader.next();
    markHandled(last);
    await vi.advanceTimersByTimeAsync(100);
    expect(await state(last)).toEqual(timeout(100));
  });

  test('Infinity waits for ever, without a timer', async () => {
    const upstream = manualStreams<number>();
    const coalescer = new StreamCoalescer<number>({ idleTimeout: Number.POSITIVE_INFINITY });
    const call = coalescer.stream('k', upstream.open).next();
    await turn();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(1e9);
    upstream.nth(0).push(1);
    expect(await state(call)).toEqual(chunk(1));
    expectStreamIdentity(coalescer);
  });

  test('comes also where the clock stands still', async () => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const coalescer = new StreamCoalescer({ idleTimeout: 5_000 });
    const call = coalescer.stream('k', () => never()).next();
    markHandled(call);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await state(call)).toMatchObject({ reason: { code: 'TIMEOUT' } });
  });
});
