import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

/** A source that tells what was asked of it. */
class Source<I> implements AsyncIterable<I>, AsyncIterator<I> {
  pulled = 0;
  returned = 0;

  constructor(readonly answer: (i: number) => IteratorResult<I> | Promise<IteratorResult<I>>) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<I>> {
    return this.answer(this.pulled++);
  }

  async return(): Promise<IteratorResult<I>> {
    this.returned++;
    return { done: true, value: undefined };
  }
}

describe('map', () => {
  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 4 }),
    fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    fc.array(fc.nat()),
    fc.boolean(),
  ])(
    'gives results in input order, within both limits, from any source',
    async (s, limit, concurrency, items, isAsync) => {
      const pool = new PromisePool({ concurrency: limit });
      const gauge = new Gauge();
      async function* source() {
        for (const item of items) {
          await s.schedule(Promise.resolve());
          yield item;
        }
      }
      const work = (item: number, { index }: { index: number }) =>
        gauge.around(async () => {
          expectIdentity(pool);
          await s.schedule(Promise.resolve());
          return [item, index];
        });
      const results = await s.waitFor(pool.map(isAsync ? source() : items, work, { concurrency }));
      expect(results).toEqual(items.map((item, index) => [item, index]));
      expect(gauge.max).toBeLessThanOrEqual(Math.min(limit, concurrency ?? limit));
      expect(gauge.entered).toBe(items.length);
      await turns();
      expect(pool.getMetrics()).toMatchObject({ calls: items.length, fulfilled: items.length, running: 0, queued: 0 });
    },
  );

  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 20 }),
    fc.nat({ max: 19 }),
    fc.boolean(),
  ])(
    'is structured: after the first error it waits for its siblings, which saw the abort, and closes the source once',
    async (s, limit, count, bad, isAsync) => {
      const pool = new PromisePool({ concurrency: limit });
      const gauge = new Gauge();
      const running = new Map<number, AbortSignal>();
      let siblings: AbortSignal[] = [];
      let finallyRan = 0;
      let enteredAtFailure = -1;
      function* sync() {
        try {
          for (let i = 0; i < count; i++) yield i;
        } finally {
          finallyRan++;
        }
      }
      async function* later() {
        yield* sync();
      }
      const failure = new Error('bad');
      const work = (i: number, { signal }: { signal: AbortSignal }) =>
        gauge.around(async () => {
          running.set(i, signal);
          await s.schedule(Promise.resolve());
          running.delete(i);
          if (i !== bad) return;
          enteredAtFailure = gauge.entered;
          siblings = [...running.values()];
          throw failure;
        });
      const outcome = await s.waitFor(
        pool.map(isAsync ? later() : sync(), work).then(
          () => 'fulfilled',
          (error) => {
            expect(gauge.now).toBe(0);
            return error;
          },
        ),
      );
      if (bad < count) {
        expect(outcome).toBe(failure);
        expect(gauge.entered).toBe(enteredAtFailure);
        for (const { reason } of siblings) expect(reason).toBe(failure);
      } else {
        expect(outcome).toBe('fulfilled');
      }
      expect(finallyRan).toBe(1);
      expect(pool.running).toBe(0);
      expectIdentity(pool);
    },
  );

  test('pulls lazily: an endless generator is fine, and nothing runs ahead', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    let pulled = 0;
    function* endless() {
      for (;;) yield pulled++;
    }
    const error = await rejection(
      pool.map(endless(), async (i) => {
        expect(pulled).toBeLessThanOrEqual(i + 1 + 3);
        await turns();
        if (i === 50) throw new Error('enough');
      }),
    );
    expect(String(error)).toContain('enough');
    expect(pulled).toBeLessThanOrEqual(54);
  });

  test('grows with the limit, stops for a pause, and takes turns with whatever else waits', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const gates = Array.from({ length: 10 }, () => deferred<number>());
    const done = pool.map(gates, (gate) => gate.promise);
    expect(pool.running).toBe(1);
    pool.concurrency = 3;
    expect(pool.running).toBe(3);
    const between = vi.fn();
    void pool.execute(between);
    gates[0]?.resolve(0);
    await turns();
    expect(between).toHaveBeenCalledOnce();
    await turns();
    expect(pool.running).toBe(3);
    pool.pause();
    gates[1]?.resolve(1);
    await turns();
    expect(pool.running).toBe(2);
    pool.resume();
    expect(pool.running).toBe(3);
    for (const [i, gate] of gates.entries()) gate.resolve(i);
    expect(await done).toEqual(gates.map((_, i) => i));
  });

  test('two maps on one pool take turns', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const order: string[] = [];
    const run = (name: string) => pool.map([1, 2, 3], () => void order.push(name));
    await Promise.all([run('a'), run('b')]);
    expect(order.join('')).toBe('ababab');
  });

  test('holds no slot while an asynchronous source makes it wait', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const item = deferred<IteratorResult<number>>();
    const source = new Source<number>((i) => (i === 0 ? item.promise : { done: true, value: undefined }));
    const mapped = pool.map(source, (x) => x * 2);
    expect(pool.running).toBe(0);
    expect(await pool.execute(() => 'meanwhile')).toBe('meanwhile');
    item.resolve({ done: false, value: 21 });
    expect(await mapped).toEqual([42]);
    expect(source).toMatchObject({ pulled: 2, returned: 0 });
  });

  // POOL-53 sindresorhus/p-map#48: a throw inside next() escaped. POOL-52 p-limit#110: mappers rejected unobserved.
  test.each([0, 1, 3])(
    'rejects with what next() threw at call %i, after what runs has ended, and does not close the source',
    async (at) => {
      const pool = new PromisePool({ concurrency: 2 });
      const gauge = new Gauge();
      const failure = new Error('source');
      for (const kind of ['sync', 'async'] as const) {
        let returned = 0;
        let i = 0;
        const next = () => {
          if (i === at) throw failure;
          return { done: false, value: i++ } as const;
        };
        const source =
          kind === 'sync'
            ? { [Symbol.iterator]: () => ({ next, return: () => ({ done: true, value: ++returned }) as const }) }
            : {
                [Symbol.asyncIterator]: () => ({
                  next: async () => next(),
                  return: async () => ({ done: true, value: ++returned }) as const,
                }),
              };
        const error = await rejection(
          pool.map(source as Iterable<number>, () =>
            gauge.around(turns().then(() => Promise.reject(new Error('item')))),
          ),
        );
        expect([failure, expect.objectContaining({ message: 'item' })]).toContainEqual(error);
        expect(gauge.now).toBe(0);
        if (error === failure) expect(returned).toBe(0);
      }
    },
  );

  test.each([
    [null, TypeError],
    [5, TypeError],
    [{}, TypeError],
    [{ [Symbol.iterator]: () => ({ next: () => 5 }) }, TypeError],
    [{ [Symbol.asyncIterator]: () => ({ next: async () => undefined }) }, TypeError],
    [
      {
        [Symbol.iterator]() {
          throw new RangeError('open');
        },
      },
      RangeError,
    ],
  ])('rejects for the source %j', async (items, kind) => {
    const pool = new PromisePool({ concurrency: 1 });
    expect(await rejection(pool.map(items as never, () => 1))).toBeInstanceOf(kind);
    await pool.onIdle();
    expect(pool.running).toBe(0);
  });

  test('checks its options, and wants a bound over an unlimited pool', async () => {
    const pool = new PromisePool({ concurrency: Number.POSITIVE_INFINITY });
    expect(String(await rejection(pool.map(new Set([1]), () => 1)))).toContain('concurrency');
    expect(await pool.map([1, 2], (x) => x)).toEqual([1, 2]);
    expect(await pool.map(new Set([1]), (x) => x, { concurrency: 1 })).toEqual([1]);
    for (const options of [{ concurrency: 0 }, { timeout: -1 }, { priority: 'x' }, { group: {} }, { signal: 1 }, 5]) {
      expect(await rejection(pool.map([1], (x) => x, options as never))).toSatisfy(
        (e) => e instanceof TypeError || e instanceof RangeError,
      );
    }
    expect(await rejection(pool.map([1], 5 as never))).toBeInstanceOf(TypeError);
  });

  // POOL-61 p-map, POOL-56 async.mapLimit: siblings ran on; return() was never called.
  test("the caller's abort rejects at once, aborts the items and closes the source, also while next() is pending", async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const control = new AbortController();
    const source = new Source<number>((i) => (i < 1 ? { done: false, value: i } : (hang() as never)));
    let signal!: AbortSignal;
    const mapped = pool.map(
      source,
      (_, context) => {
        ({ signal } = context);
        return hang();
      },
      { signal: control.signal },
    );
    await turns();
    control.abort('why');
    expect(signal.reason).toBe('why');
    expect(await rejection(mapped)).toBe('why');
    expect(source.returned).toBe(1);
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, aborted: 1 });
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    expect(await rejection(pool.map([1], () => 1, { signal: control.signal }))).toBe('why');
  });

  test('items belong to groups, by name or by item', async () => {
    const pool = new PromisePool({ concurrency: 4, perGroup: { concurrency: 1 } });
    const inGroup = new Map<string, Gauge>();
    const hosts = ['a', 'a', 'b', 'a', 'b', 'c'];
    await pool.map(
      hosts,
      (host) => {
        const gauge = inGroup.get(host) ?? new Gauge();
        inGroup.set(host, gauge);
        return gauge.around(turns());
      },
      { group: (host) => host },
    );
    expect([...inGroup.values()].map(({ max }) => max)).toEqual([1, 1, 1]);
    expect(await rejection(pool.map([1], (x) => x, { group: () => ({}) as never }))).toBeInstanceOf(TypeError);
    await pool.onIdle();
    expectIdentity(pool);
  });

  // POOL-80: the items of a map belong to the one who called it, the source too.
  test('source and items run in the async context of the caller', async () => {
    const store = new AsyncLocalStorage<string>();
    const pool = new PromisePool({ concurrency: 1 });
    const seen: unknown[] = [];
    function* source() {
      for (let i = 0; i < 3; i++) {
        seen.push(store.getStore());
        yield i;
      }
    }
    await Promise.all([
      store.run('other', () => pool.map([1, 2, 3], () => turns())),
      store.run('mine', () => pool.map(source(), () => void seen.push(store.getStore()))),
    ]);
    expect(seen).toEqual(Array(6).fill('mine'));
  });
});

describe('map under time', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('an item that exceeds its timeout fails the map, which waits for its real end', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const told = vi.fn();
    const mapped = rejection(pool.map([100, 10], (ms) => new Promise((r) => setTimeout(r, ms)), { timeout: 50 })).then(
      told,
    );
    await vi.advanceTimersByTimeAsync(99);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await mapped;
    expect(told.mock.calls[0]?.[0]).toMatchObject({ code: 'TIMEOUT', timeout: 50 });
    expect(pool.getMetrics()).toMatchObject({ timedOut: 1, fulfilled: 1, running: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('close aborts a map after the grace, at once for its caller', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const mapped = rejection(pool.map([1, 2, 3], hang));
    const report = pool.close({ grace: 10, abortGrace: 5, reason: 'over' });
    await vi.advanceTimersByTimeAsync(15);
    expect(await mapped).toBe('over');
    expect(await report).toMatchObject({ clean: false, aborted: 1, left: ['pool'] });
  });

  test('close lets a map finish within the grace', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const mapped = pool.map([1, 2, 3], (i) => new Promise((r) => setTimeout(() => r(i), 10)));
    const report = pool.close({ grace: 100 });
    await vi.advanceTimersByTimeAsync(30);
    expect(await mapped).toEqual([1, 2, 3]);
    expect(await report).toEqual({ clean: true, finished: 3, aborted: 0, refused: 0, left: [] });
  });
});
