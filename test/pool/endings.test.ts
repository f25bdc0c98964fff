import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/index.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});
const polite = ({ signal }: { readonly signal: AbortSignal }) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

const FALSY = [0, '', null, undefined, Number.NaN, false];

describe('what is falsy is not missing', () => {
  // POOL-40 pacer#200: falsy items were dropped, `undefined` still is. As items and as results, also with groups and buffers.
  test.each([false, true])('as items and results of map and stream, from an async source: %s', async (isAsync) => {
    async function* later() {
      for (const each of FALSY) {
        await turns(1);
        yield each;
      }
    }
    const source = () => (isAsync ? later() : FALSY);
    const pool = new PromisePool({ concurrency: 2 });
    const seen: unknown[] = [];
    const same = (item: unknown) => {
      seen.push(item);
      return item;
    };
    expect(await pool.map(source(), same)).toEqual(FALSY);
    expect(await pool.map(source(), async (item) => same(item), { group: (item) => String(item) })).toEqual(FALSY);
    expect(await collect(pool.stream(source(), same))).toEqual(FALSY);
    expect(await collect(pool.stream(source(), same, { order: 'completion', buffer: 0 }))).toEqual(FALSY);
    expect(seen).toEqual([...FALSY, ...FALSY, ...FALSY, ...FALSY]);
    expect(await pool.map(Array(3), (item) => item)).toEqual([undefined, undefined, undefined]);
    expect(pool.getMetrics()).toMatchObject({ fulfilled: 27, running: 0 });
  });

  // POOL-41 mcollina/fastq: rejecting with `undefined` resolved. Here: items, sources, and every reason that is passed on.
  test.each(FALSY)('%s as the reason of an item, a source, an abort, a clear and a close', async (falsy) => {
    const pool = new PromisePool({ concurrency: 1 });
    const fails = () => Promise.reject(falsy);
    expect(await rejection(pool.map([1, 2], fails))).toBe(falsy);
    const stream = pool.stream([1, 2], fails);
    expect(await rejection(stream.next())).toBe(falsy);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    const source = {
      [Symbol.iterator]: () => ({
        next(): never {
          throw falsy;
        },
      }),
    };
    expect(await rejection(pool.map(source, () => 1))).toBe(falsy);
    expect(await rejection(pool.stream(source, () => 1).throw(falsy))).toBe(falsy);
    // `undefined` stands for a reason of the platform's, and of ours.
    if (falsy === undefined) return;
    const control = new AbortController();
    const { signal } = control;
    const all = [pool.execute(hang, { signal }), pool.execute(hang, { signal }), pool.acquire({ signal })];
    const mapped = pool.map([1], hang, { signal });
    const left = Promise.all([...all, mapped].map(rejection));
    control.abort(falsy);
    expect(await left).toEqual(Array(4).fill(falsy));
    const cleared = rejection(pool.execute(hang));
    pool.clear(falsy);
    expect(await cleared).toBe(falsy);
    const closed = new PromisePool({ concurrency: 1 });
    const running = rejection(closed.execute(hang));
    void closed.close({ grace: 0, reason: falsy });
    expect(await running).toBe(falsy);
  });
});

describe('whatever ends work, everybody is told', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // POOL-38 async-sema: two concurrent drains deadlocked. All ways to wait for the end, at once, and more than once.
  test.each(['before', 'after'])(
    'everybody who waits for the end is told, and they asked %s the work came',
    async (when) => {
      const pool = new PromisePool({ concurrency: 1 });
      const ask = () => [pool.onIdle(), pool.onIdle(), pool.onQueueBelow(1), pool.onQueueBelow(1)];
      const early = when === 'before' ? ask() : [];
      const work = [1, 2, 3].map(() => pool.execute(() => turns()));
      const late = when === 'after' ? ask() : [];
      const reports = [pool.close(), pool.close({ grace: 1_000 }), pool[Symbol.asyncDispose](), pool.close()];
      await Promise.all([...early, ...late, ...work, ...reports]);
      expect(await reports[0]).toBe(await reports[3]);
      await Promise.all([...ask(), pool.close()]);
      expect(pool.getMetrics().fulfilled).toBe(3);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  // POOL-44 fastq#88, async#1729: "drained" too early. Here: between a task and what its reaction submits, between two items, in a pause.
  test('onIdle sees no idle pool between the items of a source that makes us wait', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    const arrivals = [deferred(), deferred()];
    async function* slow() {
      for (const [i, { promise }] of arrivals.entries()) {
        await promise;
        yield i;
      }
    }
    const mapped = pool.map(slow(), (i) => i);
    const told = vi.fn();
    void pool.onIdle().then(told);
    await turns(20);
    for (const { resolve } of arrivals) {
      expect(pool.running).toBe(0);
      expect(told).not.toHaveBeenCalled();
      resolve();
      await turns(20);
    }
    expect(await mapped).toEqual([0, 1]);
    await turns();
    expect(told).toHaveBeenCalledOnce();
  });

  // POOL-32 p-limit, fastq.kill, async.kill: cleared promises never settled. Every state at once, and each way to end it.
  test.each(['close', 'signal', 'clear and resume', 'close while paused', 'close twice'])(
    'nothing stays pending after: %s',
    async (how) => {
      const owner = new AbortController();
      const pool = new PromisePool({ concurrency: 2, signal: owner.signal, perGroup: { concurrency: 1 } });
      const stream = pool.stream([1, 2, 3], (_, context) => polite(context), { group: 's' });
      const promises: Promise<unknown>[] = [
        pool.execute(polite),
        pool.execute(polite, { group: 'g' }),
        pool.execute(polite, { group: 'g', priority: 'low' }),
        pool.execute(() => 1, { queueTimeout: 5_000 }),
        pool.acquire({ group: 'h' }),
        pool.map([1, 2], (_, context) => polite(context)),
        pool.map(new Set([1, 2]), (_, context) => polite(context), { group: (i) => i, priority: 'high' }),
        stream.next(),
        stream.next(),
        pool.onIdle(),
        pool.onQueueBelow(1),
      ];
      const settled = Promise.allSettled(promises);
      if (how === 'clear and resume') {
        pool.pause();
        expect(pool.clear()).toBe(3);
        pool.resume();
        owner.abort();
      } else if (how === 'signal') owner.abort('over');
      else if (how === 'close while paused') {
        pool.pause();
        void pool.close({ grace: 5 });
      } else if (how === 'close twice') {
        void pool.close();
        void pool.close({ grace: 5 });
      } else void pool.close({ grace: 0 });
      await vi.advanceTimersByTimeAsync(10);
      for (const each of await settled) {
        if (each.status === 'fulfilled') (each.value as { release?(): void } | undefined)?.release?.();
      }
      await pool.onIdle();
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
      expectIdentity(pool);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  // POOL-43 p-queue#23, #93: clear was seen as the end. Clear of nothing, of a paused pool, twice, and beside a map.
  test('clear never stops a pool, whatever state it is in', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    expect(pool.clear()).toBe(0);
    expect(await pool.execute(() => 1)).toBe(1);
    pool.pause();
    const cleared = rejection(pool.execute(() => 2));
    expect([pool.clear(), pool.clear()]).toEqual([1, 0]);
    expect(await cleared).toMatchObject({ code: 'CLEARED' });
    expect(pool.isPaused).toBe(true);
    const three = pool.execute(() => 3);
    pool.resume();
    expect(await three).toBe(3);
    const mapped = pool.map([1, 2, 3], async (i) => {
      expect(pool.clear()).toBe(0);
      return i;
    });
    expect(await mapped).toEqual([1, 2, 3]);
  });

  // POOL-55 p-queue#119: clear in the middle of the pump. And everything else that can be called there.
  test.each(['clear', 'close', 'pause', 'resume', 'grow', 'shrink', 'abort'])(
    '%s inside a task that the pump has just started',
    async (what) => {
      const control = new AbortController();
      const pool = new PromisePool({ concurrency: 5 });
      const gate = deferred();
      const running = Array.from({ length: 5 }, () => pool.execute(() => gate.promise));
      const act = (): void => {
        if (what === 'clear') pool.clear();
        else if (what === 'close') void pool.close({ grace: 0 });
        else if (what === 'pause') pool.pause();
        else if (what === 'resume') pool.resume();
        else if (what === 'abort') control.abort('all of them');
        else pool.concurrency = what === 'grow' ? 50 : 1;
      };
      const gauge = new Gauge();
      const started: number[] = [];
      const rest = Array.from({ length: 200 }, (_, i) =>
        pool.execute(
          () => {
            started.push(i);
            if (i === 3) act();
            return gauge.around(turns(i % 3));
          },
          { signal: control.signal },
        ),
      );
      const settled = Promise.allSettled(rest);
      gate.resolve();
      await Promise.allSettled(running);
      await turns(50);
      if (what === 'pause') {
        expect(started).toHaveLength(4);
        pool.resume();
      }
      const outcomes = await settled;
      const isCut = ['clear', 'close', 'abort'].includes(what);
      expect(started).toEqual(Array.from({ length: isCut ? started.length : 200 }, (_, i) => i));
      if (isCut) expect(started.length).toBeLessThan(10);
      expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(started.length);
      expect(gauge.max).toBeLessThanOrEqual(what === 'grow' ? 50 : 5);
      if (what === 'grow') expect(gauge.max).toBe(50);
      await pool.onIdle();
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0 });
      expectIdentity(pool);
      await vi.advanceTimersByTimeAsync(1_000);
      if (what !== 'close') expect(await pool.execute(() => 'alive')).toBe('alive');
    },
  );

  // POOL-46 pacer#189, #246: a failure inside a bulk operation left the pump dead: in clear, in resume, in growth, in a stream.
  test('hooks that throw while many are refused or started at once stop nothing', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const fail = () => {
      throw new Error('hook');
    };
    const hooks = { onRefuse: fail, onStart: fail, onSettle: fail, onLimitChange: fail, onIdle: fail };
    const pool = new PromisePool({ concurrency: 1, hooks });
    pool.pause();
    const cleared = [1, 2, 3].map(() => rejection(pool.execute(hang)));
    expect(pool.clear()).toBe(3);
    expect(await Promise.all(cleared)).toMatchObject(Array(3).fill({ code: 'CLEARED' }));
    const all = [1, 2, 3, 4].map((i) => pool.execute(() => i));
    pool.concurrency = 2;
    pool.resume();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
    await rejection(collect(pool.stream([1, 2, 3], () => Promise.reject(new Error('bulk')))));
    expect(await collect(pool.stream([1, 2, 3], (i) => i))).toEqual([1, 2, 3]);
    expectIdentity(pool);
    shown.mockRestore();
  });

  // POOL-47 bottleneck#194: what admission asks throws, and jobs vanish. Here: the function that names an item's group.
  test.each([0, 2])('a group function that throws at item %i fails the map, and its slot comes back', async (at) => {
    const pool = new PromisePool({ concurrency: 2 });
    const failure = new Error('group');
    const gauge = new Gauge();
    let closed = 0;
    function* source() {
      try {
        yield* [0, 1, 2, 3];
      } finally {
        closed++;
      }
    }
    const group = (i: number) => {
      if (i === at) throw failure;
      return i;
    };
    expect(await rejection(pool.map(source(), () => gauge.around(turns()), { group }))).toBe(failure);
    expect([gauge.now, gauge.entered, closed, pool.running]).toEqual([0, at, 1, 0]);
    expect(await pool.map([1, 2, 3], (i) => i)).toEqual([1, 2, 3]);
    expectIdentity(pool);
  });
});

describe('sources', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // POOL-56 async.mapLimit, modern-async: return() was never called. By every way to end a map or stream, exactly once.
  test.each([
    'an item that rejects',
    'an item that throws',
    'an item that is too slow',
    'a group that is none',
    'a caller who leaves',
    'a pool that is closed',
    'an early break',
    'throw() of the stream',
    'an item of the stream',
    'the end',
  ])('the finally block of a generator runs once after: %s', async (how) => {
    for (const isAsync of [false, true]) {
      const pool = new PromisePool({ concurrency: 2, timeout: 10 });
      const control = new AbortController();
      let closed = 0;
      let pulled = 0;
      function* sync() {
        try {
          for (let i = 0; i < 6; i++) {
            pulled++;
            yield i;
          }
        } finally {
          closed++;
        }
      }
      async function* later() {
        yield* sync();
      }
      const source = () => (isAsync ? later() : sync());
      const work = (i: number): unknown => {
        if (i < 2 || how === 'the end') return turns(3);
        if (how === 'an item that throws') throw new Error('item');
        if (how === 'a caller who leaves' && i === 3) control.abort('left');
        if (how === 'a pool that is closed' && i === 3) void pool.close({ grace: 0 });
        if (how === 'an item that is too slow') return new Promise((resolve) => setTimeout(resolve, 20));
        return turns().then(() => Promise.reject(new Error('item')));
      };
      const read = async () => {
        const stream = pool.stream(source(), work, { signal: control.signal });
        for await (const _ of stream) {
          if (how === 'an early break') break;
          if (how === 'throw() of the stream') await stream.throw(new Error('mine'));
        }
      };
      const isStream = ['an early break', 'throw() of the stream', 'an item of the stream'].includes(how);
      const group = how === 'a group that is none' ? (i: number) => (i < 2 ? i : ({} as never)) : undefined;
      const result = isStream ? read() : pool.map(source(), work, { signal: control.signal, group });
      const settled = Promise.allSettled([result]);
      await vi.advanceTimersByTimeAsync(30);
      const [outcome] = await settled;
      expect(outcome?.status).toBe(['the end', 'an early break'].includes(how) ? 'fulfilled' : 'rejected');
      await turns(20);
      expect(closed).toBe(1);
      expect(pulled).toBe(how === 'the end' ? 6 : Math.min(pulled, 5));
      await pool.onIdle();
      expectIdentity(pool);
    }
  });

  // POOL-53 p-map#48: a throw inside next() escaped. At call k, with items that are well and with items that fail later; odd results.
  test.each(['throws', 'rejects', 'is no object', 'has a throwing done', 'has a throwing value', 'is no function'])(
    'next() that %s at call k rejects the map once what runs has ended',
    async (how) => {
      const failure = new TypeError('next');
      const odd = (): unknown => {
        if (how === 'throws') throw failure;
        if (how === 'rejects') return Promise.reject(failure);
        if (how === 'is no object') return 5;
        const fail = {
          get(): never {
            throw failure;
          },
        };
        return Object.defineProperty({ done: false }, how.endsWith('done') ? 'done' : 'value', fail);
      };
      for (const at of [0, 1, 4]) {
        for (const itemsFail of [false, true]) {
          const pool = new PromisePool({ concurrency: 6 });
          const gauge = new Gauge();
          let calls = 0;
          const next = () => (calls++ === at ? odd() : { done: false, value: calls });
          const asyncNext = how === 'throws' ? next : async () => next();
          const source = { [Symbol.asyncIterator]: () => ({ next: how === 'is no function' ? 5 : asyncNext }) };
          const work = () => gauge.around(turns(100).then(() => itemsFail && Promise.reject(new Error('late'))));
          expect(await rejection(pool.map(source as unknown as AsyncIterable<number>, work))).toBeInstanceOf(TypeError);
          expect([gauge.now, gauge.entered]).toEqual([0, how === 'is no function' ? 0 : at]);
          expect(pool.running).toBe(0);
          expectIdentity(pool);
        }
      }
    },
  );

  // POOL-52 p-limit#110: a generator that throws after it yielded, while mappers reject: nothing is left unobserved.
  test('a generator that throws while its items are about to reject leaves nothing unhandled', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const pool = new PromisePool({ concurrency: 10 });
    const failure = new Error('generator');
    function* source() {
      yield 1;
      yield 2;
      throw failure;
    }
    for (const work of [
      () => Promise.reject(new Error('at once')),
      () => turns(20).then(() => Promise.reject(new Error('later'))),
      () => {
        throw new Error('sync');
      },
    ]) {
      expect([failure.message, 'at once', 'sync']).toContain(
        ((await rejection(pool.map(source(), work))) as Error).message,
      );
      await rejection(collect(pool.stream(source(), work)));
    }
    await pool.onIdle();
    vi.useRealTimers();
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expectIdentity(pool);
  });

  // POOL-58 p-map#88: next() was called again before it had settled, and results got each other's index.
  test('a source is never asked again before it has answered', async () => {
    const pool = new PromisePool({ concurrency: 4 });
    let asked = 0;
    let most = 0;
    let i = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        async next(): Promise<IteratorResult<number>> {
          most = Math.max(most, ++asked);
          await turns(5);
          asked--;
          return i < 20 ? { done: false, value: i++ } : { done: true, value: undefined };
        },
      }),
    };
    const squares = Array.from({ length: 20 }, (_, n) => n * n);
    const work = async (n: number) => {
      await turns(n % 7);
      void pool.execute(() => turns(2));
      return n * n;
    };
    expect(await pool.map(source, work)).toEqual(squares);
    i = 0;
    expect(await collect(pool.stream(source, work))).toEqual(squares);
    expect(most).toBe(1);
  });

  // POOL-59 tiny-async-pool#47, deno_std#2239: results came in the order of completion. Every order, also in a buffered stream.
  test('results stand where their items stood, though the work settles in reverse', async () => {
    const pool = new PromisePool({ concurrency: 5 });
    const finish = async (gates: readonly { resolve(value: number): void }[]) => {
      await turns(20);
      for (const [i, gate] of [...gates.entries()].reverse()) {
        gate.resolve(i);
        await turns(20);
      }
    };
    const gates = () => Array.from({ length: 5 }, () => deferred<number>());
    for (const asked of [gates(), gates()]) {
      const mapped = pool.map(asked, ({ promise }, { index }) => promise.then((i) => [i, index]));
      await finish(asked);
      expect(await mapped).toEqual(asked.map((_, i) => [i, i]));
    }
    const asked = gates();
    const all = collect(pool.stream(asked, ({ promise }) => promise));
    await finish(asked);
    expect(await all).toEqual([0, 1, 2, 3, 4]);
    const others = gates();
    const byCompletion = collect(pool.stream(others, ({ promise }) => promise, { order: 'completion' }));
    await finish(others);
    expect(await byCompletion).toEqual([4, 3, 2, 1, 0]);
  });

  // POOL-59 supercharge: a setting was lost, depending on the order of calls. Options are read when they are given, and once.
  test('options that change after the call change nothing', async () => {
    const order: string[] = [];
    const pool = new PromisePool({ concurrency: 1 });
    const running = pool.execute(() => turns(30));
    const given: { group: string; priority: 'high' | 'low'; queueTimeout: number; concurrency: number } = {
      group: 'a',
      priority: 'low',
      queueTimeout: 1_000,
      concurrency: 1,
    };
    const all: Promise<unknown>[] = [
      pool.execute(() => order.push('low'), given),
      pool.map([1, 2], (i) => order.push(`item ${i}`), given),
    ];
    Object.assign(given, { group: 'b', priority: 'high', queueTimeout: 0, concurrency: 2 });
    all.push(pool.execute(() => order.push('normal')));
    await Promise.all([running, ...all]);
    expect(order).toEqual(['normal', 'low', 'item 1', 'item 2']);
  });

  // POOL-61, POOL-62 p-map, supercharge: siblings ran on, one more item started. For every end of a map and a stream, counted.
  test.each(['abort', 'close', 'break', 'error', 'timeout'])(
    'no item starts after %s, and the siblings saw it',
    async (how) => {
      const pool = new PromisePool({ concurrency: 3 });
      const control = new AbortController();
      const started: number[] = [];
      const signals: AbortSignal[] = [];
      const work = async (i: number, { signal }: { readonly signal: AbortSignal }) => {
        started.push(i);
        signals.push(signal);
        await turns(i + 1);
        if (i !== 4) return;
        if (how === 'abort') control.abort();
        else if (how === 'close') void pool.close({ grace: 0 });
        else if (how === 'error') throw new Error('fourth');
        else await new Promise((resolve) => setTimeout(resolve, 100));
      };
      const options = { signal: control.signal, timeout: how === 'timeout' ? 20 : undefined };
      const items = Array.from({ length: 20 }, (_, i) => (how === 'timeout' && i > 4 ? 4 : i));
      const result =
        how === 'break'
          ? (async () => {
              for await (const _ of pool.stream(items, work, options)) if (started.length > 4) break;
            })()
          : pool.map(items, work, options);
      const settled = Promise.allSettled([result]);
      await vi.advanceTimersByTimeAsync(500);
      await settled;
      const count = started.length;
      await turns(50);
      expect(started).toHaveLength(count);
      expect(count).toBeLessThanOrEqual(8);
      expect(signals.slice(-2).some(({ aborted }) => aborted)).toBe(true);
      expect(pool.running).toBe(0);
    },
  );
});
