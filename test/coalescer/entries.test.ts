import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { ClosedError } from '../../src/core/errors.js';
import { manualUpstream, never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('ttl', () => {
  // COAL-05: p-memoize#22, #24: the ttl counts from the call, so slow loads expire at birth.
  test('counts from the end of the load, and its end is exact', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ ttl: 300 });
    const call = coalescer.execute('k', upstream.load);
    await vi.advanceTimersByTimeAsync(400);
    upstream.nth(0).resolve(1);
    await call;
    await vi.advanceTimersByTimeAsync(299.5);
    expect(coalescer.peek('k')).toEqual({ value: 1, state: 'fresh', ageMs: 299.5 });
    expect(await coalescer.execute('k', never)).toBe(1);
    await vi.advanceTimersByTimeAsync(0.5);
    expect(coalescer.peek('k')).toBeUndefined();
    expect(await coalescer.execute('k', () => 2)).toBe(2);
    expect(coalescer.getMetrics()).toMatchObject({ hits: 1, loads: 2 });
  });

  // COAL-56: memoizee#145: a coalesce-only mode is wanted, and a maximum of 0 must not mean "unlimited".
  test('without one, nothing is kept and no timer armed', async () => {
    const coalescer = new RequestCoalescer<number>();
    for (let i = 0; i < 100; i++) await coalescer.execute(i, () => i);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 0, loads: 100, hits: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  // COAL-47: node-lru-cache#157, go-cache#161: the wall clock is set back and values are served long after their ttl.
  test.each([-3_600_000, 3_600_000])('is not moved by a jump of %d ms of the wall clock', async (jump) => {
    const coalescer = new RequestCoalescer<number>({ ttl: 100 });
    await coalescer.execute('k', () => 1);
    vi.setSystemTime(Date.now() + jump);
    await vi.advanceTimersByTimeAsync(99);
    expect(coalescer.peek('k')).toEqual({ value: 1, state: 'fresh', ageMs: 99 });
    await vi.advanceTimersByTimeAsync(1);
    expect(coalescer.peek('k')).toBeUndefined();
  });

  // COAL-47, worse: no clock of ours is to be trusted either. Where it stands still (workerd between I/O) timers are the proof.
  test.each([0, -50, -3_600_000])(
    'a monotonic clock that jumps by %d ms and stands still does no harm',
    async (jump) => {
      const start = performance.now();
      let isWild = false;
      const { now } = performance;
      vi.spyOn(performance, 'now').mockImplementation(() => (isWild ? start + jump : now.call(performance)));
      const coalescer = new RequestCoalescer<number>({ ttl: 100, staleTtl: 50, errorTtl: 20, loadTimeout: 30 });
      await coalescer.execute('k', () => 1);
      isWild = true;
      expect(await coalescer.execute('k', never)).toBe(1);
      const hung = coalescer.execute('hung', never);
      hung.catch(() => {});
      await state(coalescer.execute('failed', () => Promise.reject('down')));
      await vi.advanceTimersByTimeAsync(30);
      expect(await state(hung)).toMatchObject({ reason: { option: 'loadTimeout' } });
      for (const number of Object.values(coalescer.getMetrics().loadMs)) expect(number).toBeGreaterThanOrEqual(0);
      isWild = false;
      await vi.advanceTimersByTimeAsync(3_600_300);
      expect([coalescer.getMetrics().entries, vi.getTimerCount()]).toEqual([0, 0]);
    },
  );

  test('may be Infinity, and longer than a timer can be', async () => {
    const endless = new RequestCoalescer<number>({ ttl: Number.POSITIVE_INFINITY });
    const long = new RequestCoalescer<number>({ ttl: 2 ** 31 + 10 });
    for (const coalescer of [endless, long]) coalescer.set('k', 1);
    await vi.advanceTimersByTimeAsync(2 ** 31 + 9);
    expect([endless.peek('k')?.value, long.peek('k')?.value]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect([endless.getMetrics().entries, long.getMetrics().entries]).toEqual([1, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('as a function it sees value, key and reason, once for each kept value', async () => {
    const ttl = vi.fn((value: { expiresIn: number }) => value.expiresIn);
    const coalescer = new RequestCoalescer<{ expiresIn: number }, string>({ ttl });
    await Promise.all([coalescer.execute('a', () => ({ expiresIn: 10 })), coalescer.execute('a', never)]);
    await coalescer.execute('b', () => ({ expiresIn: -1 }));
    expect(ttl.mock.calls).toEqual([
      [{ expiresIn: 10 }, { key: 'a', reason: 'miss' }],
      [{ expiresIn: -1 }, { key: 'b', reason: 'miss' }],
    ]);
    expect([coalescer.peek('a')?.value, coalescer.peek('b')]).toEqual([{ expiresIn: 10 }, undefined]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no ttl');
      },
      'no ttl',
    ],
    ['says NaN', () => Number.NaN, 'Expected `ttl(value)` to be a number, got `NaN`'],
    ['says nothing', () => undefined as unknown as number, 'Expected `ttl(value)` to be a number, got `undefined`'],
  ])('a ttl function that %s fails the load, which is said to all callers', async (_, ttl, message) => {
    const coalescer = new RequestCoalescer<number>({ ttl });
    const calls = [coalescer.execute('k', () => 1), coalescer.execute('k', () => 1)];
    for (const call of calls) await expect(call).rejects.toThrow(message);
    expect(coalescer.getMetrics()).toMatchObject({ loadFailures: 1, entries: 0, inFlight: 0 });
  });

  // COAL-53: worldmonitor#651, #3277: a loader returns its own fallback, and it is stored as fresh.
  test('`noStore`, destructured, gives the value to the callers and keeps it out', async () => {
    const coalescer = new RequestCoalescer<string>({ ttl: 1_000 });
    const load = async ({ noStore }: { noStore: () => void }) => {
      await Promise.resolve();
      noStore();
      return 'fallback';
    };
    expect(await Promise.all([coalescer.execute('k', load), coalescer.execute('k', load)])).toEqual([
      'fallback',
      'fallback',
    ]);
    expect(coalescer.peek('k')).toBeUndefined();
  });
});

describe('jitter', () => {
  // COAL-58: zio-cache#91, golang-lru#203: a burst that was warmed up together expires together.
  test('spreads the ends of a burst over its share and never lengthens', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000, jitter: 0.2 });
    for (let i = 0; i < 1_000; i++) {
      if (i % 2) coalescer.set(i, i);
      else await coalescer.execute(i, () => i);
    }
    const left: number[] = [];
    for (let time = 0; time <= 1_000; time += 10) {
      left.push(Array.from({ length: 1_000 }, (_, i) => coalescer.peek(i)).filter((each) => each !== undefined).length);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(left[80]).toBe(1_000);
    expect(left[100]).toBe(0);
    const steps = left.slice(80, 100).map((each, i) => each - (left[81 + i] as number));
    // Uniform over 20 steps of 50 each; seven sigma.
    for (const step of steps) expect(Math.abs(step - 50)).toBeLessThan(49);
  });
});

describe('errorTtl', () => {
  // COAL-44: cacheable#1554, #896: loader errors are swallowed, or returned as a value later.
  test('serves the error itself, as a rejection, for its time', async () => {
    const error = new Error('down');
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000, errorTtl: 50 });
    await state(coalescer.execute('k', () => Promise.reject(error)));
    expect(await state(coalescer.execute('k', never))).toEqual({ reason: error });
    expect(coalescer.peek('k')).toBeUndefined();
    expect(coalescer.getMetrics()).toMatchObject({ errorHits: 1, hits: 0, entries: 1, hitRate: 0, savedRate: 0.5 });
    await vi.advanceTimersByTimeAsync(50);
    expect(await coalescer.execute('k', () => 5)).toBe(5);
    expect(vi.getTimerCount()).toBe(1);
  });

  test('`fresh`, `forget` and `set` are ways around it; `prefetch` is none', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000, errorTtl: 50 });
    const fail = () => Promise.reject(new Error('down'));
    await state(coalescer.execute('k', fail));
    coalescer.prefetch('k', () => 1);
    expect(coalescer.getMetrics().prefetches).toBe(0);
    expect(await coalescer.execute('k', () => 1, { fresh: true })).toBe(1);
    await state(coalescer.execute('l', fail));
    expect(coalescer.forget('l')).toBe(1);
    await state(coalescer.execute('l', fail));
    coalescer.set('l', 2);
    expect(await coalescer.execute('l', never)).toBe(2);
  });

  test('never keeps a refusal of ours, an abort, or our own timeout', async () => {
    const coalescer = new RequestCoalescer<number>({ errorTtl: 1_000, loadTimeout: 20 });
    const abortError = AbortSignal.abort().reason as Error;
    for (const reason of [new ClosedError({ source: 'pool' }), abortError]) {
      await state(coalescer.execute('k', () => Promise.reject(reason)));
      expect(coalescer.getMetrics().entries).toBe(0);
    }
    void state(coalescer.execute('k', never));
    await vi.advanceTimersByTimeAsync(20);
    expect(await coalescer.execute('k', () => 1)).toBe(1);
    const control = new AbortController();
    const left = coalescer.execute('l', never, { signal: control.signal });
    control.abort(new Error('left'));
    await state(left);
    expect(coalescer.getMetrics().entries).toBe(0);
  });
});

describe('maxEntries', () => {
  test('the least recently used goes first; flights never', async () => {
    const evicted: unknown[] = [];
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({
      ttl: 1_000,
      maxEntries: 3,
      hooks: { onEvict: ({ key }) => evicted.push(key) },
    });
    const flights = Array.from({ length: 10 }, (_, i) => coalescer.execute(['flight', i], upstream.load));
    for (const key of ['a', 'b', 'c']) coalescer.set(key, 0);
    await coalescer.execute('a', never);
    coalescer.peek('b');
    coalescer.set('d', 0);
    coalescer.set('c', 1);
    coalescer.set('e', 0);
    expect(evicted).toEqual(['b', 'a']);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 3, evicted: 2, inFlight: 10 });
    for (const [i, load] of upstream.loads.entries()) load.resolve(i);
    expect(await Promise.all(flights)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 3, evicted: 12 });
  });

  test('what has expired makes room before what is alive', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000, maxEntries: 2 });
    coalescer.set('alive', 1);
    coalescer.set('dying', 2, { ttl: 5 });
    await vi.advanceTimersByTimeAsync(5);
    coalescer.set('new', 3);
    expect([coalescer.peek('alive')?.value, coalescer.getMetrics().evicted]).toEqual([1, 0]);
  });

  test('is 1000 by default', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000 });
    for (let i = 0; i < 1_500; i++) await coalescer.execute(i, () => i);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1_000, evicted: 500 });
  });
});

describe('sweeping', () => {
  test('untouched entries go when their time is over, by one timer, and then none is left', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 100, maxEntries: 10_000 });
    expect(vi.getTimerCount()).toBe(0);
    for (let i = 0; i < 5_000; i++) coalescer.set(i, i, { ttl: 100 + (i % 50) });
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(125);
    expect(coalescer.getMetrics().entries).toBeLessThanOrEqual(2_600);
    await vi.advanceTimersByTimeAsync(30);
    expect(vi.getTimerCount()).toBe(0);
    expect(coalescer.getMetrics().entries).toBe(0);
  });

  test('a shorter ttl moves the timer forward', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 3_600_000 });
    coalescer.set('long', 1);
    coalescer.set('short', 1, { ttl: 10 });
    await vi.advanceTimersByTimeAsync(10);
    expect(coalescer.getMetrics().entries).toBe(1);
    expect(coalescer.forget('short')).toBe(0);
    coalescer.clear();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('where timers cannot be unref’d there is none, and the next calls sweep', async () => {
    const { setTimeout } = globalThis;
    vi.stubGlobal('setTimeout', (...args: Parameters<typeof setTimeout>) => Number(setTimeout(...args)));
    const coalescer = new RequestCoalescer<number>({ ttl: 10, maxEntries: 3 });
    for (const key of ['a', 'b', 'c']) coalescer.set(key, 1);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(10);
    // None of them is there any more, whoever asks, though nothing has swept yet.
    expect(coalescer.forget('a')).toBe(0);
    const asked = vi.fn(() => true);
    expect(coalescer.forget(asked)).toBe(0);
    expect(asked).not.toHaveBeenCalled();
    expect(coalescer.peek('b')).toBeUndefined();
    expect(await coalescer.execute('b', () => 2)).toBe(2);
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1, evicted: 0 });
    await vi.advanceTimersByTimeAsync(10);
    expect(coalescer.getMetrics().entries).toBe(0);
  });
});

test('a key is free for the next load after every way a load can end', async () => {
  const coalescer = new RequestCoalescer<number>({ loadTimeout: 10 });
  const control = new AbortController();
  const ends = [
    () => coalescer.execute('k', () => 1),
    () => coalescer.execute('k', () => Promise.reject(0)),
    () => coalescer.execute('k', never),
    () => coalescer.execute('k', never, { signal: control.signal }),
  ];
  for (const end of ends) {
    const call = end();
    call.catch(() => {});
    control.abort();
    await vi.advanceTimersByTimeAsync(10);
    await turn();
    expect(coalescer.getMetrics().inFlight).toBe(0);
  }
  expect(coalescer.getMetrics()).toMatchObject({ calls: 4, loads: 3, refused: 1 });
});
