import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClosedError } from '../../../src/core/errors.js';
import type { AcquireRequest, Gate } from '../../../src/core/gate.js';
import { RateLimiter } from '../../../src/limits/rate-limiter.js';
import { ClearedError, PromisePool, QueueTimeoutError } from '../../../src/pool/index.js';
import { Afar, expectAllFree, hang, later, logged, outcomeNow, Room } from '../gates-support.js';
import { expectIdentity, rejection, turns } from '../support.js';

const answering = (answer: (request?: AcquireRequest) => unknown): Gate => ({ acquire: answer as Gate['acquire'] });

/** An object whose `then` is this. */
function thenable(get: () => (yes: unknown, no: (error: unknown) => void) => void): object {
  return Object.defineProperty({}, 'then', { get });
}

describe('gates beyond this process', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('are asked one after the other, once a slot is taken; who asks is queued and holds it', async () => {
    const [one, two] = [new Afar(), new Afar()];
    const pool = new PromisePool({ concurrency: 1, gates: [one, two] });
    const task = vi.fn(() => 'ran');
    const first = pool.execute(task, { group: 'g', cost: 3 });
    const second = pool.execute(task);
    expect([one.asks.length, two.asks.length]).toEqual([1, 0]);
    expect(one.ask(0).request).toMatchObject({ group: 'g', cost: 3 });
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 2, peakRunning: 0, peakQueued: 2 });
    expectIdentity(pool);
    one.ask(0).grant();
    await turns();
    expect([one.asks.length, two.asks.length, task.mock.calls.length]).toEqual([1, 1, 0]);
    two.ask(0).grant();
    expect(await first).toBe('ran');
    await turns();
    expect(one.asks.length).toBe(2);
    one.ask(1).grant();
    await turns();
    two.ask(1).grant();
    expect(await second).toBe('ran');
    expect(one.ask(0).log).toEqual(['started', 'report success', 'release ignore']);
    expect(pool.getMetrics()).toMatchObject({ peakRunning: 1, peakQueued: 2, fulfilled: 2 });
    expect(one.signals).toEqual([false, false]);
    await turns();
    expectAllFree(pool);
  });

  test('gate and task see the async context of the submitter, queued or not', async () => {
    const store = new AsyncLocalStorage<number>();
    const seen: unknown[] = [];
    const gates = [1, 2].map(() =>
      answering(async () => {
        seen.push(store.getStore());
        await later(1);
        return logged([]);
      }),
    );
    const pool = new PromisePool({ concurrency: 2, gates });
    const all = Array.from({ length: 12 }, (_, i) => store.run(i, () => pool.execute(() => store.getStore())));
    const mapped = store.run(100, () => pool.map([1, 2, 3], () => store.getStore()));
    const outside = pool.execute(() => store.getStore());
    await vi.runAllTimersAsync();
    expect(await Promise.all(all)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(await mapped).toEqual([100, 100, 100]);
    expect(await outside).toBe(undefined);
    const expected = [
      ...Array.from({ length: 12 }, (_, i) => [i, i]).flat(),
      ...Array(6).fill(100),
      undefined,
      undefined,
    ];
    expect(seen.sort()).toEqual(expected.sort());
  });

  const ends: Record<string, { act: (it: { pool: PromisePool; control: AbortController }) => void; reason: unknown }> =
    {
      abort: { act: ({ control }) => control.abort('left'), reason: 'left' },
      'abort with undefined': { act: ({ control }) => control.abort(0), reason: 0 },
      clear: { act: ({ pool }) => pool.clear(), reason: expect.any(ClearedError) },
      'clear with a reason': { act: ({ pool }) => pool.clear('swept'), reason: 'swept' },
      close: { act: ({ pool }) => void pool.close({ grace: 0 }), reason: expect.any(ClosedError) },
      queueTimeout: { act: () => vi.advanceTimersByTime(50), reason: expect.any(QueueTimeoutError) },
    };

  test.each(Object.keys(ends))(
    '%s while one is asked: settled in that turn, slot and rate place free, a late permit given back once',
    async (how) => {
      const { act, reason } = ends[how] as (typeof ends)[string];
      for (const method of ['execute', 'acquire'] as const) {
        const [one, two] = [new Afar(), new Afar()];
        const room = new Room(1);
        const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
        const pool = new PromisePool({ concurrency: 1, rateLimit: limiter, gates: [room, one, two] });
        const control = new AbortController();
        const options = { signal: control.signal, queueTimeout: how === 'queueTimeout' ? 50 : undefined };
        const task = vi.fn(hang);
        const left = method === 'execute' ? pool.execute(task, options) : pool.acquire(options);
        one.ask(0).grant();
        await turns();
        expect(two.asks.length).toBe(1);
        act({ pool, control });
        expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
        expect(two.signals).toEqual([true]);
        expect(one.ask(0).log).toEqual(['release ignore']);
        expect(room.held).toBe(0);
        expect(limiter.isUnused).toBe(true);
        expectIdentity(pool);
        expect(await outcomeNow(left)).toEqual({ reason });
        if (how !== 'close') {
          void pool.execute(hang);
          expect(one.asks.length).toBe(2);
        }
        two.ask(0).grant();
        await turns();
        expect(two.ask(0).log).toEqual(['release ignore']);
        expect(one.ask(0).log).toEqual(['release ignore']);
        expect(task).not.toHaveBeenCalled();
        expectIdentity(pool);
      }
    },
  );

  test('who leaves a gate makes room for the next in the same turn, and an ignored clear is no unhandled rejection', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const control = new AbortController();
    void pool.execute(hang, { signal: control.signal }).catch(() => {});
    void pool.execute(hang);
    control.abort();
    expect(gate.asks.length).toBe(2);
    expect(pool.clear()).toBe(1);
    expect(pool.queued).toBe(0);
    await pool.onIdle();
  });

  test.each<readonly [string, (error: Error) => unknown]>([
    [
      'throws',
      (error) => {
        throw error;
      },
    ],
    ['rejects', (error) => Promise.reject(error)],
    ['is a thenable that rejects', (error) => thenable(() => (_, no) => no(error))],
    [
      'is a thenable that throws',
      (error) =>
        thenable(() => () => {
          throw error;
        }),
    ],
    [
      'has a `then` that throws',
      (error) =>
        thenable(() => {
          throw error;
        }),
    ],
    [
      'has a permit whose signal throws',
      (error) => ({
        ...logged([]),
        get signal() {
          throw error;
        },
      }),
    ],
    [
      'gives later a permit whose signal throws',
      async (error) =>
        Object.defineProperty(logged([]), 'signal', {
          get: () => {
            throw error;
          },
        }),
    ],
    ['gives a permit that is lost already', (error) => logged([], { signal: AbortSignal.abort(error) })],
  ])('one that %s rejects that task with the very reason, and the next proceeds', async (_, answer) => {
    const error = new Error('broken');
    const before = logged([]);
    let isBroken = true;
    const gates = [answering(() => before), answering(() => (isBroken ? answer(error) : logged([])))];
    const pool = new PromisePool({ concurrency: 1, gates });
    const task = vi.fn();
    const first = rejection(pool.execute(task));
    const second = rejection(pool.execute(task));
    expect([await first, await second]).toEqual([error, error]);
    const mapped = pool.map([1], task);
    expect(await rejection(mapped)).toBe(error);
    expect(task).not.toHaveBeenCalled();
    expect(pool.getMetrics()).toMatchObject({ refused: 3, running: 0, queued: 0 });
    expectIdentity(pool);
    isBroken = false;
    expect(await pool.execute(() => 'ran')).toBe('ran');
  });

  test.each([undefined, null, 5, 'yes', {}, { release: 1 }, Promise.resolve(undefined), Promise.resolve({})])(
    '%j is no permit: a TypeError for that task',
    async (garbage) => {
      let isBroken = true;
      const pool = new PromisePool({ concurrency: 1, gates: [answering(() => (isBroken ? garbage : logged([])))] });
      expect(await rejection(pool.execute(hang))).toBeInstanceOf(TypeError);
      expectAllFree(pool);
      isBroken = false;
      expect(await pool.execute(() => 'ran')).toBe('ran');
    },
  );

  test('a permit given at once lets the task start inside `execute`', () => {
    const log: string[] = [];
    const pool = new PromisePool({ concurrency: 1, gates: [answering(() => logged(log))] });
    void pool.execute(() => void log.push('entered'), { queueTimeout: 0 });
    expect(log).toEqual(['entered', 'started']);
  });

  test('queueTimeout: 0 does not wait for a gate, and a thenable is one that makes us wait', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    expect(await rejection(pool.execute(hang, { queueTimeout: 0 }))).toBeInstanceOf(QueueTimeoutError);
    gate.ask(0).grant();
    await turns();
    expect(gate.ask(0).log).toEqual(['release ignore']);
    expectAllFree(pool);
  });

  test('one that never answers: queueTimeout ends it, from submission on, the wait for the slot included', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 1, gates: [gate], queueTimeout: 100 });
    const first = pool.execute(hang);
    const told = rejection(first);
    await vi.advanceTimersByTimeAsync(60);
    const second = rejection(pool.execute(hang));
    await vi.advanceTimersByTimeAsync(40);
    expect(await told).toBeInstanceOf(QueueTimeoutError);
    expect(gate.asks.length).toBe(2);
    await vi.advanceTimersByTimeAsync(59);
    expect(pool.queued).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await second).toBeInstanceOf(QueueTimeoutError);
    expect(gate.signals).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
    expectAllFree(pool);
  });
});
