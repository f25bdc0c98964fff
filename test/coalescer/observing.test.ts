import { AsyncLocalStorage } from 'node:async_hooks';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CoalescerHooks, RequestCoalescer } from '../../src/coalescer/index.js';
import { property } from '../support/runs.js';
import { manualUpstream, never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('hooks', () => {
  test('tell the whole story of a key, in order', async () => {
    const story: unknown[] = [];
    const record = (hook: string) => (event: object) => story.push({ hook, ...event });
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({
      name: 'x',
      ttl: 10,
      staleTtl: 10,
      errorTtl: 10,
      maxEntries: 1,
      hooks: {
        onHit: record('hit'),
        onCoalesce: record('coalesce'),
        onLoadStart: record('start'),
        onLoadEnd: record('end'),
        onEvict: record('evict'),
      },
    });
    const told = () => story.splice(0);
    const calls = [coalescer.execute('k', upstream.load), coalescer.execute('k', upstream.load)];
    expect(told()).toEqual([
      { hook: 'start', name: 'x', key: 'k', reason: 'miss' },
      { hook: 'coalesce', name: 'x', key: 'k', callers: 2 },
    ]);
    await vi.advanceTimersByTimeAsync(3);
    upstream.nth(0).resolve(1);
    await Promise.all(calls);
    const end = { hook: 'end', name: 'x', key: 'k', error: undefined, stored: true };
    expect(told()).toEqual([{ ...end, reason: 'miss', status: 'fulfilled', runMs: 3 }]);
    await coalescer.execute('k', upstream.load);
    await vi.advanceTimersByTimeAsync(12);
    await coalescer.execute('k', upstream.load);
    upstream.nth(1).reject('down');
    await turn();
    expect(told()).toEqual([
      { hook: 'hit', name: 'x', key: 'k', kind: 'fresh', ageMs: 0 },
      { hook: 'start', name: 'x', key: 'k', reason: 'refresh' },
      { hook: 'hit', name: 'x', key: 'k', kind: 'stale', ageMs: 12 },
      { ...end, reason: 'refresh', status: 'rejected', error: 'down', runMs: 0, stored: false },
    ]);
    await state(coalescer.execute('l', () => Promise.reject('down')));
    await state(coalescer.execute('l', never));
    expect(told()).toEqual([
      { hook: 'start', name: 'x', key: 'l', reason: 'miss' },
      { hook: 'evict', name: 'x', key: 'k' },
      { ...end, key: 'l', reason: 'miss', status: 'rejected', error: 'down', runMs: 0 },
      { hook: 'hit', name: 'x', key: 'l', kind: 'error', ageMs: 0 },
    ]);
    const control = new AbortController();
    const left = coalescer.execute('m', never, { signal: control.signal });
    control.abort('bye');
    await state(left);
    expect(told().at(-1)).toEqual({
      ...end,
      key: 'm',
      reason: 'miss',
      status: 'aborted',
      error: 'bye',
      runMs: 0,
      stored: false,
    });
    void state(coalescer.execute('n', never));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told().at(-1)).toMatchObject({
      key: 'n',
      status: 'timeout',
      error: { code: 'TIMEOUT' },
      runMs: 60_000,
      stored: false,
    });
  });

  // COAL-62: dgs-framework#1928: the trace context of followers is lost.
  test("`onCoalesce` runs in the joiner's async context", async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const coalescer = new RequestCoalescer<number>({ hooks: { onCoalesce: () => seen.push(store.getStore()) } });
    const calls = ['leader', 'one', 'two'].map((who) => store.run(who, () => coalescer.execute('k', async () => 1)));
    await Promise.all(calls);
    expect(seen).toEqual(['one', 'two']);
  });

  // MET-01, MET-02: opossum, cockatiel: a listener that throws fails the call.
  property([
    fc.constantFrom('throws', 'rejects', 'listens'),
    fc.array(fc.constantFrom('load', 'fail', 'advance', 'forget', 'abort')),
  ])('never change an outcome, whatever they do', async (how, steps) => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const hook = (): undefined => {
      if (how === 'throws') throw new Error('hook');
      return (how === 'rejects' ? Promise.reject(new Error('hook')) : undefined) as undefined;
    };
    const hooks: CoalescerHooks = { onHit: hook, onCoalesce: hook, onLoadStart: hook, onLoadEnd: hook, onEvict: hook };
    const run = async (options: { hooks?: CoalescerHooks }) => {
      const coalescer = new RequestCoalescer<string>({ ttl: 10, staleTtl: 10, errorTtl: 5, maxEntries: 1, ...options });
      const outcomes: unknown[] = [];
      for (const step of steps) {
        const control = new AbortController();
        if (step === 'advance') await vi.advanceTimersByTimeAsync(7);
        else if (step === 'forget') coalescer.forget('a');
        else {
          const load = () => (step === 'fail' ? Promise.reject('down') : step === 'abort' ? never() : 'value');
          const calls = ['a', 'a', 'b'].map((key) => coalescer.execute(key, load, { signal: control.signal }));
          if (step === 'abort') control.abort('left');
          for (const call of calls) outcomes.push(await state(call));
        }
      }
      return [outcomes, { ...coalescer.getMetrics(), loadMs: 0 }];
    };
    expect(await run({ hooks })).toEqual(await run({}));
  });

  test('may call the coalescer', async () => {
    const coalescer: RequestCoalescer<number> = new RequestCoalescer<number>({
      ttl: 10,
      hooks: {
        onHit: ({ key }) => coalescer.forget(key as string),
        onLoadStart: ({ key }) => key === 'aborted' && void coalescer.forget('aborted', { abort: true }),
      },
    });
    coalescer.set('k', 1);
    expect(await coalescer.execute('k', never)).toBe(1);
    expect(coalescer.peek('k')).toBeUndefined();
    const load = vi.fn(() => 1);
    expect(await state(coalescer.execute('aborted', load))).toMatchObject({ reason: { name: 'AbortError' } });
    expect(load).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('come and go by `subscribe`', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 10 });
    const onHit = vi.fn();
    const end = coalescer.subscribe({ onHit });
    coalescer.set('k', 1);
    await coalescer.execute('k', never);
    end();
    await coalescer.execute('k', never);
    expect(onHit).toHaveBeenCalledTimes(1);
  });
});

describe('metrics', () => {
  test('an idle coalescer: zeros, and nothing that JSON would lose', () => {
    const metrics = new RequestCoalescer({ name: 'x' }).getMetrics();
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
    expect(metrics).toEqual({
      kind: 'coalescer',
      name: 'x',
      entries: 0,
      inFlight: 0,
      calls: 0,
      hits: 0,
      staleHits: 0,
      errorHits: 0,
      coalesced: 0,
      loads: 0,
      refused: 0,
      refreshes: 0,
      prefetches: 0,
      loadFailures: 0,
      loadTimeouts: 0,
      orphaned: 0,
      evicted: 0,
      hitRate: 0,
      savedRate: 0,
      loadMs: { samples: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 },
    });
  });

  test('how long loads took: those that settled or timed out, not those that nobody wanted', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ loadTimeout: 100 });
    const control = new AbortController();
    void state(coalescer.execute('a', upstream.load));
    void state(coalescer.execute('b', upstream.load));
    void state(coalescer.execute('left', upstream.load, { signal: control.signal }));
    void state(coalescer.execute('hung', upstream.load));
    control.abort();
    await vi.advanceTimersByTimeAsync(20);
    upstream.nth(0).resolve(1);
    await vi.advanceTimersByTimeAsync(20);
    upstream.nth(1).reject(1);
    await vi.advanceTimersByTimeAsync(60);
    const { loadMs, savedRate } = coalescer.getMetrics();
    expect(loadMs).toMatchObject({ samples: 3, max: 100 });
    expect(loadMs.mean).toBeCloseTo(160 / 3, 0);
    expect(savedRate).toBe(0);
  });
});
