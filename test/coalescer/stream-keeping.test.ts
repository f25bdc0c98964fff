import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StreamCoalescer } from '../../src/coalescer/index.js';
import { ClosedError } from '../../src/core/errors.js';
import { chunk, counting, DONE, expectStreamIdentity, manualStreams, readAll } from './stream-support.js';
import { never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('the constructor refuses', () => {
  test.each([
    [{ ttl: -1 }, RangeError, 'Expected `ttl` to be a number >= 0 or Infinity, got `-1`'],
    [{ ttl: Number.NaN }, RangeError, 'Expected `ttl`'],
    [{ ttl: '5s' }, TypeError, "Expected `ttl` to be a number >= 0, Infinity or a function, got `'5s'`"],
    [{ maxBuffer: 0 }, RangeError, 'Expected `maxBuffer` to be an integer >= 1 or Infinity, got `0`'],
    [{ maxBuffer: Number.NaN }, RangeError, 'Expected `maxBuffer`'],
    [{ maxBuffer: 1.5 }, RangeError, 'Expected `maxBuffer`'],
    [{ maxEntries: 0 }, RangeError, 'Expected `maxEntries`'],
    [{ idleTimeout: Number.NaN }, RangeError, 'Expected `idleTimeout` to be a number >= 0 or Infinity, got `NaN`'],
    [{ idleTimeout: null }, TypeError, 'Expected `idleTimeout`'],
    [{ whenOrphaned: 'keep' }, RangeError, "Expected `whenOrphaned` to be one of 'abort', 'finish', got `'keep'`"],
    [{ name: 1 }, TypeError, 'Expected `name` to be a string, got `1`'],
    [{ hooks: { onHit: 1 } }, TypeError, 'Expected `hooks.onHit` to be a function, got `1`'],
    [null, TypeError, 'Expected `options` to be an object'],
  ])('%o', (options, type, message) => {
    const make = () => new StreamCoalescer(options as never);
    expect(make).toThrow(type);
    expect(make).toThrow(message);
  });

  test('nothing of the defaults, nor an explicit undefined', () => {
    expect(new StreamCoalescer().name).toBe('stream-coalescer');
    expect(() => new StreamCoalescer({ ttl: undefined, maxBuffer: undefined, hooks: undefined })).not.toThrow();
    const endless = Number.POSITIVE_INFINITY;
    expect(() => new StreamCoalescer({ ttl: endless, maxBuffer: endless, maxEntries: endless })).not.toThrow();
  });
});

test.each([
  ['k', undefined, undefined, 'Expected `open` to be a function, got `undefined`'],
  ['k', Promise.resolve(1), undefined, 'Expected `open` to be a function, got a promise, which has already started'],
  [{ id: 1 }, counting(1).open, undefined, 'Expected `key` to be a string'],
  ['k', counting(1).open, 5, 'Expected `options` to be an object, got `5`'],
  ['k', counting(1).open, { signal: {} }, 'Expected `signal` to be an AbortSignal'],
  ['k', counting(1).open, { fresh: 1 }, 'Expected `fresh` to be a boolean, got `1`'],
])('stream() with wrong arguments throws at once: %#', (key, open, options, message) => {
  const coalescer = new StreamCoalescer();
  expect(() => coalescer.stream(key as never, open as never, options as never)).toThrow(message);
  expect(coalescer.getMetrics().calls).toBe(0);
});

describe('ttl', () => {
  test('a finished stream is replayed for that long from its end, swept by one timer', async () => {
    const { open, seen } = counting(3);
    const coalescer = new StreamCoalescer<number>({ ttl: 100 });
    await readAll(coalescer.stream('k', open));
    await vi.advanceTimersByTimeAsync(99);
    expect(await readAll(coalescer.stream('k', open))).toEqual([0, 1, 2]);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1, hits: 1, loads: 1, inFlight: 0 });
    const slow = coalescer.stream('k', open);
    await slow.next();
    await vi.advanceTimersByTimeAsync(1);
    expect(coalescer.getMetrics().entries).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(await readAll(slow)).toEqual([1, 2]);
    expect(await readAll(coalescer.stream('k', open))).toEqual([0, 1, 2]);
    expect(seen.opens).toBe(2);
  });

  test('may be a function, asked once for each stream that may be kept', async () => {
    const ttl = vi.fn(({ key }: { key: unknown }) => (key === 'a' ? 100 : -5));
    const coalescer = new StreamCoalescer<number>({ ttl });
    await readAll(coalescer.stream('a', counting(1).open));
    await readAll(coalescer.stream('b', counting(1).open));
    await readAll(
      coalescer.stream('c', ({ noStore }) => {
        noStore();
        return counting(1).open();
      }),
    );
    await readAll(coalescer.stream('d', () => Promise.reject('no'))).catch(() => {});
    const forgotten = coalescer.stream('e', counting(1).open);
    await forgotten.next();
    coalescer.forget('e');
    await readAll(forgotten);
    expect(ttl.mock.calls).toEqual([[{ key: 'a', reason: 'miss' }], [{ key: 'b', reason: 'miss' }]]);
    expect(coalescer.getMetrics().entries).toBe(1);
  });

  test.each([
    [
      () => {
        throw 'no';
      },
      'no',
    ],
    [() => Number.NaN, expect.any(RangeError)],
    [() => '5' as never, expect.any(TypeError)],
  ])('a function that fails takes the place of the end: %#', async (ttl, reason) => {
    const coalescer = new StreamCoalescer<number>({ ttl });
    const reader = coalescer.stream('k', counting(1).open);
    expect(await state(reader.next())).toEqual(chunk(0));
    expect(await state(reader.next())).toEqual({ reason });
    expect(coalescer.getMetrics()).toMatchObject({ entries: 0, inFlight: 0, loadFailures: 1 });
  });

  test('a stream of which a chunk was dropped is not kept, an empty one is', async () => {
    const coalescer = new StreamCoalescer<number>({ ttl: 1_000, maxBuffer: 2 });
    for (const count of [3, 2, 0])
      expect(await readAll(coalescer.stream(count, counting(count).open))).toHaveLength(count);
    expect(coalescer.getMetrics().entries).toBe(2);
    expect(await readAll(coalescer.stream(0, counting(1).open))).toEqual([]);
  });

  test('fresh skips what is stored, joins what runs, and replaces it', async () => {
    const coalescer = new StreamCoalescer<number>({ ttl: 1_000 });
    await readAll(coalescer.stream('k', counting(1).open));
    const both = [0, 1].map(() => readAll(coalescer.stream('k', counting(2).open, { fresh: true })));
    expect(await readAll(coalescer.stream('k', counting(3).open))).toEqual([0]);
    expect(await Promise.all(both)).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(await readAll(coalescer.stream('k', counting(3).open))).toEqual([0, 1]);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 1, hits: 2 });
  });

  test('the least recently used makes room', async () => {
    const evicted: unknown[] = [];
    const coalescer = new StreamCoalescer<number>({
      ttl: 1_000,
      maxEntries: 2,
      hooks: { onEvict: ({ key }) => evicted.push(key) },
    });
    for (const key of ['a', 'b', 'a', 'c']) await readAll(coalescer.stream(key, counting(1).open));
    expect(evicted).toEqual(['b']);
    expect(coalescer.getMetrics()).toMatchObject({ evicted: 1, entries: 2, hits: 1 });
  });
});

describe('forget and clear', () => {
  test.each(['forget', 'clear'] as const)(
    '%s: readers go on to the end, nothing is stored, newcomers open anew',
    async (how) => {
      const upstream = manualStreams<string>();
      const coalescer = new StreamCoalescer<string>({ ttl: 1_000 });
      const [one, two] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
      const first = one.next();
      void two.next();
      await turn();
      if (how === 'clear') coalescer.clear();
      else expect(coalescer.forget('k')).toBe(1);
      const anew = coalescer.stream('k', upstream.open).next();
      expect(upstream.streams).toHaveLength(2);
      upstream.nth(0).push('old');
      await turn();
      upstream.nth(1).push('new');
      expect([await state(first), await state(anew)]).toEqual([chunk('old'), chunk('new')]);
      const end = one.next();
      await turn();
      upstream.nth(0).end();
      expect(await state(end)).toEqual(DONE);
      expect(await state(two.next())).toEqual(DONE);
      expect(coalescer.getMetrics()).toMatchObject({ entries: 0, inFlight: 1, loads: 2 });
      expect(upstream.nth(0)).toMatchObject({ returns: 0, signal: { aborted: false } });
    },
  );

  test('abort ends it at once for all its readers, whatever they have not read', async () => {
    const upstream = manualStreams<string>();
    const coalescer = new StreamCoalescer<string>();
    const [one, two] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    void two.next();
    for (const value of ['a', 'b']) {
      void one.next();
      await turn();
      upstream.nth(0).push(value);
    }
    const waiting = one.next();
    await turn();
    expect(coalescer.forget((key) => key === 'k', { abort: true })).toBe(1);
    const aborted = { reason: expect.objectContaining({ name: 'AbortError' }) };
    expect(await state(waiting)).toEqual(aborted);
    expect(await state(one.next())).toEqual(DONE);
    expect(await state(two.next())).toEqual(aborted);
    expect(upstream.nth(0)).toMatchObject({ returns: 1, signal: { aborted: true } });
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, orphaned: 0 });
  });

  test('a predicate is asked for what is stored and what runs, once, and drops nothing if it throws', async () => {
    const coalescer = new StreamCoalescer<number, string>({ ttl: 1_000 });
    await readAll(coalescer.stream('stored', counting(1).open));
    void coalescer.stream('stored', () => never(), { fresh: true }).next();
    void coalescer.stream('running', () => never()).next();
    const asked: string[] = [];
    expect(() =>
      coalescer.forget((key) => {
        asked.push(key);
        if (asked.length === 2) throw new Error('no');
        return true;
      }),
    ).toThrow('no');
    expect(asked).toEqual(['stored', 'running']);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1, inFlight: 2 });
    expect(coalescer.forget(() => true)).toBe(2);
    expect(coalescer.forget('stored')).toBe(0);
    expect(() => coalescer.forget('k', { abort: 1 as never })).toThrow('Expected `abort`');
  });

  test('in an abort listener of the stream itself', async () => {
    const coalescer = new StreamCoalescer<number>();
    const reader = coalescer.stream('k', ({ signal }) => {
      signal.addEventListener('abort', () => {
        coalescer.forget('k', { abort: true });
        coalescer.clear();
      });
      return never();
    });
    const call = reader.next();
    await reader.return();
    expect(await state(call)).toEqual(DONE);
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, orphaned: 1 });
  });
});

describe('close', () => {
  const clean = { clean: true, finished: 0, aborted: 0, refused: 0, left: [] };

  test('refuses readers that have not begun; running streams may be read to their end; replays too', async () => {
    const upstream = manualStreams<string>();
    const coalescer = new StreamCoalescer<string>({ name: 'x', ttl: 1_000 });
    await readAll(
      coalescer.stream('stored', async function* () {
        yield 'a';
        yield 'b';
      }),
    );
    const replay = coalescer.stream('stored', upstream.open);
    await replay.next();
    const [running, made] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    const call = running.next();
    await turn();
    const report = coalescer.close();
    const refused = await state(made.next());
    expect(refused).toEqual({ reason: expect.any(ClosedError) });
    expect(refused).toMatchObject({ reason: { source: 'x' } });
    expect(await state(made.next())).toEqual(DONE);
    upstream.nth(0).push('a');
    expect(await state(call)).toEqual(chunk('a'));
    expect(await state(report)).toBe('pending');
    const end = running.next();
    await turn();
    upstream.nth(0).end();
    expect(await state(end)).toEqual(DONE);
    expect(await state(replay.next())).toEqual(chunk('b'));
    expect(await report).toEqual({ ...clean, finished: 1 });
    expect(coalescer.getMetrics()).toMatchObject({ entries: 0, inFlight: 0, refused: 1 });
    expectStreamIdentity(coalescer);
    expect(await coalescer.close()).toEqual({ ...clean, finished: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('after the grace readers reject with the reason; what does not react is named', async () => {
    const coalescer = new StreamCoalescer<number, readonly [string, number]>({ name: 'llm' });
    const obeys = coalescer.stream(['obeys', 1], async function* ({ signal }) {
      yield 1;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const wedged = coalescer.stream(['wedged', 2], () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }));
    const clinging = coalescer.stream(['clinging', 3], () => ({
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false as const, value: 1 }), return: never }),
    }));
    await obeys.next();
    await clinging.next();
    const calls = [obeys, wedged].map((reader) => reader.next());
    const reason = new Error('deploy');
    for (const call of calls) call.catch(() => {});
    const report = coalescer.close({ grace: 100, abortGrace: 50, reason });
    await vi.advanceTimersByTimeAsync(99);
    expect(await state(calls[0] as Promise<unknown>)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    for (const call of calls) expect(await state(call)).toEqual({ reason });
    expect(await state(clinging.next())).toEqual({ reason });
    expect(await state(report)).toBe('pending');
    await vi.advanceTimersByTimeAsync(50);
    expect(await report).toEqual({ ...clean, clean: false, aborted: 3, left: ['llm#clinging,3', 'llm#wedged,2'] });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a reader that leaves while it closes is waited for no longer', async () => {
    const upstream = manualStreams<string>();
    const coalescer = new StreamCoalescer<string>();
    const reader = coalescer.stream('k', upstream.open);
    const call = reader.next();
    await turn();
    const report = coalescer.close();
    upstream.nth(0).push('a');
    await call;
    await reader.return();
    expect(await state(report)).toEqual({ value: { ...clean, clean: false, aborted: 1 } });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an orphan that may finish does', async () => {
    const upstream = manualStreams<string>();
    const coalescer = new StreamCoalescer<string>({ ttl: 1_000, whenOrphaned: 'finish' });
    const reader = coalescer.stream('k', upstream.open);
    void reader.next();
    await reader.return();
    const report = coalescer.close();
    await turn();
    for (const value of ['a', 'b']) {
      upstream.nth(0).push(value);
      await turn();
    }
    upstream.nth(0).end();
    expect(await report).toEqual({ ...clean, finished: 1 });
    expect(coalescer.getMetrics().entries).toBe(0);
  });

  test('in a hook, before open was called, leaves nothing to wait for', async () => {
    let report: Promise<unknown> | undefined;
    const coalescer: StreamCoalescer<number> = new StreamCoalescer<number>({
      hooks: {
        onLoadStart: () => {
          report = coalescer.close({ grace: 0 });
        },
      },
    });
    const open = vi.fn(counting(1).open);
    expect(await state(coalescer.stream('k', open).next())).toEqual({ reason: expect.any(ClosedError) });
    expect(open).not.toHaveBeenCalled();
    expect(await state(report as Promise<unknown>)).toMatchObject({ value: { aborted: 1, left: [] } });
  });

  test('wrong options only ever reject, and `using` closes', async () => {
    const coalescer = new StreamCoalescer();
    await expect(coalescer.close({ grace: Number.NaN })).rejects.toThrow('Expected `grace`');
    await coalescer[Symbol.asyncDispose]();
    expect(await state(coalescer.stream('k', counting(1).open).next())).toEqual({ reason: expect.any(ClosedError) });
  });
});

describe('hooks and metrics', () => {
  test('tell the whole story of a key, in order', async () => {
    const events: [name: string, event: object][] = [];
    const record = (name: string) => (event: object) => events.push([name, event]);
    const coalescer = new StreamCoalescer<string>({
      name: 's',
      ttl: 100,
      hooks: {
        onHit: record('hit'),
        onCoalesce: record('coalesce'),
        onLoadStart: record('start'),
        onLoadEnd: record('end'),
      },
    });
    const upstream = manualStreams<string>();
    const [one, two] = [coalescer.stream('k', upstream.open), coalescer.stream('k', upstream.open)];
    void one.next();
    void two.next();
    await vi.advanceTimersByTimeAsync(30);
    upstream.nth(0).push('a');
    await turn();
    void one.next();
    await turn();
    upstream.nth(0).end();
    await turn();
    await vi.advanceTimersByTimeAsync(40);
    await readAll(coalescer.stream('k', upstream.open));
    const load = { name: 's', key: 'k', reason: 'miss' };
    expect(events).toEqual([
      ['start', load],
      ['coalesce', { name: 's', key: 'k', callers: 2 }],
      ['end', { ...load, status: 'fulfilled', error: undefined, runMs: 30, stored: true }],
      ['hit', { name: 's', key: 'k', kind: 'fresh', ageMs: 40 }],
    ]);
    events.length = 0;
    const left = coalescer.stream('x', upstream.open);
    void left.next();
    await left.throw('why').catch(() => {});
    await readAll(coalescer.stream('y', () => Promise.reject('no'))).catch(() => {});
    expect(events.filter(([name]) => name === 'end')).toEqual([
      ['end', { ...load, key: 'x', status: 'aborted', error: 'why', runMs: 0, stored: false }],
      ['end', { ...load, key: 'y', status: 'rejected', error: 'no', runMs: 0, stored: false }],
    ]);
    const metrics = coalescer.getMetrics();
    expect(metrics).toMatchObject({
      kind: 'coalescer',
      name: 's',
      calls: 5,
      hits: 1,
      coalesced: 1,
      loads: 3,
      hitRate: 0.2,
    });
    expect(metrics.loadMs.samples).toBe(2);
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  });

  test('hooks that throw change nothing', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const broken = () => {
      throw new Error('broken');
    };
    const hooks = { onHit: broken, onCoalesce: broken, onLoadStart: broken, onLoadEnd: broken, onEvict: broken };
    const coalescer = new StreamCoalescer<number>({ ttl: 100, maxEntries: 1, hooks });
    for (const key of ['a', 'b', 'b']) {
      const both = [0, 1].map(() => readAll(coalescer.stream(key, counting(2).open)));
      expect(await Promise.all(both)).toEqual([
        [0, 1],
        [0, 1],
      ]);
    }
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 2, hits: 2, evicted: 1 });
    expect(error).toHaveBeenCalledTimes(1);
  });

  test('may call the coalescer, and leave in it', async () => {
    const coalescer: StreamCoalescer<number> = new StreamCoalescer<number>({ ttl: 100 });
    const reader = coalescer.stream('k', counting(2).open);
    let other: Promise<number[]> | undefined;
    const unsubscribe = coalescer.subscribe({
      onLoadStart: () => {
        unsubscribe();
        other = readAll(coalescer.stream('k', counting(3).open));
        void reader.return();
      },
    });
    expect(await reader.next()).toEqual(DONE.value);
    expect(await other).toEqual([0, 1]);
    expectStreamIdentity(coalescer);
  });
});
