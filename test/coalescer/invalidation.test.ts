import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LoadContext, RequestCoalescer } from '../../src/coalescer/index.js';
import { property } from '../support/runs.js';
import { manualUpstream, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const make = () => ({
  upstream: manualUpstream<string>(),
  coalescer: new RequestCoalescer<string, string>({ ttl: 1_000 }),
});

describe('during a load', () => {
  // COAL-07: swr#173, #566, #735: a mutation is overwritten by the stale response.
  test('`set` wins; the callers of the load still get its outcome', async () => {
    const { upstream, coalescer } = make();
    const call = coalescer.execute('k', upstream.load);
    coalescer.set('k', 'written');
    upstream.nth(0).resolve('old');
    expect(await call).toBe('old');
    expect(coalescer.peek('k')?.value).toBe('written');
    expect(await coalescer.execute('k', upstream.load)).toBe('written');
  });

  // COAL-13: query-core: whoever asks after the invalidation joins the flight from before it.
  test.each(['forget', 'clear'] as const)('who asks after `%s` never gets what was loaded before', async (how) => {
    const { upstream, coalescer } = make();
    const before = coalescer.execute('k', upstream.load);
    if (how === 'forget') expect(coalescer.forget('k')).toBe(1);
    else coalescer.clear();
    const after = coalescer.execute('k', upstream.load);
    upstream.nth(0).resolve('old');
    upstream.nth(1).resolve('new');
    expect(await Promise.all([before, after])).toEqual(['old', 'new']);
    expect(coalescer.peek('k')?.value).toBe('new');
  });

  // COAL-08: l2beat#12714: a superseded promise overwrites the newer value and deletes the newer entry.
  // COAL-10: cachified 5.6.3: the older flight's cleanup deletes the younger, a third caller loads again.
  test.each([
    ['first', 'fulfils'],
    ['first', 'rejects'],
    ['last', 'fulfils'],
    ['last', 'rejects'],
  ])('the superseded load ends %s and %s: the newer one is what counts', async (when, how) => {
    const { upstream, coalescer } = make();
    const old = coalescer.execute('k', upstream.load);
    old.catch(() => {});
    coalescer.forget('k');
    const young = coalescer.execute('k', upstream.load);
    const endOld = () => (how === 'fulfils' ? upstream.nth(0).resolve('old') : upstream.nth(0).reject('old'));
    if (when === 'first') endOld();
    await turn();
    // A third caller joins the younger one.
    const third = when === 'first' ? coalescer.execute('k', upstream.load) : young;
    upstream.nth(1).resolve('new');
    await turn();
    if (when === 'last') endOld();
    await turn();
    expect(await Promise.all([young, third])).toEqual(['new', 'new']);
    expect(await coalescer.execute('k', upstream.load)).toBe('new');
    expect(upstream.loads).toHaveLength(2);
    expect(await state(old)).toEqual(how === 'fulfils' ? { value: 'old' } : { reason: 'old' });
  });

  // COAL-11: gamedev.pl#1097: a generation counter that is deleted with its entry starts again at 1.
  test('invalidate, settle, invalidate, load again: the very first load still may not write', async () => {
    const { upstream, coalescer } = make();
    const first = coalescer.execute('k', upstream.load);
    coalescer.forget('k');
    const second = coalescer.execute('k', upstream.load);
    upstream.nth(1).resolve('second');
    await second;
    coalescer.forget('k');
    const third = coalescer.execute('k', upstream.load);
    upstream.nth(0).resolve('first');
    expect(await first).toBe('first');
    expect(coalescer.peek('k')).toBeUndefined();
    const fourth = coalescer.execute('k', upstream.load);
    upstream.nth(2).resolve('third');
    expect(await Promise.all([third, fourth])).toEqual(['third', 'third']);
  });

  test('a detached load is aborted when its last caller left, and no other is touched', async () => {
    const { upstream, coalescer } = make();
    const control = new AbortController();
    const left = coalescer.execute('k', upstream.load, { signal: control.signal });
    coalescer.forget('k');
    const young = coalescer.execute('k', upstream.load);
    expect(coalescer.getMetrics().inFlight).toBe(2);
    control.abort('x');
    expect(await state(left)).toEqual({ reason: 'x' });
    expect(upstream.loads.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    upstream.nth(1).resolve('new');
    expect(await young).toBe('new');
    expect(coalescer.getMetrics().inFlight).toBe(0);
  });

  test('a detached load times out like any other', async () => {
    const upstream = manualUpstream<string>();
    const coalescer = new RequestCoalescer<string>({ ttl: 1_000, loadTimeout: 30 });
    const call = coalescer.execute('k', upstream.load);
    call.catch(() => {});
    coalescer.clear();
    coalescer.set('k', 'written');
    await vi.advanceTimersByTimeAsync(30);
    await expect(call).rejects.toMatchObject({ option: 'loadTimeout' });
    expect(coalescer.peek('k')?.value).toBe('written');
  });

  test('`forget` with `abort` ends the load: its callers get one AbortError, after the key is free', async () => {
    const { upstream, coalescer } = make();
    const calls = [
      coalescer.execute('k', upstream.load),
      coalescer.execute('k', upstream.load, { signal: new AbortController().signal }),
    ];
    let next: Promise<string> | undefined;
    upstream.nth(0).signal.addEventListener('abort', () => {
      next = coalescer.execute('k', upstream.load);
    });
    expect(coalescer.forget('k', { abort: true })).toBe(1);
    const { reason } = upstream.nth(0).signal;
    expect(reason).toMatchObject({ name: 'AbortError' });
    for (const call of calls) expect(await state(call)).toEqual({ reason });
    upstream.nth(1).resolve('new');
    expect(await next).toBe('new');
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 0, loadFailures: 0, loadTimeouts: 0, inFlight: 0 });
  });

  test('`set` inside the loader wins over what the loader returns', async () => {
    const { coalescer } = make();
    const value = await coalescer.execute('k', () => {
      coalescer.set('k', 'written');
      return 'loaded';
    });
    expect([value, coalescer.peek('k')?.value]).toEqual(['loaded', 'written']);
  });

  test.each(['forget', 'set', 'execute', 'clear'] as const)(
    '`%s` inside the ttl function does no harm',
    async (how) => {
      let joined: Promise<string> | undefined;
      const coalescer: RequestCoalescer<string, string> = new RequestCoalescer<string, string>({
        ttl: () => {
          if (how === 'forget') coalescer.forget('k');
          if (how === 'clear') coalescer.clear();
          if (how === 'set') coalescer.set('k', 'written', { ttl: 10 });
          if (how === 'execute') joined = coalescer.execute('k', () => 'other');
          return 10;
        },
      });
      expect(await coalescer.execute('k', () => 'loaded')).toBe('loaded');
      const stored = { forget: undefined, clear: undefined, set: 'written', execute: 'loaded' }[how];
      expect(coalescer.peek('k')?.value).toBe(stored);
      if (joined !== undefined) expect(await joined).toBe('loaded');
      expect(coalescer.getMetrics().inFlight).toBe(0);
    },
  );

  test('a caller whose signal aborts inside the ttl function has left; the load has ended all the same', async () => {
    const control = new AbortController();
    const coalescer = new RequestCoalescer<string>({
      ttl: () => {
        control.abort('left');
        return 10;
      },
    });
    const call = coalescer.execute('k', () => 'loaded', { signal: control.signal });
    expect(await state(call)).toEqual({ reason: 'left' });
    expect(coalescer.peek('k')?.value).toBe('loaded');
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 0, inFlight: 0 });
  });
});

describe('forget', () => {
  test('drops what matches, stored or in flight, each key once, and says how many', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number, readonly [kind: string, id: number]>({ ttl: 1_000 });
    for (let i = 0; i < 3; i++) coalescer.set(['user', i], i);
    coalescer.set(['shop', 1], 1);
    void coalescer.execute(['user', 2], upstream.load, { fresh: true });
    void coalescer.execute(['user', 9], upstream.load);
    const asked: unknown[] = [];
    const match = ([kind, id]: readonly [string, number]) => {
      asked.push([kind, id]);
      return kind === 'user';
    };
    expect(coalescer.forget(match)).toBe(4);
    expect(asked).toHaveLength(5);
    expect(coalescer.peek(['shop', 1])?.value).toBe(1);
    for (const load of upstream.loads) load.resolve(0);
    await turn();
    expect(coalescer.getMetrics()).toMatchObject({ entries: 1, inFlight: 0 });
    expect(coalescer.forget(match)).toBe(0);
  });

  test('a predicate that throws drops nothing', () => {
    const { coalescer } = make();
    coalescer.set('a', '1');
    coalescer.set('b', '2');
    const match = (key: string) => {
      if (key === 'b') throw new Error('no');
      return true;
    };
    expect(() => coalescer.forget(match)).toThrow('no');
    expect(coalescer.getMetrics().entries).toBe(2);
  });
});

describe('set', () => {
  test('stores for the ttl, for its own one, or says that it would store nothing', async () => {
    const coalescer = new RequestCoalescer<string>({ ttl: 10 });
    coalescer.set('short', 'x', { ttl: 5 });
    coalescer.set('long', 'x');
    await vi.advanceTimersByTimeAsync(5);
    expect([coalescer.peek('short')?.value, coalescer.peek('long')?.value]).toEqual([undefined, 'x']);
    const upstream = manualUpstream<string>();
    const call = coalescer.execute('k', upstream.load);
    expect(() => coalescer.set('k', 'y', { ttl: 0 })).toThrow(TypeError);
    expect(() => new RequestCoalescer().set('k', 'y')).toThrow('`set` would store nothing: the `ttl` is 0');
    expect(() => new RequestCoalescer({ ttl: () => -5 }).set('k', 'y')).toThrow(TypeError);
    // A refused `set` changed nothing: the load in flight still is the current one.
    upstream.nth(0).resolve('loaded');
    await call;
    expect(coalescer.peek('k')?.value).toBe('loaded');
  });

  test('a promise is no value', () => {
    const coalescer = new RequestCoalescer({ ttl: 10 });
    expect(() => coalescer.set('k', Promise.resolve(1))).toThrow('Expected `value` to be a value, got a promise');
  });

  test('counts as no call', () => {
    const { coalescer } = make();
    coalescer.set('k', 'x');
    coalescer.peek('k');
    expect(coalescer.getMetrics()).toMatchObject({ calls: 0, hits: 0, entries: 1 });
  });
});

describe('fresh', () => {
  test('skips the stored value but joins a load in flight, while others are still served', async () => {
    const { upstream, coalescer } = make();
    coalescer.set('k', 'old');
    const fresh = coalescer.execute('k', upstream.load, { fresh: true });
    const joined = coalescer.execute('k', upstream.load, { fresh: true });
    expect(await coalescer.execute('k', upstream.load)).toBe('old');
    upstream.nth(0).resolve('new');
    expect(await Promise.all([fresh, joined])).toEqual(['new', 'new']);
    expect(await coalescer.execute('k', upstream.load)).toBe('new');
    expect(coalescer.getMetrics()).toMatchObject({ loads: 1, coalesced: 1, hits: 2 });
  });

  test('a fresh load that fails leaves the stored value, and no error in its place', async () => {
    const coalescer = new RequestCoalescer<string>({ ttl: 1_000, errorTtl: 1_000 });
    coalescer.set('k', 'old');
    expect(await state(coalescer.execute('k', () => Promise.reject('down'), { fresh: true }))).toEqual({
      reason: 'down',
    });
    expect(await coalescer.execute('k', () => 'x')).toBe('old');
  });

  test('the load sees what it replaces', async () => {
    const { coalescer } = make();
    coalescer.set('k', 'old');
    await vi.advanceTimersByTimeAsync(7);
    const seen: unknown[] = [];
    const load = ({ stale, reason, key }: LoadContext<string, string>) => {
      seen.push(stale, reason, key);
      return 'new';
    };
    await coalescer.execute('k', load, { fresh: true });
    await coalescer.execute('other', load);
    expect(seen).toEqual([{ value: 'old', ageMs: 7 }, 'miss', 'k', undefined, 'miss', 'other']);
  });
});

// Law: identity owns. Whatever order loads and invalidations come in, what is stored is from the last generation.
property([fc.scheduler(), fc.array(fc.boolean(), { minLength: 1, maxLength: 6 })])(
  'a load from before an invalidation never writes',
  async (s, outcomes) => {
    const coalescer = new RequestCoalescer<number, string>({ ttl: 1_000 });
    const calls = outcomes.map((ok, generation) => {
      coalescer.forget('k');
      return coalescer.execute('k', () =>
        s.schedule(ok ? Promise.resolve(generation) : Promise.reject<number>(generation)),
      );
    });
    for (const call of calls) call.catch(() => {});
    await s.waitAll();
    await turn();
    const last = outcomes.length - 1;
    expect(coalescer.peek('k')?.value).toBe(outcomes[last] ? last : undefined);
    for (const [i, call] of calls.entries())
      expect(await state(call)).toEqual(outcomes[i] ? { value: i } : { reason: i });
  },
);
