import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClosedError, isRefusedError } from '../../../src/core/errors.js';
import type { Permit } from '../../../src/core/permit.js';
import { PromisePool } from '../../../src/pool/index.js';
import { expectAllFree, hang, later, logged, Room, refusal } from '../gates-support.js';
import { deferred, expectIdentity, turns } from '../support.js';

const NEVER = Number.POSITIVE_INFINITY;

describe('tryAcquire and onChange of a pool', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('permits count as running and free the slot at their release, once', () => {
    const pool = new PromisePool({ concurrency: 2 });
    const permits = [pool.tryAcquire(), pool.tryAcquire()] as Permit[];
    expect(pool.running).toBe(2);
    expect(pool.tryAcquire()).toBe(NEVER);
    expectIdentity(pool);
    permits[0]?.release();
    permits[0]?.release();
    expect(pool.running).toBe(1);
    const again = pool.tryAcquire() as Permit;
    expect(pool.tryAcquire()).toBe(NEVER);
    again.release();
    permits[1]?.[Symbol.dispose]();
    expectAllFree(pool);
    expect(pool.getMetrics()).toMatchObject({ calls: 3, fulfilled: 3 });
    expectIdentity(pool);
  });

  test('nobody is passed by: not those who wait, nor a group at its limit, nor a paused pool', () => {
    const pool = new PromisePool({ concurrency: 2, perGroup: { concurrency: 1 } });
    const held = pool.tryAcquire({ group: 'g' }) as Permit;
    expect(pool.tryAcquire({ group: 'g' })).toBe(NEVER);
    held.release();
    pool.pause();
    expect(pool.tryAcquire()).toBe(NEVER);
    const task = vi.fn(hang);
    void pool.execute(task);
    void pool.execute(task, { group: 'h' });
    pool.resume();
    expect(task).toHaveBeenCalledTimes(2);
    expect(pool.tryAcquire()).toBe(NEVER);
  });

  test('a refusal when the pool is closed, and the permit’s signal aborts when it is closed under it', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const permit = pool.tryAcquire() as Permit;
    const report = pool.close({ grace: 0, reason: 'over' });
    expect(pool.tryAcquire()).toBeInstanceOf(ClosedError);
    expect(permit.signal.reason).toBe('over');
    permit.release();
    expect(await report).toMatchObject({ aborted: 1, left: [] });
  });

  test('a pool with gates beyond this process refuses: it cannot answer at once', () => {
    const pool = new PromisePool({ concurrency: 1, gates: [{ acquire: async () => logged([]) }] });
    expect(isRefusedError(pool.tryAcquire())).toBe(true);
    expectIdentity(pool);
  });

  test('its gates are asked, all or none, and their answer is the answer', async () => {
    const [one, two] = [new Room(1), new Room(1, 30)];
    const pool = new PromisePool({ concurrency: 5, gates: [one, two] });
    const permit = pool.tryAcquire() as Permit;
    expect([one.held, two.held, one.started, two.started]).toEqual([1, 1, 1, 1]);
    expect(pool.tryAcquire()).toBe(NEVER);
    one.size = 2;
    expect(pool.tryAcquire()).toBe(30);
    expect(one.held).toBe(1);
    const error = refusal();
    two.override = () => error;
    expect(pool.tryAcquire()).toBe(error);
    expect(one.held).toBe(1);
    permit.release();
    expectAllFree(pool, [one, two]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('the rate says how long', async () => {
    const pool = new PromisePool({ concurrency: 5, rateLimit: { limit: 1, interval: 100 } });
    (pool.tryAcquire() as Permit).release();
    await vi.advanceTimersByTimeAsync(30);
    expect(pool.tryAcquire()).toBe(70);
    await vi.advanceTimersByTimeAsync(70);
    expect(pool.tryAcquire()).toMatchObject({ release: expect.any(Function) });
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each<readonly [string, (it: { pool: PromisePool; permit: Permit; done: { resolve(): void } }) => unknown]>([
    ['a release', ({ permit }) => permit.release()],
    ['the end of a task', ({ done }) => done.resolve()],
    [
      'a resize',
      ({ pool }) => {
        pool.concurrency = 3;
      },
    ],
    ['a close', ({ pool }) => void pool.close()],
    ['a close at once', ({ pool }) => void pool.close({ grace: 0 })],
  ])('full, it calls on %s, and no more once that is ended', async (_, act) => {
    const pool = new PromisePool({ concurrency: 2 });
    const permit = pool.tryAcquire() as Permit;
    const done = deferred();
    const held = pool.execute(() => done.promise).catch(() => {});
    expect(pool.tryAcquire()).toBe(NEVER);
    const [wake, same] = [vi.fn(), vi.fn()];
    const ends = [pool.onChange(wake), pool.onChange(same), pool.onChange(same)];
    ends[1]?.();
    act({ pool, permit, done });
    await turns();
    expect(wake).toHaveBeenCalled();
    expect(same).toHaveBeenCalled();
    const calls = wake.mock.calls.length;
    for (const end of ends) end();
    for (const end of ends) end();
    permit.release();
    done.resolve();
    await held;
    await pool.execute(() => {}).catch(() => {});
    expect(wake.mock.calls.length).toBe(calls);
  });

  test('a paused pool calls when it resumes', () => {
    const pool = new PromisePool({ concurrency: 1 });
    pool.pause();
    const wake = vi.fn(() => void (pool.tryAcquire() as Permit).release());
    const end = pool.onChange(() => {
      end();
      wake();
    });
    expect(wake).not.toHaveBeenCalled();
    pool.resume();
    expect(wake).toHaveBeenCalledTimes(1);
  });

  test('bad requests throw, and leave nothing', () => {
    const pool = new PromisePool({ concurrency: 1 });
    for (const request of [{ cost: Number.NaN }, { cost: -1 }, { group: {} as never }, 5 as never]) {
      expect(() => pool.tryAcquire(request)).toThrow();
    }
    expect(() => pool.onChange(5 as never)).toThrow(TypeError);
    expectAllFree(pool);
    expect(pool.getMetrics().calls).toBe(0);
  });

  test('pools as gates of one another, three deep, under load', async () => {
    const inner = new PromisePool({ concurrency: 2, name: 'inner' });
    const middle = new PromisePool({ concurrency: 3, gates: [inner], name: 'middle' });
    const outers = [1, 2].map(() => new PromisePool({ concurrency: 5, gates: [middle] }));
    let running = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++running);
      await later(5);
      running--;
    };
    const all = outers.flatMap((pool) => Array.from({ length: 10 }, () => pool.execute(work)));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(most).toBe(2);
    for (const pool of [inner, middle, ...outers]) expectAllFree(pool);
  });

  test('a pool whose own gate makes it answer Infinity calls when that gate changes', () => {
    const room = new Room(0);
    const inner = new PromisePool({ concurrency: 5, gates: [room] });
    expect(inner.tryAcquire()).toBe(NEVER);
    const wake = vi.fn();
    inner.onChange(wake);
    room.resize(1);
    expect(wake).toHaveBeenCalled();
  });

  test('a listener that throws is shown on the console and changes nothing', () => {
    const show = vi.spyOn(console, 'error').mockImplementation(() => {});
    const pool = new PromisePool({ concurrency: 1 });
    const permit = pool.tryAcquire() as Permit;
    const next = vi.fn();
    pool.onChange(() => {
      throw new Error('listener');
    });
    pool.onChange(next);
    expect(() => permit.release()).not.toThrow();
    expect(next).toHaveBeenCalled();
    expect(show).toHaveBeenCalledTimes(1);
    expectAllFree(pool);
  });

  test('an onStart hook that closes the pool makes it a refusal', () => {
    const pool: PromisePool = new PromisePool({
      concurrency: 1,
      hooks: { onStart: () => void pool.close({ grace: 0 }) },
    });
    const answer = pool.tryAcquire();
    if (answer instanceof Promise) answer.catch(() => {});
    expect(answer).toBeInstanceOf(ClosedError);
  });

  // Making a signal for each permit of this process would cost more than all the rest (docs/decisions/0007).
  test('a permit of a gate of this process is taken to hold: its signal is not even made', async () => {
    const inner = new PromisePool({ concurrency: 1 });
    const outer = new PromisePool({ concurrency: 1, gates: [inner] });
    let end: (() => void) | undefined;
    const told = outer.execute(() => new Promise<void>((resolve) => (end = resolve)));
    void inner.close({ grace: 0, reason: 'over' });
    await turns();
    expect(outer.getMetrics()).toMatchObject({ running: 1, aborted: 0 });
    end?.();
    await told;
  });

  test('the identity holds inside a gate that is asked for a newcomer', () => {
    const room = new Room(1);
    const pool = new PromisePool({ concurrency: 1, gates: [room] });
    let isKept = false;
    room.override = () => {
      const { calls, running, queued, refused } = pool.getMetrics();
      isKept = calls === running + queued + refused;
      return undefined;
    };
    void pool.execute(hang);
    expect(isKept).toBe(true);
  });
});
