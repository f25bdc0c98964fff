import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PoolEngine } from '../../src/pool/engine.js';
import { type PoolHooks, PromisePool } from '../../src/pool/index.js';
import { expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

/*
 * Bugs that this pool had once: what users do inside hooks, sources and options while the pool is in the middle of something.
 */
describe('in the middle of something', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // A job that was taken out of the lanes was still subscribed to its signal: it was counted out twice, and the rest never settled.
  test.each(['clear', 'close', 'signal'])(
    'a hook that aborts a queued task during %s changes nothing for the others',
    async (by) => {
      const control = new AbortController();
      const owner = new AbortController();
      const hooks: PoolHooks = {
        onRefuse: () => {
          control.abort('gone');
          expectIdentity(pool);
        },
      };
      const pool: PromisePool = new PromisePool({ concurrency: 1, signal: owner.signal, hooks });
      const running = pool.execute(() => new Promise((resolve) => setTimeout(resolve, 5)));
      const all = Promise.allSettled([
        pool.execute(() => 1),
        pool.execute(() => 2, { signal: control.signal }),
        pool.execute(() => 3),
        running,
      ]);
      if (by === 'clear') expect(pool.clear()).toBe(3);
      else if (by === 'close') void pool.close({ grace: 0 });
      else owner.abort('over');
      await vi.advanceTimersByTimeAsync(5);
      const told = (await all).slice(0, 3).map((each) => (each.status === 'rejected' ? each.reason.code : each.status));
      expect(told).toEqual(Array(3).fill(by === 'clear' ? 'CLEARED' : 'CLOSED'));
      await pool.onIdle();
      expectIdentity(pool);
      expect(pool.getMetrics()).toMatchObject({ queued: 0, refused: 3, aborted: by === 'clear' ? 0 : 1 });
    },
  );

  // The slot was found free before the source ran, and not looked at again.
  test('a source or a group function that submits to the pool, or pauses it, does not let an item in beside', async () => {
    const gauge = new Gauge();
    const pool = new PromisePool({ concurrency: 1 });
    const work = () => gauge.around(turns());
    function* source() {
      for (let i = 0; i < 3; i++) {
        void pool.execute(work);
        yield i;
      }
    }
    await pool.map(source(), work);
    await pool.map([1, 2], work, {
      group: () => {
        void pool.execute(work);
        return 'g';
      },
    });
    await pool.onIdle();
    expect(gauge.max).toBe(1);
    expect(pool.getMetrics().peakRunning).toBe(1);
    const started = vi.fn();
    function* pausing() {
      pool.pause();
      yield 1;
    }
    const mapped = pool.map(pausing(), started);
    await turns();
    expect(started).not.toHaveBeenCalled();
    pool.resume();
    await mapped;
    expect(started).toHaveBeenCalledOnce();
  });

  // A map queued for a slot only to learn that its array had ended.
  test('a map over an array needs no slot to be done', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const mapped = pool.map([1], async (x) => {
      void pool.execute(hang);
      return x;
    });
    expect(await mapped).toEqual([1]);
    expect(await pool.map([], () => 1)).toEqual([]);
    pool.pause();
    expect(await pool.map([], () => 1)).toEqual([]);
  });

  test('onQueueBelow hears of resume and of a limit that grows', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    pool.pause();
    const all = [1, 2, 3].map(() => pool.execute(hang));
    void all;
    const told: string[] = [];
    void pool.onQueueBelow(3).then(() => told.push('resume'));
    void pool.onQueueBelow(1).then(() => told.push('growth'));
    pool.resume();
    await turns();
    expect(told).toEqual(['resume']);
    pool.concurrency = 3;
    await turns();
    expect(told).toEqual(['resume', 'growth']);
  });

  // A store entered inside one task stayed on the shared empty context.
  test('what a task enters with enterWith does not reach the next one', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const first = pool.execute(() => turns());
    const store = new AsyncLocalStorage<number>();
    const seen: unknown[] = [];
    const all = [0, 1, 2].map((i) =>
      pool.execute(async () => {
        seen.push(store.getStore());
        store.enterWith(i);
        await turns();
      }),
    );
    await Promise.all([first, ...all]);
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  // To pull an item it queued as ungrouped, and those were at their limit.
  test('a map whose items have groups is not held up by the ungrouped', async () => {
    const pool = new PromisePool({ concurrency: 5, perGroup: { concurrency: 1 } });
    void pool.execute(hang);
    expect(await pool.map([1, 2, 3], (i) => i, { group: (i) => `g${i}` })).toEqual([1, 2, 3]);
  });

  // While return() was awaited the map was deaf.
  test('a source whose return() hangs does not make a map deaf to its caller', async () => {
    const control = new AbortController();
    const pool = new PromisePool({ concurrency: 1 });
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }) as const,
        return: hang,
      }),
    };
    const mapped = rejection(pool.map(source, () => Promise.reject(new Error('x')), { signal: control.signal }));
    await turns(20);
    control.abort('enough');
    expect(await mapped).toBe('enough');
    await pool.onIdle();
  });

  test('reports of close tell of refused maps, of a second close, and of abandoned work', async () => {
    const refused = new PromisePool({ concurrency: 1 });
    refused.pause();
    const mapped = rejection(refused.map([1, 2], () => 1));
    expect(await refused.close({ grace: 0 })).toMatchObject({ clean: false, refused: 1 });
    await mapped;

    const twice = new PromisePool({ concurrency: 1 });
    const running = rejection(twice.execute(hang));
    void twice.close({ grace: 5, abortGrace: 1 });
    const report = twice.close({ grace: 0 });
    await vi.advanceTimersByTimeAsync(10);
    expect(await report).toMatchObject({ aborted: 1, left: ['pool'] });
    await running;

    const abandoning = new PromisePool({ concurrency: 1, timeout: 5, abortGrace: 5, name: 'a' });
    void rejection(abandoning.execute(hang, { group: 'g' }));
    await vi.advanceTimersByTimeAsync(10);
    expect(await abandoning.close()).toMatchObject({ clean: false, left: ['a#g'] });
    const reason = new PromisePool({ concurrency: 1 });
    const told = rejection(reason.execute(hang));
    void reason.close({ grace: 0, reason: null });
    expect(await told).toBeNull();
  });

  test('a task submitted in onLimitChange queues behind who waited', async () => {
    const order: string[] = [];
    const pool: PromisePool = new PromisePool({
      concurrency: 1,
      hooks: { onLimitChange: () => void pool.execute(() => order.push('newcomer')) },
    });
    void pool.execute(hang);
    void pool.execute(() => order.push('first'));
    pool.concurrency = 2;
    await turns();
    expect(order).toEqual(['first', 'newcomer']);
  });

  // Every map was asked at the end of every task.
  test('a map that wants nothing is asked once, not at each end of a task', () => {
    const { admission } = new PoolEngine({
      name: 'p',
      limit: 1,
      perGroup: Number.POSITIVE_INFINITY,
      maxQueue: 0,
      abortGrace: Number.POSITIVE_INFINITY,
      hooks: undefined,
      adaptive: undefined,
      classify: undefined,
      maxPause: 0,
      turnstile: () => undefined,
    });
    const map = { isBusy: true, askForMore: vi.fn(() => false), shutDown: () => {} };
    admission.maps.add(map);
    admission.hungry.add(map);
    for (let i = 0; i < 3; i++) admission.pump();
    expect(map.askForMore).toHaveBeenCalledOnce();
    admission.hungry.add(map);
    admission.pump();
    expect(map.askForMore).toHaveBeenCalledTimes(2);
  });
});

test('a pool that lived through fake timers has its timeouts again', async () => {
  const pool = new PromisePool({ concurrency: 2 });
  vi.useFakeTimers();
  void rejection(pool.execute(hang, { timeout: 100 }));
  vi.useRealTimers();
  expect(await rejection(pool.execute(hang, { timeout: 1 }))).toMatchObject({ code: 'TIMEOUT' });
});
