import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GateRefusedError, type LocalGate } from '../../../src/core/gate.js';
import { createPermit, type Permit } from '../../../src/core/permit.js';
import { RateLimiter } from '../../../src/limits/index.js';
import { RateWindow } from '../../../src/limits/rate-window.js';
import { PromisePool } from '../../../src/pool/index.js';
import { hang } from '../gates-support.js';
import { rejection, turns } from '../support.js';

const NEVER = Number.POSITIVE_INFINITY;

/** A gate of this process that never has room and never says so. */
function shutGate(overrides: Partial<LocalGate> = {}): LocalGate {
  return { acquire: hang, tryAcquire: () => NEVER, onChange: () => () => {}, ...overrides };
}

describe('who is told what first, and who goes next', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // Starts less than 0.05 ms apart were one stamp, however many: a steady stream never expired and was stopped for a second.
  test('a steady stream below the limit is never stopped', () => {
    const window = new RateWindow(30_000, 1_000);
    for (let i = 0; i < 100_000; i++) {
      const time = i * 0.04;
      expect(window.freeAt(1, time)).toBe(time);
      window.reserve(1);
      window.start(1, time);
    }
  });

  test('others pass by a group whose own rate depends on a place that has not started', async () => {
    let letIn: ((permit: Permit) => void) | undefined;
    const remote = {
      acquire: () =>
        letIn === undefined ? new Promise<Permit>((resolve) => (letIn = resolve)) : Promise.resolve(createPermit()),
    };
    const pool = new PromisePool({
      concurrency: 10,
      gates: [remote],
      perGroup: { rateLimit: { limit: 1, interval: 50 } },
    });
    const ran: string[] = [];
    const run = (name: string, group: string) => pool.execute(() => void ran.push(name), { group });
    const all = [run('a1', 'a'), run('a2', 'a'), run('b1', 'b')];
    await turns();
    expect(ran).toEqual(['b1']);
    letIn?.(createPermit());
    await vi.advanceTimersByTimeAsync(50);
    await Promise.all(all);
    expect(ran).toEqual(['b1', 'a1', 'a2']);
  });

  test('a gate whose onChange throws refuses its task, and the counters stay whole', async () => {
    const boom = new Error('boom');
    const gate = shutGate({
      onChange: () => {
        throw boom;
      },
    });
    const pool = new PromisePool({ concurrency: 5, gates: [gate] });
    const control = new AbortController();
    expect(await rejection(pool.execute(() => 1, { signal: control.signal }))).toBe(boom);
    expect(pool.tryAcquire()).toBe(NEVER);
    control.abort();
    expect(pool.getMetrics()).toMatchObject({ calls: 1, refused: 1, queued: 0, aborted: 0 });
    await pool.onIdle();
  });

  test('an abort wins: a waiting task whose signal has aborted is not started by who hears of it first', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const control = new AbortController();
    const permit = await pool.acquire();
    control.signal.addEventListener('abort', () => permit.release());
    const task = vi.fn();
    const [first, second] = [0, 1].map(() => rejection(pool.execute(task, { signal: control.signal })));
    const held = rejection(pool.acquire({ signal: control.signal }));
    const items = rejection(pool.map([1, 2], task, { signal: control.signal }));
    control.abort('left');
    expect(await Promise.all([first, second, held, items])).toEqual(['left', 'left', 'left', 'left']);
    expect(task).not.toHaveBeenCalled();
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0, aborted: 3 });
    expect(await pool.execute(() => 'next')).toBe('next');
  });

  test('of two heads that share a signal, neither starts on its abort', async () => {
    const pool = new PromisePool({ concurrency: 5, rateLimit: { limit: 10, interval: 1_000, counts: 'cost' } });
    const control = new AbortController();
    await pool.execute(() => {}, { cost: 8 });
    const task = vi.fn();
    const big = rejection(pool.execute(task, { cost: 5, signal: control.signal }));
    const small = rejection(pool.execute(task, { cost: 1, signal: control.signal }));
    control.abort('left');
    expect([await big, await small]).toEqual(['left', 'left']);
    expect(task).not.toHaveBeenCalled();
  });

  test('a task that is let in by its last gate shortens the queue for those who wait for that', async () => {
    let letIn: (permit: Permit) => void = () => {};
    const pool = new PromisePool({
      concurrency: 1,
      gates: [{ acquire: () => new Promise<Permit>((resolve) => (letIn = resolve)) }],
    });
    void pool.execute(hang);
    const below = pool.onQueueBelow(1);
    letIn(createPermit());
    await below;
    expect(pool.running).toBe(1);
  });

  test('who gives up at a gate is told before the next starts', () => {
    const log: string[] = [];
    let asked = 0;
    const pool = new PromisePool({
      concurrency: 2,
      gates: [{ acquire: () => (asked++ === 0 ? hang() : createPermit()) }],
      rateLimit: { limit: 1, interval: 1_000 },
      hooks: {
        onStart: ({ group }) => void log.push(`start ${String(group)}`),
        onRefuse: ({ group }) => void log.push(`refuse ${String(group)}`),
      },
    });
    const control = new AbortController();
    void rejection(pool.execute(() => 1, { group: 'A', signal: control.signal }));
    void pool.execute(() => 1, { group: 'B' });
    control.abort();
    expect(log).toEqual(['refuse A', 'start B']);
  });

  test('who is overdue is told before an adaptive limit lets the next start', async () => {
    const log: string[] = [];
    const pool = new PromisePool({
      concurrency: { initial: 1, min: 1, max: 5, onSample: () => 2 },
      timeout: 5,
      hooks: {
        onStart: ({ group }) => void log.push(`start ${String(group)}`),
        onOverdue: ({ group }) => void log.push(`overdue ${String(group)}`),
      },
    });
    void rejection(pool.execute(hang, { group: 'A' }));
    void pool.execute(() => 1, { group: 'B' });
    await vi.advanceTimersByTimeAsync(5);
    expect(log).toEqual(['start A', 'overdue A', 'start B']);
  });

  test('a pool that is asked whether it is shut counts no calls', () => {
    const inner = new PromisePool({ concurrency: 5 });
    const outer = new PromisePool({ concurrency: 1, gates: [inner] });
    for (let i = 0; i < 100; i++) void outer.execute(hang);
    expect(inner.getMetrics()).toMatchObject({ calls: 1, running: 1 });
    void inner.close();
    const told = rejection(outer.execute(hang));
    expect(outer.queued).toBe(99);
    return expect(told).resolves.toMatchObject({ code: 'CLOSED' });
  });

  test('nothing of it is left on a gate when nobody waits or listens', () => {
    const wakes = new Set<() => void>();
    const gate = shutGate({
      onChange: (wake) => {
        wakes.add(wake);
        return () => void wakes.delete(wake);
      },
    });
    const pool = new PromisePool({ concurrency: 5, gates: [gate] });
    void rejection(pool.execute(() => 1, { queueTimeout: 0 }));
    expect(wakes.size).toBe(0);
    expect(pool.tryAcquire()).toBe(NEVER);
    expect(wakes.size).toBe(0);
    const end = pool.onChange(() => {});
    expect(wakes.size).toBe(1);
    end();
    expect(wakes.size).toBe(0);
  });

  test('what asks gates beyond this process stands in nobody`s way in the queue', async () => {
    const pool = new PromisePool({ concurrency: 2, maxQueue: 2, gates: [{ acquire: hang }] });
    void rejection(pool.map([1, 2, 3], (x) => x));
    const waiting = [0, 1].map(() => rejection(pool.execute(() => 1)));
    expect(await rejection(pool.execute(() => 1))).toMatchObject({ code: 'QUEUE_FULL' });
    pool.clear('cleared');
    expect(await Promise.all(waiting)).toEqual(['cleared', 'cleared']);
  });

  test('a gate is asked again when the head has left, not for each that leaves behind it', () => {
    const gate = shutGate();
    const asked = vi.spyOn(gate, 'tryAcquire');
    const pool = new PromisePool({ concurrency: 5, gates: [gate] });
    const control = new AbortController();
    void rejection(pool.execute(() => 1));
    for (let i = 0; i < 1_000; i++) void rejection(pool.execute(() => 1, { signal: control.signal }));
    asked.mockClear();
    control.abort();
    expect(asked.mock.calls.length).toBeLessThan(10);
    expect(pool.queued).toBe(1);
  });

  test('a permit may have fields of its own', async () => {
    let released = 0;
    const permit = () =>
      Object.assign(
        createPermit(() => void released++),
        { refused: false },
      );
    const pool = new PromisePool({ concurrency: 2, gates: [shutGate({ tryAcquire: permit })] });
    expect(await pool.execute(() => 'ran')).toBe('ran');
    expect(released).toBe(1);
  });

  test.each([
    ['gives a permit', (): ReturnType<LocalGate['tryAcquire']> => createPermit()],
    ['refuses', () => new GateRefusedError('no')],
    ['makes it wait', () => NEVER],
  ])('a gate that aborts the very task it is asked for, and then %s', async (_, answer) => {
    const control = new AbortController();
    const gate = shutGate({
      tryAcquire: () => {
        control.abort('left');
        return answer();
      },
    });
    const pool = new PromisePool({ concurrency: 2, gates: [gate] });
    const task = vi.fn();
    expect(await rejection(pool.execute(task, { signal: control.signal }))).toBe('left');
    expect(task).not.toHaveBeenCalled();
    expect(pool.getMetrics()).toMatchObject({ calls: 1, aborted: 1, refused: 0, queued: 0, running: 0 });
  });

  test('a permit that goes back and thereby ends another task is not lost, nor is that of anybody else', async () => {
    const control = new AbortController();
    let held = 0;
    let answers = 0;
    const first = shutGate({
      tryAcquire: () => {
        held++;
        return createPermit(() => {
          held--;
          control.abort('left');
        });
      },
    });
    const second = shutGate({ tryAcquire: () => (answers++ === 0 ? 3 : createPermit()) });
    const pool = new PromisePool({ concurrency: 2, gates: [first, second] });
    const all = [pool.execute(() => 'a'), rejection(pool.execute(() => 'b', { signal: control.signal }))];
    await vi.advanceTimersByTimeAsync(10);
    expect(await all[0]).toBe('a');
    await all[1];
    expect(held).toBe(0);
    expect(pool.getMetrics()).toMatchObject({ queued: 0, running: 0 });
  });

  test('an item that a gate refuses is a call that was refused', async () => {
    const refused = vi.fn();
    const rateLimit = new RateLimiter({ limit: 1, interval: 100, maxWait: 0 });
    const pool = new PromisePool({ concurrency: 1, rateLimit, hooks: { onRefuse: refused } });
    await pool.execute(() => 1);
    expect(await rejection(pool.map([1, 2], (x) => x))).toMatchObject({ code: 'RATE_LIMITED' });
    expect(pool.getMetrics()).toMatchObject({ calls: 2, fulfilled: 1, refused: 1 });
    expect(refused).toHaveBeenCalledOnce();
  });

  test('a pool whose own gates lie beyond this process is such a gate itself', async () => {
    const inner = new PromisePool({ concurrency: 1, gates: [{ acquire: async () => createPermit() }] });
    const outer = new PromisePool({ concurrency: 3, gates: [inner] });
    expect(await Promise.all([1, 2, 3].map((x) => outer.execute(() => x)))).toEqual([1, 2, 3]);
    expect(inner.getMetrics()).toMatchObject({ fulfilled: 3, peakRunning: 1 });
  });

  test('a source that comes back to its own map does not lift the limit of that', async () => {
    const pool = new PromisePool({ concurrency: 5 });
    let running = 0;
    let most = 0;
    function* source() {
      for (let i = 0; i < 20; i++) {
        void pool.execute(() => {});
        pool.concurrency = 5 + (i % 2);
        yield i;
      }
    }
    const work = async () => {
      most = Math.max(most, ++running);
      await turns(2);
      running--;
    };
    await pool.map(source(), work, { concurrency: 2 });
    expect(most).toBe(2);
  });

  test('the items of a stream run in the context of who made it, whether the pool is free or busy', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    for (const isBusy of [false, true]) {
      const pool = new PromisePool({ concurrency: 1 });
      const permit = isBusy ? await pool.acquire() : undefined;
      const stream = store.run('creator', () => pool.stream([1, 2, 3], () => void seen.push(store.getStore())));
      await store.run('reader', async () => {
        const first = stream.next();
        permit?.release();
        await first;
        for await (const _ of stream);
      });
    }
    expect(seen).toEqual(Array(6).fill('creator'));
  });

  test('an algorithm that leaves its own bounds is held in them', async () => {
    const pool = new PromisePool({ concurrency: { initial: 1, min: 1, max: 5, onSample: () => 1e9 } });
    await pool.execute(() => 1);
    expect(pool.concurrency).toBe(5);
  });

  // Node 20 keeps the stores on a resource: what one run of it left there, or had there for a moment, was there for the next.
  test('items run in the context of their map, whatever one of them enters, and from wherever they are started', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    let isFirst = true;
    const pool: PromisePool = new PromisePool({
      concurrency: 1,
      hooks: {
        onStart: () => {
          if (!isFirst) return;
          isFirst = false;
          // Started from inside the first item's start, in the context of somebody else.
          store.run('other', () => {
            pool.concurrency = 3;
          });
        },
      },
    });
    const items = store.run('map', () =>
      pool.map(
        [1, 2, 3, 4, 5, 6],
        async () => {
          seen.push(store.getStore());
          store.enterWith('entered');
          await turns(1);
        },
        { group: 'g' },
      ),
    );
    await items;
    expect(seen).toEqual(Array(6).fill('map'));
  });
});
