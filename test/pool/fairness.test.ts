import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/index.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

describe('who is next', () => {
  // POOL-82 p-limit: tenant B waited behind the 200 tasks of A. In every priority, also when B is one of many, also for maps.
  test.each(['high', 'normal', 'low'] as const)(
    'with a backlog of 200 tasks of A, the first of B starts within limit + 1 starts (%s)',
    async (priority) => {
      const pool = new PromisePool({ concurrency: 4 });
      const order: string[] = [];
      const task = (name: string) => () => {
        order.push(name);
        return turns(2);
      };
      const all = Array.from({ length: 200 }, () => pool.execute(task('a'), { group: 'a', priority }));
      const before = order.length;
      all.push(pool.execute(task('b'), { group: 'b', priority }));
      const mapped = pool.map([1, 2, 3], task('m'), { group: 'm', priority });
      await Promise.all([...all, mapped]);
      expect(order.indexOf('b') - before).toBeLessThanOrEqual(5);
      expect(order.indexOf('m') - before).toBeLessThanOrEqual(6);
      expect(order.lastIndexOf('m') - before).toBeLessThan(20);
    },
  );

  // POOL-83 go#56910: the policy, both ways. Inside a group nobody overtakes; a group at its limit holds up nobody of another.
  test('a group at its limit is overtaken by others, never by its own', async () => {
    const pool = new PromisePool({ concurrency: 3, perGroup: { concurrency: 1 } });
    const order: string[] = [];
    const gates = new Map<string, ReturnType<typeof deferred<void>>>();
    const submit = (name: string, priority?: 'high' | 'low') => {
      const gate = deferred();
      gates.set(name, gate);
      const task = () => {
        order.push(name);
        return gate.promise;
      };
      return pool.execute(task, { group: name[0], priority });
    };
    const names = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'];
    const all = names.map((name) => submit(name));
    expect(order).toEqual(['a1', 'b1', 'c1']);
    gates.get('c1')?.resolve();
    await turns();
    // A slot is free, and it stays so: both groups that wait are at their limit.
    expect(pool.getMetrics()).toMatchObject({ running: 2, queued: 3 });
    all.push(submit('d1'));
    expect(order.at(-1)).toBe('d1');
    all.push(submit('a4', 'high'));
    gates.get('a1')?.resolve();
    await turns();
    expect(order.slice(4)).toEqual(['a4']);
    for (const name of ['a4', 'a2', 'b1', 'a3', 'b2', 'd1']) {
      gates.get(name)?.resolve();
      await turns();
    }
    await Promise.all(all);
    expect(order.slice(4)).toEqual(['a4', 'a2', 'a3', 'b2']);
  });

  // POOL-82, of the same family: a stream of higher priority starved a lower one for ever.
  test('a low task starts although high ones never stop coming', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    let high = 0;
    let isDone = false;
    const again = async (): Promise<void> => {
      high++;
      if (isDone || high > 1_000) return;
      void pool.execute(again, { priority: 'high', group: high % 7 });
      await turns(1);
    };
    for (let i = 0; i < 3; i++) void pool.execute(again, { priority: 'high' });
    await pool.execute(
      () => {
        isDone = true;
      },
      { priority: 'low' },
    );
    expect(high).toBeLessThan(25);
    await pool.onIdle();
  });

  // POOL-14 Effect-TS/effect#7580: late cleanup of a key deleted its re-created lane and stranded its waiter. By every late end.
  test.each(['aborted while it waits', 'aborted while it runs', 'cleared', 'settled'])(
    'a group that comes back at once after one of its tasks was %s is a group as any',
    async (how) => {
      const pool = new PromisePool({ concurrency: 2, perGroup: { concurrency: 1 } });
      const gauge = new Gauge();
      for (let round = 0; round < 3; round++) {
        const control = new AbortController();
        const gate = deferred();
        const group = ['k', 1];
        if (how === 'aborted while it waits' || how === 'cleared') pool.pause();
        const first = pool.execute(() => gauge.around(gate.promise), { group, signal: control.signal });
        const settled = Promise.allSettled([first]);
        if (how.startsWith('aborted')) control.abort();
        else if (how === 'cleared') pool.clear();
        const second = pool.execute(() => gauge.around(turns()), { group: ['k', 1] });
        const third = pool.execute(() => gauge.around(turns()), { group: ['k', 1], priority: 'high' });
        gate.resolve();
        pool.resume();
        await Promise.all([settled, second, third]);
        await pool.onIdle();
      }
      expect(gauge.max).toBe(1);
      expect(pool.getMetrics().fulfilled).toBe(how === 'settled' ? 9 : 6);
      expectIdentity(pool);
    },
  );

  // POOL-14: the record of a group was forgotten with the last of its waiting tasks, while another of them ran.
  test.each(['abort', 'clear', 'queue full'])(
    'a waiting task that leaves by %s does not free the group of a running one',
    async (how) => {
      const pool = new PromisePool({ concurrency: 3, maxQueue: 1, perGroup: { concurrency: 1 } });
      const gate = deferred();
      const running = pool.execute(() => gate.promise, { group: 'g' });
      const control = new AbortController();
      const waiting = rejection(pool.execute(hang, { group: 'g', signal: control.signal }));
      if (how === 'queue full') await rejection(pool.execute(hang, { group: 'g' }));
      if (how === 'clear') pool.clear();
      else control.abort();
      await waiting;
      const next = vi.fn();
      const last = pool.execute(next, { group: 'g' });
      expect(next).not.toHaveBeenCalled();
      gate.resolve();
      await Promise.all([running, last]);
      expect(next).toHaveBeenCalledOnce();
    },
  );

  // POOL-14: groups whose names look alike are not one.
  test('groups are told apart by type and by content', () => {
    const pool = new PromisePool({ concurrency: 20, perGroup: { concurrency: 1 } });
    const names = [1, '1', 1n, [1], ['1'], ['1', ''], ['', '1'], ['a', 'b'], ['a,b'], 'a,b', Symbol('a'), Symbol('a')];
    const started = vi.fn(hang);
    for (const group of names) void pool.execute(started, { group: group as never });
    expect(started).toHaveBeenCalledTimes(names.length);
    for (const group of [1, '1', 1n, [1], ['1', ''], ['a', 'b']]) void pool.execute(started, { group: group as never });
    expect(started).toHaveBeenCalledTimes(names.length);
  });

  // POOL-88 apollo router#9034, vector#26457: room was reserved for somebody idle. A group at its limit, a parked map, a slow source.
  test('who cannot use a slot does not keep it from others', async () => {
    const pool = new PromisePool({ concurrency: 2, maxQueue: 5, perGroup: { concurrency: 1 } });
    void pool.execute(hang, { group: 'busy' });
    for (let i = 0; i < 5; i++) void pool.execute(hang, { group: 'busy', priority: 'high' }).catch(() => {});
    const source = { [Symbol.asyncIterator]: () => ({ next: hang }) };
    void pool.map(source, hang, { group: 'slow', priority: 'high' });
    void pool.map([1, 2], hang, { group: 'busy', priority: 'high' });
    const unread = pool.stream([1, 2, 3, 4], (i) => i, { group: 'unread', buffer: 0, concurrency: 1 });
    await unread.next();
    await turns(20);
    expect(pool.getMetrics()).toMatchObject({ running: 1, queued: 5 });
    expect(await rejection(pool.execute(hang, { group: 'busy' }))).toMatchObject({ code: 'QUEUE_FULL' });
    // The queue is full, but this one need not wait.
    expect(await pool.execute(() => 'in', { priority: 'low', group: 'other' })).toBe('in');
    expect(await pool.map([1, 2], (i) => i, { priority: 'low' })).toEqual([1, 2]);
  });

  // POOL-80 fastq, async and others, of the same family: permits, streams, wrapped functions, and what aborts and timeouts start.
  test('nothing runs in the async context of whoever freed the slot', async () => {
    const store = new AsyncLocalStorage<string>();
    const pool = new PromisePool({ concurrency: 1 });
    const seen: [string, unknown][] = [];
    const see = (what: string) => void seen.push([what, store.getStore()]);
    const control = new AbortController();
    void store.run('stranger', () => pool.execute(() => turns(), { signal: control.signal })).catch(() => {});
    const all = [
      store.run('holder', async () => {
        const permit = await pool.acquire();
        see('holder');
        permit.release();
      }),
      store.run('wrapper', () => pool.wrap(() => see('wrapper'))()),
      store.run('reader', async () => {
        for await (const _ of pool.stream([1, 2], () => see('reader'))) see('reader');
      }),
      store.run('grower', () => pool.execute(() => see('grower'))),
      store.run('low', () => pool.execute(() => see('low'), { priority: 'low', group: 'g' })),
    ];
    store.run('aborter', () => control.abort());
    await Promise.all(all);
    expect(seen).toHaveLength(8);
    for (const [what, context] of seen) expect(context).toBe(what);
    const paused = new PromisePool({ concurrency: 1 });
    paused.pause();
    const none = store.exit(() => paused.execute(() => store.getStore()));
    const mine = store.run('mine', () => paused.execute(() => store.getStore()));
    store.run('resumer', () => paused.resume());
    expect(await Promise.all([none, mine])).toEqual([undefined, 'mine']);
  });

  // POOL-85 bottleneck: three turns of the timer queue for each job. Here a task costs microtasks only.
  test('a queue of 10,000 tasks is worked off within one turn of the event loop, without a timer', async () => {
    const pool = new PromisePool({ concurrency: 1, timeout: 60_000, queueTimeout: 60_000 });
    const setTimeoutCalls = vi.spyOn(globalThis, 'setTimeout');
    let isNextTurn = false;
    const all = Promise.all(Array.from({ length: 10_000 }, (_, i) => pool.execute(() => i)));
    setImmediate(() => {
      isNextTurn = true;
    });
    await all;
    expect(isNextTurn).toBe(false);
    expect(setTimeoutCalls.mock.calls.length).toBeLessThan(10);
    setTimeoutCalls.mockRestore();
  });
});
