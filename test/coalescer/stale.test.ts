import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RequestCoalescer, type RequestCoalescerOptions } from '../../src/coalescer/index.js';
import { expectIdentity, manualUpstream, never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A coalescer that holds 'old' under 'k', which has just become stale. */
async function stale(options: RequestCoalescerOptions<string, string> = {}) {
  const upstream = manualUpstream<string>();
  const coalescer = new RequestCoalescer<string, string>({ ttl: 100, staleTtl: 10_000, ...options });
  await coalescer.execute('k', () => 'old');
  await vi.advanceTimersByTimeAsync(100);
  const call = () => coalescer.execute('k', upstream.load);
  return { upstream, coalescer, call };
}

// COAL-52: nitro#1950, ocache#57: serving stale values by default.
test('by default nothing is served after its ttl', async () => {
  const { upstream, coalescer, call } = await stale({ staleTtl: undefined });
  expect(coalescer.peek('k')).toBeUndefined();
  const waiting = call();
  upstream.nth(0).resolve('new');
  expect(await waiting).toBe('new');
});

// COAL-16: async-cache-dedupe#164, #197, cacheable#619: refreshes in the stale window are not deduplicated.
// COAL-20: bentocache#103, #115: the second stale caller waits for the first one's refresh; the load does not see the old value.
test('ten stale callers get the old value at once, and one refresh runs that sees it', async () => {
  const { upstream, coalescer, call } = await stale();
  await vi.advanceTimersByTimeAsync(20);
  const calls = Array.from({ length: 10 }, call);
  for (const each of calls) expect(await state(each)).toEqual({ value: 'old' });
  expect(upstream.loads).toHaveLength(1);
  const { context } = upstream.nth(0);
  expect([context.reason, context.key, context.stale]).toEqual(['refresh', 'k', { value: 'old', ageMs: 120 }]);
  expect(coalescer.peek('k')).toEqual({ value: 'old', state: 'stale', ageMs: 120 });
  expect(coalescer.getMetrics()).toMatchObject({
    calls: 11,
    loads: 1,
    staleHits: 10,
    refreshes: 1,
    coalesced: 0,
    hitRate: 10 / 11,
  });
  expectIdentity(coalescer);
  upstream.nth(0).resolve('new');
  await turn();
  expect(coalescer.peek('k')).toEqual({ value: 'new', state: 'fresh', ageMs: 0 });
  expect(await call()).toBe('new');
});

test('a refresh does not end with its caller: it belongs to nobody', async () => {
  const { upstream, coalescer } = await stale();
  const control = new AbortController();
  await coalescer.execute('k', upstream.load, { signal: control.signal });
  control.abort();
  expect(upstream.nth(0).signal.aborted).toBe(false);
  upstream.nth(0).resolve('new');
  await turn();
  expect(coalescer.peek('k')?.value).toBe('new');
});

// COAL-50: caffeine#175, #373, #467: a slow refresh lets the old value live for ever.
test('after the stale window callers join the running refresh and never get the old value', async () => {
  const { upstream, coalescer, call } = await stale({ staleTtl: 50 });
  expect(await call()).toBe('old');
  await vi.advanceTimersByTimeAsync(49);
  expect(await call()).toBe('old');
  await vi.advanceTimersByTimeAsync(1);
  expect(coalescer.peek('k')).toBeUndefined();
  const waiting = call();
  expect(await state(waiting)).toBe('pending');
  expect(upstream.loads).toHaveLength(1);
  upstream.nth(0).resolve('new');
  expect(await waiting).toBe('new');
  expect(coalescer.getMetrics()).toMatchObject({ coalesced: 1, staleHits: 2, loads: 1 });
});

test('a refresh that fails after the window rejects those who joined it', async () => {
  const { upstream, call } = await stale({ staleTtl: 50 });
  await call();
  await vi.advanceTimersByTimeAsync(50);
  const waiting = call();
  upstream.nth(0).reject('down');
  expect(await state(waiting)).toEqual({ reason: 'down' });
});

describe('after a refresh that brought nothing', () => {
  // COAL-19: bentocache 1.6.1: the pause is added to the old expiry instead of the failure.
  test('none is tried for the ttl, counted from the failure, and the old value is served on', async () => {
    const { upstream, coalescer, call } = await stale();
    await call();
    await vi.advanceTimersByTimeAsync(500);
    upstream.nth(0).reject('down');
    await vi.advanceTimersByTimeAsync(99);
    expect(await call()).toBe('old');
    coalescer.prefetch('k', upstream.load);
    expect(upstream.loads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await call()).toBe('old');
    expect(upstream.loads).toHaveLength(2);
    expect(coalescer.getMetrics()).toMatchObject({ loadFailures: 1, refreshes: 2, prefetches: 0 });
  });

  test('with a long ttl the pause is one second', async () => {
    const { upstream, call } = await stale({ ttl: 60_000 });
    await vi.advanceTimersByTimeAsync(59_900);
    await call();
    upstream.nth(0).reject('down');
    await vi.advanceTimersByTimeAsync(999);
    await call();
    expect(upstream.loads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await call();
    expect(upstream.loads).toHaveLength(2);
  });

  test('failures never move the hard end', async () => {
    const { upstream, coalescer, call } = await stale({ staleTtl: 1_000, errorTtl: 5_000 });
    for (let time = 0; time < 1_000; time += 100) {
      expect(await call()).toBe('old');
      upstream.nth(time / 100).reject('down');
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(coalescer.peek('k')).toBeUndefined();
    const waiting = call();
    upstream.nth(10).resolve('new');
    expect(await waiting).toBe('new');
  });

  test.each([
    ['times out', 'timeout'],
    ['gives a fallback', 'noStore'],
  ])('one that %s counts as such', async (_, how) => {
    const { upstream, call } = await stale({ loadTimeout: 30 });
    await call();
    if (how === 'noStore') {
      upstream.nth(0).context.noStore();
      upstream.nth(0).resolve('fallback');
    }
    await vi.advanceTimersByTimeAsync(30);
    expect(await call()).toBe('old');
    expect(upstream.loads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    await call();
    expect(upstream.loads).toHaveLength(2);
  });

  test('a new value has no pause of its own', async () => {
    const { upstream, coalescer, call } = await stale();
    await call();
    upstream.nth(0).reject('down');
    await turn();
    coalescer.set('k', 'written', { ttl: 5 });
    await vi.advanceTimersByTimeAsync(5);
    expect(await call()).toBe('written');
    expect(upstream.loads).toHaveLength(2);
  });
});

// COAL-31: effect#7578: a refresh that was cancelled deletes a newer `set`.
test.each(['fulfils', 'rejects', 'is aborted'])(
  '`set` during a refresh that then %s: the written value stays',
  async (how) => {
    const { upstream, coalescer, call } = await stale();
    await call();
    coalescer.set('k', 'written');
    if (how === 'fulfils') upstream.nth(0).resolve('new');
    else if (how === 'rejects') upstream.nth(0).reject('down');
    else coalescer.forget('other', { abort: true });
    await turn();
    expect(coalescer.peek('k')).toEqual({ value: 'written', state: 'fresh', ageMs: 0 });
  },
);

test('`clone` gives the load its own copy of the old value', async () => {
  const coalescer = new RequestCoalescer<{ n: number }>({ ttl: 10, staleTtl: 100, clone: structuredClone });
  coalescer.set('k', { n: 1 });
  await vi.advanceTimersByTimeAsync(10);
  await coalescer.execute('k', ({ stale }) => {
    if (stale) stale.value.n = 2;
    return never();
  });
  expect(coalescer.peek('k')?.value).toEqual({ n: 1 });
});

describe('prefetch', () => {
  test('loads ahead, keeps the value, and is no call', async () => {
    const upstream = manualUpstream<string>();
    const coalescer = new RequestCoalescer<string>({ ttl: 100 });
    coalescer.prefetch('k', upstream.load);
    coalescer.prefetch('k', upstream.load);
    expect(coalescer.getMetrics()).toMatchObject({ calls: 0, loads: 0, prefetches: 1, inFlight: 1 });
    const joined = coalescer.execute('k', upstream.load);
    upstream.nth(0).resolve('ahead');
    expect(await joined).toBe('ahead');
    coalescer.prefetch('k', upstream.load);
    expect(await coalescer.execute('k', upstream.load)).toBe('ahead');
    expect(coalescer.getMetrics()).toMatchObject({ calls: 2, coalesced: 1, hits: 1, prefetches: 1 });
    coalescer.prefetch('k', upstream.load, { fresh: true });
    expect(upstream.loads).toHaveLength(2);
  });

  test('refreshes what is stale, and who joins it may leave without ending it', async () => {
    const { upstream, coalescer } = await stale({ staleTtl: 50 });
    coalescer.prefetch('k', upstream.load);
    expect(upstream.nth(0).context).toMatchObject({ reason: 'refresh', stale: { value: 'old' } });
    await vi.advanceTimersByTimeAsync(50);
    const control = new AbortController();
    const joined = coalescer.execute('k', upstream.load, { signal: control.signal });
    control.abort('x');
    expect(await state(joined)).toEqual({ reason: 'x' });
    expect(upstream.nth(0).signal.aborted).toBe(false);
    expect(coalescer.getMetrics()).toMatchObject({ prefetches: 1, refreshes: 0, orphaned: 0 });
  });

  test('a failure goes to hooks and metrics only', async () => {
    const onLoadEnd = vi.fn();
    const coalescer = new RequestCoalescer({ ttl: 10, hooks: { onLoadEnd } });
    coalescer.prefetch('a', () => Promise.reject('down'));
    coalescer.prefetch('b', () => {
      throw 'down';
    });
    await turn();
    expect(onLoadEnd.mock.calls.map(([event]) => [event.status, event.error])).toEqual([
      ['rejected', 'down'],
      ['rejected', 'down'],
    ]);
    expect(coalescer.getMetrics()).toMatchObject({ calls: 0, prefetches: 2, loadFailures: 2 });
  });
});

describe('waitUntil', () => {
  test('is told of refreshes and prefetches, inside the call, until they end, and never of a rejection', async () => {
    const kept: Promise<unknown>[] = [];
    const { upstream, coalescer, call } = await stale({ waitUntil: (promise) => kept.push(promise) });
    expect(kept).toHaveLength(0);
    void call();
    void call();
    coalescer.prefetch('p', upstream.load);
    expect(kept).toHaveLength(2);
    expect(await Promise.all(kept.map(state))).toEqual(['pending', 'pending']);
    upstream.nth(0).reject('down');
    upstream.nth(1).resolve('x');
    expect(await Promise.all(kept.map(state))).toEqual([{ value: undefined }, { value: undefined }]);
  });

  test('per call it comes before the one of the coalescer; an object is called as a method', async () => {
    const ctx = {
      kept: [] as Promise<unknown>[],
      waitUntil(promise: Promise<unknown>) {
        this.kept.push(promise);
      },
    };
    const other = vi.fn();
    const { upstream, coalescer } = await stale({ waitUntil: other });
    expect(await coalescer.execute('k', upstream.load, { waitUntil: ctx })).toBe('old');
    expect([ctx.kept.length, other.mock.calls.length]).toEqual([1, 0]);
  });

  test('one that throws or rejects costs nobody the value, and is said once', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const ctx = {
      waitUntil(this: unknown) {
        if (this !== ctx) throw new TypeError('Illegal invocation');
      },
    };
    const { waitUntil } = ctx;
    const { upstream, coalescer, call } = await stale({ waitUntil });
    expect(await call()).toBe('old');
    coalescer.prefetch('p', upstream.load, { waitUntil: () => Promise.reject('no') as unknown as undefined });
    await turn();
    expect(upstream.loads).toHaveLength(2);
    expect(shown).toHaveBeenCalledTimes(1);
    expect(String(shown.mock.calls[0])).toContain('pass `ctx` itself, not `ctx.waitUntil`');
  });
});
