import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import { property } from '../support/runs.js';
import { expectIdentity, manualUpstream, never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('one flight per key', () => {
  // COAL-59: llm-d-semantic-classifier#21, cachey#82: waiters counted as hits.
  test('eight callers at once are one load and seven joins, no hits', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000 });
    const calls = Array.from({ length: 8 }, () => coalescer.execute('k', upstream.load));
    upstream.nth(0).resolve(5);
    expect(await Promise.all(calls)).toEqual(Array(8).fill(5));
    expect(coalescer.getMetrics()).toMatchObject({
      calls: 8,
      loads: 1,
      coalesced: 7,
      hits: 0,
      hitRate: 0,
      savedRate: 7 / 8,
    });
  });

  test('each caller gets a promise of its own', async () => {
    const coalescer = new RequestCoalescer({ ttl: 1_000 });
    const { signal } = new AbortController();
    const calls = [
      coalescer.execute('k', () => 1),
      coalescer.execute('k', () => 1),
      coalescer.execute('k', () => 1, { signal }),
      coalescer.execute('k', () => 1, { signal }),
    ];
    await Promise.all(calls);
    calls.push(
      coalescer.execute('k', () => 1),
      coalescer.execute('k', () => 1),
    );
    expect(new Set(calls).size).toBe(6);
  });

  // COAL-55: extensions#6202, lru-cache#228: callers with different loaders share one flight.
  test("a joiner's loader and ttl are not looked at: the key names the value", async () => {
    const other = vi.fn(() => 'other');
    const coalescer = new RequestCoalescer<string>({ ttl: 1_000 });
    const both = [coalescer.execute('k', async () => 'first'), coalescer.execute('k', other)];
    expect(await Promise.all(both)).toEqual(['first', 'first']);
    expect(other).not.toHaveBeenCalled();
  });

  // COAL-35: cacheable#742, #971: a module-global flight map shared by instances.
  test('two instances with one name share nothing', async () => {
    const [one, two] = [
      new RequestCoalescer({ name: 'x', ttl: 1_000 }),
      new RequestCoalescer({ name: 'x', ttl: 1_000 }),
    ];
    expect(await Promise.all([one.execute('k', () => 1), two.execute('k', () => 2)])).toEqual([1, 2]);
    expect(await Promise.all([one.execute('k', () => 3), two.execute('k', () => 4)])).toEqual([1, 2]);
  });

  test('the loader runs inside the call, in the async context of the caller that leads', async () => {
    const store = new AsyncLocalStorage<string>();
    const upstream = manualUpstream<number>();
    const seen: (string | undefined)[] = [];
    const coalescer = new RequestCoalescer<number>();
    const call = (caller: string) =>
      store.run(caller, async () => {
        await coalescer.execute('k', (context) => {
          seen.push(store.getStore());
          return upstream.load(context);
        });
        seen.push(`${store.getStore()} after`);
      });
    const calls = [call('leader'), call('joiner')];
    expect(seen).toEqual(['leader']);
    upstream.nth(0).resolve(1);
    await Promise.all(calls);
    expect(seen).toEqual(['leader', 'leader after', 'joiner after']);
  });

  test('the loader may ask for other keys, and join its own key without waiting for it', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 10 });
    let inner: Promise<number> | undefined;
    const value = await coalescer.execute('a', async () => {
      inner = coalescer.execute('a', () => -1);
      return (await coalescer.execute('b', () => 2)) + 1;
    });
    expect([value, await inner]).toEqual([3, 3]);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 2, coalesced: 1 });
  });
});

describe('how a load may end', () => {
  class Strange extends Error {}
  const settledBeforeRegistration: readonly [string, () => unknown, unknown][] = [
    ['a plain value', () => 5, { value: 5 }],
    ['undefined', () => undefined, { value: undefined }],
    ['a settled promise', () => Promise.resolve(5), { value: 5 }],
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    ['a thenable that calls back inline', () => ({ then: (ok: (v: number) => void) => ok(5) }), { value: 5 }],
    [
      'a synchronous throw',
      () => {
        throw 'no';
      },
      { reason: 'no' },
    ],
    ['a rejected promise', () => Promise.reject('no'), { reason: 'no' }],
    [
      'a thenable that throws',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        then() {
          throw 'no';
        },
      }),
      { reason: 'no' },
    ],
    [
      'a thenable whose `then` cannot be read',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        get then() {
          throw 'no';
        },
      }),
      { reason: 'no' },
    ],
  ];

  // COAL-04: effect#7608, #7614: a lookup that fails synchronously is published after its own cleanup ran.
  // COAL-22, COAL-23: axios-cache-interceptor#685, go#33519: followers hang when the leader ends on an odd path.
  test.each(settledBeforeRegistration)(
    '%s: leader and joiners hear of it and the key is free',
    async (_, load, expected) => {
      const coalescer = new RequestCoalescer();
      const { signal } = new AbortController();
      const calls = [
        coalescer.execute('k', load),
        coalescer.execute('k', load),
        coalescer.execute('k', load, { signal }),
      ];
      for (const call of calls) expect(await state(call)).toEqual(expected);
      expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, loads: 1, coalesced: 2 });
      await state(coalescer.execute('k', load));
      expect(coalescer.getMetrics().loads).toBe(2);
    },
  );

  // COAL-43: cacheable utils, layered-loader: a falsy rejection is taken for none.
  test.each([undefined, null, 0, '', false, Number.NaN])(
    'a rejection with %s reaches all as a rejection',
    async (reason) => {
      const coalescer = new RequestCoalescer({ errorTtl: 1_000 });
      const calls = [
        coalescer.execute('k', () => Promise.reject(reason)),
        coalescer.execute('k', () => 1),
        coalescer.execute('k', () => 1, { signal: new AbortController().signal }),
      ];
      for (const call of calls) expect(await state(call)).toEqual({ reason });
      expect(await state(coalescer.execute('k', () => 1))).toEqual({ reason });
      expect(coalescer.getMetrics()).toMatchObject({ errorHits: 1, loadFailures: 1 });
    },
  );

  test("a task's own error passes by identity", async () => {
    const error = new Strange();
    const coalescer = new RequestCoalescer();
    const calls = [coalescer.execute('k', () => Promise.reject(error)), coalescer.execute('k', () => 1)];
    for (const call of calls) await expect(call).rejects.toBe(error);
  });

  // COAL-01: memoizee#84, #93, #117: the rejected promise is still there inside the first `catch`.
  test('a call in the first rejection handler loads again', async () => {
    const load = vi.fn(() => Promise.reject(new Strange()));
    const coalescer = new RequestCoalescer();
    let again: Promise<unknown> | undefined;
    await coalescer.execute('k', load).catch(() => {
      again = coalescer.execute('k', load);
    });
    await expect(again).rejects.toThrow(Strange);
    expect(load).toHaveBeenCalledTimes(2);
  });

  // COAL-02: memoize#8, #10, tessera#611: a rejection is cached until restart.
  test('a failure is forgotten: the next call loads', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000 });
    await expect(coalescer.execute('k', () => Promise.reject(new Strange()))).rejects.toThrow(Strange);
    expect(coalescer.peek('k')).toBeUndefined();
    expect(await coalescer.execute('k', () => 7)).toBe(7);
  });

  // COAL-14: dart#69: the result is published before the removal, so a sequential caller joins a completed flight.
  test('the first statement after `await` starts a new load, without a ttl', async () => {
    const load = vi.fn(async () => 1);
    const coalescer = new RequestCoalescer<number>();
    for (let i = 0; i < 3; i++) await coalescer.execute('k', load);
    for (let i = 0; i < 3; i++) await coalescer.execute('k', load, { signal: new AbortController().signal });
    expect(load).toHaveBeenCalledTimes(6);
  });
});

describe('interest', () => {
  // COAL-26: bucketeer#2551 and others: the first caller's cancellation fails everyone.
  test('the leader leaves alone: 99 followers get the value', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const leader = new AbortController();
    const first = coalescer.execute('k', upstream.load, { signal: leader.signal });
    const followers = Array.from({ length: 99 }, (_, i) =>
      coalescer.execute('k', upstream.load, i % 2 ? { signal: new AbortController().signal } : {}),
    );
    const reason = new Error('left');
    leader.abort(reason);
    expect(await state(first)).toEqual({ reason });
    expect(upstream.nth(0).signal.aborted).toBe(false);
    upstream.nth(0).resolve(1);
    expect(await Promise.all(followers)).toEqual(Array(99).fill(1));
    expect(upstream.loads).toHaveLength(1);
  });

  // COAL-28: undici#5673: an aborted follower never settles.
  test.each([null, 0, '', new Error('x')])(
    'abort after the join and before it both reject with the reason itself: %s',
    async (reason) => {
      const coalescer = new RequestCoalescer({ ttl: 1_000 });
      void coalescer.execute('k', never);
      const control = new AbortController();
      const joined = coalescer.execute('k', never, { signal: control.signal });
      control.abort(reason);
      expect(await state(joined)).toEqual({ reason });
      expect(await state(coalescer.execute('k', never, { signal: control.signal }))).toEqual({ reason });
      coalescer.set('stored', 1);
      expect(await state(coalescer.execute('stored', never, { signal: control.signal }))).toEqual({ reason });
      expect(coalescer.getMetrics()).toMatchObject({ calls: 4, refused: 2, hits: 0 });
      expectIdentity(coalescer);
    },
  );

  // COAL-29: janos/singleflight#4: one waiter's cancel removes the key.
  test('who leaves does not take the key along', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const controls = Array.from({ length: 3 }, () => new AbortController());
    const three = controls.map(({ signal }) => coalescer.execute('k', upstream.load, { signal }));
    controls[1]?.abort('x');
    const fourth = coalescer.execute('k', upstream.load);
    upstream.nth(0).resolve(1);
    expect(await Promise.all([three[0], three[2], fourth])).toEqual([1, 1, 1]);
    expect(await state(three[1] as Promise<number>)).toEqual({ reason: 'x' });
    expect(upstream.loads).toHaveLength(1);
  });

  // COAL-31: effect#7578, #7583: whoever comes in the abort attaches to the abandoned entry.
  test('when the last one left, the key is free before the load hears of it', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const [one, two] = [new AbortController(), new AbortController()];
    const left = [
      coalescer.execute('k', upstream.load, { signal: one.signal }),
      coalescer.execute('k', upstream.load, { signal: two.signal }),
    ];
    let next: Promise<number> | undefined;
    upstream.nth(0).signal.addEventListener('abort', () => {
      next = coalescer.execute('k', upstream.load);
    });
    one.abort('first');
    expect(upstream.nth(0).signal.aborted).toBe(false);
    two.abort('last');
    expect(upstream.nth(0).signal.reason).toBe('last');
    expect(upstream.loads).toHaveLength(2);
    upstream.nth(0).resolve(0);
    upstream.nth(1).resolve(1);
    expect(await next).toBe(1);
    expect(await Promise.all(left.map(state))).toEqual([{ reason: 'first' }, { reason: 'last' }]);
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 1, inFlight: 0 });
  });

  test('one caller without a signal holds the load', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const control = new AbortController();
    void coalescer.execute('k', upstream.load, { signal: control.signal }).catch(() => {});
    const staying = coalescer.execute('k', upstream.load);
    control.abort();
    expect(upstream.nth(0).signal.aborted).toBe(false);
    upstream.nth(0).resolve(1);
    expect(await staying).toBe(1);
  });

  test('an orphan may finish: its value is kept and newcomers join it', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ ttl: 100, whenOrphaned: 'finish' });
    const [one, two] = [new AbortController(), new AbortController()];
    const first = coalescer.execute('k', upstream.load, { signal: one.signal });
    one.abort('x');
    const second = coalescer.execute('k', upstream.load, { signal: two.signal });
    two.abort('y');
    upstream.nth(0).resolve(1);
    expect([await state(first), await state(second)]).toEqual([{ reason: 'x' }, { reason: 'y' }]);
    expect(coalescer.peek('k')).toMatchObject({ value: 1 });
    expect(upstream.nth(0).signal.aborted).toBe(false);
    expect(coalescer.getMetrics()).toMatchObject({ orphaned: 1, loads: 1, coalesced: 1 });
  });

  // COAL-32: zio-cache#172: interrupted between insert and handler.
  test('an abort in the first statement of the loader settles its caller and frees the key', async () => {
    const coalescer = new RequestCoalescer<number>({ ttl: 100 });
    const control = new AbortController();
    let seen: AbortSignal | undefined;
    const call = coalescer.execute(
      'k',
      ({ signal }) => {
        seen = signal;
        control.abort('now');
        return 5;
      },
      { signal: control.signal },
    );
    expect(seen?.aborted).toBe(true);
    expect(coalescer.getMetrics().inFlight).toBe(0);
    expect(await state(call)).toEqual({ reason: 'now' });
    expect(coalescer.peek('k')).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  // COAL-61: lru-cache, idmp, undici#5285: abort listeners are never removed.
  test('no listener is left on a shared signal after 2,000 calls, and there was never more than one', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ ttl: 1 });
    const { signal } = new AbortController();
    const calls = Array.from({ length: 2_000 }, (_, i) => coalescer.execute(i % 100, upstream.load, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const [i, load] of upstream.loads.entries())
      if (i % 2) load.resolve(i);
      else load.reject(i);
    await Promise.allSettled(calls);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  // COAL-61 again: each way in which a call can end.
  test.each([
    ['a hit', () => 1, () => {}],
    ['a load that throws', () => Promise.reject('down'), () => {}],
    ['an error that is kept', () => Promise.reject('down'), () => {}],
    ['a timeout', never, () => vi.advanceTimersByTime(50)],
    ['forget with abort', never, (coalescer: RequestCoalescer) => coalescer.forget(() => true, { abort: true })],
    ['close', never, (coalescer: RequestCoalescer) => void coalescer.close({ grace: 0, reason: 'closed' })],
    ['the abort of the others', never, (_: RequestCoalescer, others: AbortController) => others.abort('left')],
  ])('no listener is left on a shared signal after 2,000 calls that end by %s', async (how, load, end) => {
    const errorTtl = how === 'an error that is kept' ? 1_000 : 0;
    const coalescer = new RequestCoalescer({ ttl: 1_000, errorTtl, loadTimeout: 50 });
    const { signal } = new AbortController();
    const others = new AbortController();
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 2_000; i++) {
      calls.push(coalescer.execute(i % 10, load, { signal: i % 2 ? others.signal : signal }));
      // Half of them come when the first have ended.
      if (i === 1_000) await turn();
    }
    for (const call of calls) call.catch(() => {});
    end(coalescer, others);
    // Who stays of those that the others left ends here.
    vi.advanceTimersByTime(50);
    await Promise.allSettled(calls);
    for (const each of [signal, others.signal]) expect(getEventListeners(each, 'abort')).toEqual([]);
    expectIdentity(coalescer);
  });

  test('a shared signal ends all its calls at once, and all their loads', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const control = new AbortController();
    const calls = Array.from({ length: 300 }, (_, i) =>
      coalescer.execute(i % 30, upstream.load, { signal: control.signal }),
    );
    control.abort('all');
    for (const call of calls) expect(await state(call)).toEqual({ reason: 'all' });
    expect(upstream.loads.every(({ signal }) => signal.aborted)).toBe(true);
    expect(coalescer.getMetrics()).toMatchObject({ inFlight: 0, orphaned: 30 });
    expect(getEventListeners(control.signal, 'abort')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('10^5 callers may leave one load at once, and the one who stays gets the value', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>();
    const control = new AbortController();
    const leavers = Array.from({ length: 100_000 }, () =>
      coalescer.execute('k', upstream.load, { signal: control.signal }),
    );
    const stays = coalescer.execute('k', upstream.load);
    control.abort('left');
    expect(new Set((await Promise.allSettled(leavers)).map(({ status }) => status))).toEqual(new Set(['rejected']));
    upstream.nth(0).resolve(1);
    expect(await stays).toBe(1);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 1, coalesced: 100_000, orphaned: 0 });
  });

  // COAL-22: by any interleaving of who aborts and what settles, nobody is left waiting.
  property([
    fc.scheduler(),
    fc.array(fc.constantFrom('has no signal', 'stays', 'leaves'), { minLength: 1, maxLength: 8 }),
    fc.boolean(),
  ])('every caller settles, whatever the order of aborts and of the outcome', async (s, callers, ok) => {
    const coalescer = new RequestCoalescer<string>();
    const controls = callers.map((how) => (how === 'has no signal' ? undefined : new AbortController()));
    const load = () => s.schedule(ok ? Promise.resolve('value') : Promise.reject('error'), 'load');
    const calls = controls.map((control) => coalescer.execute('k', load, { signal: control?.signal }));
    const outcome = ok ? { value: 'value' } : { reason: 'error' };
    for (const [i, how] of callers.entries()) {
      if (how === 'leaves') void s.schedule(Promise.resolve(), 'abort').then(() => controls[i]?.abort('left'));
    }
    for (const call of calls) call.catch(() => {});
    await s.waitAll();
    for (const [i, call] of calls.entries()) {
      const settled = await state(call);
      expect(callers[i] === 'leaves' ? [outcome, { reason: 'left' }] : [outcome]).toContainEqual(settled);
    }
    expect(coalescer.getMetrics().inFlight).toBe(0);
    expectIdentity(coalescer);
  });
});

describe('loadTimeout', () => {
  // COAL-25: dialogporten#4300 and 19 of 20 libraries: a hung loader holds the key until restart.
  test('a load that never settles ends for all callers, and the next call loads', async () => {
    const upstream = manualUpstream<number>();
    const coalescer = new RequestCoalescer<number>({ name: 'slow', loadTimeout: 50, errorTtl: 1_000 });
    const calls = [
      coalescer.execute('k', upstream.load),
      coalescer.execute('k', upstream.load, { signal: new AbortController().signal }),
    ];
    await vi.advanceTimersByTimeAsync(49);
    expect(await state(calls[0] as Promise<number>)).toBe('pending');
    const next: Promise<number>[] = [];
    upstream.nth(0).signal.addEventListener('abort', () => next.push(coalescer.execute('k', upstream.load)));
    for (const call of calls) call.catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    for (const call of calls) {
      await expect(call).rejects.toBeInstanceOf(TimeoutError);
      await expect(call).rejects.toMatchObject({ source: 'slow', option: 'loadTimeout', timeout: 50, code: 'TIMEOUT' });
    }
    expect(upstream.nth(0).signal.reason).toBeInstanceOf(TimeoutError);
    // What the hung load brings in the end is not looked at: not by callers, and it is not stored.
    upstream.nth(0).resolve(0);
    await turn();
    upstream.nth(1).resolve(1);
    expect(await Promise.all(next)).toEqual([1]);
    expect(coalescer.getMetrics()).toMatchObject({ loadTimeouts: 1, loadFailures: 0, errorHits: 0, inFlight: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  // COAL-23: go#33519: a thenable that never calls back.
  test('a thenable that never calls back ends too', async () => {
    const coalescer = new RequestCoalescer({ loadTimeout: 10 });
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    const call = coalescer.execute('k', () => ({ then() {} }) as unknown as PromiseLike<number>);
    call.catch(() => {});
    await vi.advanceTimersByTimeAsync(10);
    await expect(call).rejects.toThrow(TimeoutError);
  });

  // COAL-34: cacheable#967, symfony#41130, groupcache#72: nested lookups wait for each other. We do not look for cycles: the
  // timeout ends them, and what is no cycle is not held up.
  test.each(['its own key', 'each other', 'each other, across two instances'])(
    'loads that wait for %s end like any hung one, and the keys are free',
    async (whom) => {
      const one = new RequestCoalescer<number>({ loadTimeout: 50 });
      const two = whom.endsWith('instances') ? new RequestCoalescer<number>({ loadTimeout: 50 }) : one;
      const calls =
        whom === 'its own key'
          ? [one.execute('a', () => one.execute('a', () => 1))]
          : [
              one.execute('a', async () => {
                await Promise.resolve();
                return two.execute('b', () => 1);
              }),
              two.execute('b', () => one.execute('a', () => 1)),
            ];
      for (const call of calls) call.catch(() => {});
      await vi.advanceTimersByTimeAsync(50);
      for (const call of calls) await expect(call).rejects.toThrow(TimeoutError);
      expect(await Promise.all([one.execute('a', () => 2), two.execute('b', () => 3)])).toEqual([2, 3]);
      expect([one, two].map((each) => each.getMetrics().inFlight)).toEqual([0, 0]);
    },
  );

  // COAL-34, the other half: a diamond is no cycle.
  test('two loads may wait for a third', async () => {
    const coalescer = new RequestCoalescer<number>();
    const base = () => coalescer.execute('base', async () => 1);
    const calls = ['left', 'right'].map((key) => coalescer.execute(key, async () => (await base()) + 1));
    expect(await coalescer.execute('top', async () => (await Promise.all(calls)).length)).toBe(2);
    expect(coalescer.getMetrics()).toMatchObject({ loads: 4, coalesced: 1 });
  });

  test('it is one minute by default, and may be Infinity or longer than a timer can be', async () => {
    const standard = new RequestCoalescer().execute('k', never);
    const patient = new RequestCoalescer({ loadTimeout: 2 ** 31 + 5 }).execute('k', never);
    const endless = new RequestCoalescer({ loadTimeout: Number.POSITIVE_INFINITY }).execute('k', never);
    for (const call of [standard, patient]) call.catch(() => {});
    await vi.advanceTimersByTimeAsync(59_999);
    expect(await state(standard)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    await expect(standard).rejects.toThrow('`coalescer` exceeded its `loadTimeout` of 60000 ms');
    await vi.advanceTimersByTimeAsync(2 ** 31 - 60_000);
    expect(await state(patient)).toBe('pending');
    await vi.advanceTimersByTimeAsync(5);
    await expect(patient).rejects.toThrow(TimeoutError);
    expect(await state(endless)).toBe('pending');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('clone', () => {
  // COAL-41: memoizee#32, cacheable#100, axios-cache-interceptor#580: a caller changes the shared object.
  test('each caller gets its own copy, the first one too, and what is stored stays as it was', async () => {
    const coalescer = new RequestCoalescer<{ list: number[] }>({ ttl: 1_000, clone: structuredClone });
    const { signal } = new AbortController();
    const load = async () => ({ list: [1] });
    const values = await Promise.all([
      coalescer.execute('k', load),
      coalescer.execute('k', load),
      coalescer.execute('k', load, { signal }),
    ]);
    values.push(await coalescer.execute('k', load));
    const peeked = coalescer.peek('k')?.value;
    for (const value of [...values, peeked]) value?.list.push(2);
    expect(new Set([...values, peeked]).size).toBe(5);
    expect((await coalescer.execute('k', load)).list).toEqual([1]);
    const mine = { list: [9] };
    coalescer.set('set', mine);
    mine.list.push(10);
    expect((await coalescer.execute('set', load)).list).toEqual([9]);
  });

  test('without it all share one value', async () => {
    const coalescer = new RequestCoalescer<object>({ ttl: 1_000 });
    const values = await Promise.all([coalescer.execute('k', () => ({})), coalescer.execute('k', () => ({}))]);
    expect(new Set([...values, coalescer.peek('k')?.value]).size).toBe(1);
  });

  test('one that throws fails that caller only', async () => {
    let copies = 0;
    const clone = (value: number) => {
      if (copies++ === 0) throw 'no copy';
      return value;
    };
    const coalescer = new RequestCoalescer<number>({ ttl: 1_000, clone });
    const calls = [coalescer.execute('k', () => 5), coalescer.execute('k', () => 5)];
    expect(await Promise.all(calls.map(state))).toEqual([{ reason: 'no copy' }, { value: 5 }]);
    copies = 0;
    expect(await state(coalescer.execute('k', () => 6))).toEqual({ reason: 'no copy' });
    expect(await coalescer.execute('k', () => 6)).toBe(5);
  });
});
