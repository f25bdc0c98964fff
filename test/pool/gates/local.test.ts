import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RateLimiter } from '../../../src/limits/rate-limiter.js';
import { PromisePool } from '../../../src/pool/index.js';
import { expectAllFree, hang, later, logged, Room, refusal } from '../gates-support.js';
import { deferred, expectIdentity, rejection, turns } from '../support.js';

describe('gates of this process', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('all or none: while one makes the head wait, the others and the rate have all their places', async () => {
    const [one, two] = [new Room(1), new Room(1)];
    const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
    const pool = new PromisePool({ concurrency: 3, rateLimit: limiter, gates: [one, two] });
    two.held = 1;
    const task = vi.fn(hang);
    void pool.execute(task);
    expect(task).not.toHaveBeenCalled();
    expect(one).toMatchObject({ held: 0, started: 0 });
    expect(new Set(one.releases)).toEqual(new Set(['ignore']));
    expect(limiter.getMetrics()).toMatchObject({ admitted: 0 });
    expect(limiter.isUnused).toBe(true);
    // Nothing but the one that made it wait is listened to.
    expect([one.wakes.size, two.wakes.size]).toEqual([0, 1]);
    two.held = 0;
    two.wake();
    expect(task).toHaveBeenCalledTimes(1);
    expect([one.held, two.held, one.started, two.started]).toEqual([1, 1, 1, 1]);
    expect([one.wakes.size, two.wakes.size]).toEqual([0, 0]);
  });

  test('their bound holds, first come, first served, and every permit comes back', async () => {
    const gate = new Room(2);
    const pool = new PromisePool({ concurrency: 10, gates: [gate] });
    let most = 0;
    const order: number[] = [];
    const all = Array.from({ length: 20 }, (_, i) =>
      pool.execute(async () => {
        order.push(i);
        most = Math.max(most, pool.running);
        await later(10 + (i % 3));
        if (i % 4 === 0) throw new Error('failed');
      }),
    );
    const settled = Promise.allSettled(all);
    await vi.runAllTimersAsync();
    await settled;
    expect(most).toBe(2);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(gate.started).toBe(20);
    expectAllFree(pool, [gate]);
  });

  test('what one says is waited for: by time', async () => {
    const gate = new Room(0, 50);
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const task = vi.fn();
    const done = pool.execute(task);
    const { asked } = gate;
    await vi.advanceTimersByTimeAsync(49);
    expect(gate.asked).toBe(asked);
    gate.size = 1;
    await vi.advanceTimersByTimeAsync(1);
    await done;
    expect(task).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(gate.wakes.size).toBe(0);
  });

  test('a gate that wakes whoever starts to listen ends nobody’s wait for the time', async () => {
    const gate = new Room(0, 50);
    const { onChange } = gate;
    vi.spyOn(gate, 'onChange').mockImplementation((wake) => {
      wake();
      return onChange.call(gate, wake);
    });
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const done = pool.execute(() => 'ran');
    gate.size = 1;
    await vi.advanceTimersByTimeAsync(50);
    expect(await done).toBe('ran');
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each(['a slot is free', 'all slots are busy', 'the pool is paused', 'another waits at a gate'])(
    'one that refuses does so at submission: %s',
    async (when) => {
      const gate = new Room(1);
      const pool = new PromisePool({ concurrency: when === 'all slots are busy' ? 1 : 5, gates: [gate] });
      if (when !== 'a slot is free') void pool.execute(hang);
      if (when === 'another waits at a gate') void pool.execute(hang);
      if (when === 'the pool is paused') pool.pause();
      const before = pool.getMetrics();
      const error = refusal();
      gate.override = () => error;
      const task = vi.fn();
      const refused = pool.execute(task);
      expect(pool.getMetrics()).toMatchObject({ refused: 1, queued: before.queued, running: before.running });
      expect(await rejection(refused)).toBe(error);
      expect(task).not.toHaveBeenCalled();
      expectIdentity(pool);
    },
  );

  test('is not asked for those who stand behind the head, but once at their submission', () => {
    const gate = new Room(1);
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    void pool.execute(hang);
    for (let i = 0; i < 10; i++) void pool.execute(hang);
    expect(gate.asked).toBe(11);
    expect(gate.held).toBe(1);
  });

  // POOL-47 bottleneck#194: a gate that failed lost jobs, or stopped all.
  test.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
      'broken',
    ],
    ['answers undefined', () => undefined as never, 'tryAcquire'],
    ['answers null', () => null as never, 'tryAcquire'],
    ['answers a string', () => 'soon' as never, 'tryAcquire'],
    ['answers an empty object', () => ({}) as never, 'tryAcquire'],
  ])('one that %s rejects that task, and the next proceeds', async (_, answer, message) => {
    for (const busy of [false, true]) {
      const gate = new Room(5);
      const pool = new PromisePool({ concurrency: 1, gates: [gate] });
      const done = deferred();
      const held = busy ? pool.execute(() => done.promise) : Promise.resolve();
      const plain = gate.tryAcquire.bind(gate);
      const spy = vi.spyOn(gate, 'tryAcquire');
      // At the submission where nobody is before it, else when it has become the head.
      if (busy) spy.mockImplementationOnce(plain);
      const bad = pool.execute(() => 'bad');
      spy.mockImplementationOnce(answer);
      if (!busy) {
        const now = pool.execute(() => 'now');
        expect(String(await rejection(now))).toContain(message);
        await bad;
      } else {
        const next = pool.execute.bind(pool, () => 'next');
        done.resolve();
        await held;
        expect(String(await rejection(bad))).toContain(message);
        expect(await next()).toBe('next');
      }
      expect(await pool.execute(() => 'after')).toBe('after');
      expectAllFree(pool, [gate]);
      expectIdentity(pool);
    }
  });

  test('one whose onChange throws rejects the task that would wait for it', async () => {
    const gate = new Room(1);
    const pool = new PromisePool({ concurrency: 5, gates: [gate] });
    const done = deferred();
    const held = pool.execute(() => done.promise);
    const error = new Error('no bell');
    vi.spyOn(gate, 'onChange').mockImplementationOnce(() => {
      throw error;
    });
    expect(await rejection(pool.execute(hang))).toBe(error);
    const next = pool.execute(() => 'next');
    done.resolve();
    await held;
    expect(await next).toBe('next');
    expectAllFree(pool, [gate]);
  });

  // POOL-73: one level of recursion for each that is refused.
  test('100,000 that wait while it shuts are refused without recursion', async () => {
    const gate = new Room(1);
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const done = deferred();
    void pool.execute(() => done.promise);
    const all = Array.from({ length: 100_000 }, () => pool.execute(hang));
    const settled = Promise.allSettled(all);
    const error = refusal('shut');
    gate.override = () => error;
    done.resolve();
    const outcomes = await settled;
    expect(outcomes.every((each) => each.status === 'rejected' && each.reason === error)).toBe(true);
    expectAllFree(pool);
    expect(pool.getMetrics()).toMatchObject({ refused: 100_000 });
  });

  test.each(['submits', 'clears', 'aborts', 'resizes', 'pauses', 'closes'])(
    'one that comes back to the pool and %s while it is asked',
    async (what) => {
      const gate = new Room(2);
      const pool = new PromisePool({ concurrency: 2, gates: [gate] });
      const control = new AbortController();
      const all = [1, 2, 3].map(() =>
        pool.execute(() => later(5), { signal: control.signal }).catch((error: unknown) => error),
      );
      let depth = 0;
      gate.override = () => {
        if (depth++ > 3) return undefined;
        if (what === 'submits') all.push(pool.execute(() => later(5)));
        else if (what === 'clears') pool.clear('cleared');
        else if (what === 'aborts') control.abort('aborted');
        else if (what === 'resizes') pool.concurrency = 1 + (depth % 3);
        else if (what === 'pauses') pool.pause();
        else void pool.close({ grace: 0 });
        return undefined;
      };
      all.push(pool.execute(() => later(5)).catch((error: unknown) => error));
      for (let i = 0; i < 6; i++) {
        expectIdentity(pool);
        pool.resume();
        await vi.runAllTimersAsync();
      }
      await Promise.all(all);
      expectAllFree(pool, [gate]);
      expectIdentity(pool);
    },
  );

  test('a head that its own gate ends while it is asked leaves the way free for the next', async () => {
    const gate = new Room(1);
    const pool = new PromisePool({ concurrency: 2, gates: [gate] });
    const done = deferred();
    void pool.execute(() => done.promise);
    const control = new AbortController();
    const left = rejection(pool.execute(hang, { signal: control.signal, cost: 1 }));
    const next = vi.fn();
    void pool.execute(next);
    // It ends the head and has no place for it, nor ever a bell to ring.
    gate.override = ({ cost }) => {
      if (cost === undefined) return undefined;
      control.abort('left');
      return Number.POSITIVE_INFINITY;
    };
    done.resolve();
    expect(await left).toBe('left');
    await turns();
    expect(next).toHaveBeenCalledTimes(1);
  });

  test('two pools that share two gates do not wake each other for ever', async () => {
    const [one, two] = [new Room(1), new Room(1)];
    const pools = [
      new PromisePool({ concurrency: 5, gates: [one, two] }),
      new PromisePool({ concurrency: 5, gates: [two, one] }),
    ];
    const tasks = 50;
    const all = pools.flatMap((pool) => Array.from({ length: tasks }, () => pool.execute(() => later(10))));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(performance.now()).toBe(2 * tasks * 10);
    expect(one.asked + two.asked).toBeLessThan(20 * 2 * tasks);
    for (const pool of pools) expectAllFree(pool, [one, two]);
    // Shut for good: both wait, and nothing is asked.
    two.size = 0;
    for (const pool of pools) void pool.execute(hang);
    const before = one.asked + two.asked;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(one.asked + two.asked).toBe(before);
  });

  test('a pool may be the gate of another: it bounds both, and what it makes wait starts when it has a slot', async () => {
    const inner = new PromisePool({ concurrency: 1 });
    const outer = new PromisePool({ concurrency: 5, gates: [inner] });
    const done = deferred();
    const held = inner.execute(() => done.promise);
    const task = vi.fn(() => later(10));
    const all = [outer.execute(task), outer.execute(task)];
    expect([outer.queued, task.mock.calls.length]).toEqual([2, 0]);
    done.resolve();
    await held;
    await turns();
    expect([inner.running, outer.running, task.mock.calls.length]).toEqual([1, 1, 1]);
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expectAllFree(inner);
    expectAllFree(outer);
  });

  test('maps and streams go through them too, and one that refuses fails the map and closes its source', async () => {
    const gate = new Room(2);
    const pool = new PromisePool({ concurrency: 5, gates: [gate] });
    let most = 0;
    const work = async (item: number) => {
      most = Math.max(most, gate.held);
      await later(5);
      return item;
    };
    const mapped = pool.map([1, 2, 3, 4, 5], work);
    const streamed = (async () => {
      const results: number[] = [];
      for await (const each of pool.stream([6, 7, 8], work)) results.push(each);
      return results;
    })();
    await vi.runAllTimersAsync();
    expect([await mapped, await streamed]).toEqual([
      [1, 2, 3, 4, 5],
      [6, 7, 8],
    ]);
    expect(most).toBe(2);
    expectAllFree(pool, [gate]);

    const closed = vi.fn();
    function* endless() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        closed();
      }
    }
    const failing = pool.map(endless(), (i) => later(i), { concurrency: 3 });
    const reason = rejection(failing);
    const error = refusal();
    gate.override = () => error;
    await vi.runAllTimersAsync();
    expect(await reason).toBe(error);
    expect(closed).toHaveBeenCalledTimes(1);
    expectAllFree(pool);
    expectIdentity(pool);
  });

  test('a source that submits to the pool while an item is pulled for the gates', async () => {
    const gate = new Room(2);
    const pool = new PromisePool({ concurrency: 2, gates: [gate] });
    const others: Promise<unknown>[] = [];
    function* source() {
      for (let i = 0; i < 5; i++) {
        others.push(pool.execute(() => later(1)));
        yield i;
      }
    }
    const mapped = pool.map(source(), async (i) => i);
    await vi.runAllTimersAsync();
    expect(await mapped).toEqual([0, 1, 2, 3, 4]);
    await Promise.all(others);
    expectAllFree(pool, [gate]);
  });

  test('a permit that throws changes nothing', async () => {
    const show = vi.spyOn(console, 'error').mockImplementation(() => {});
    const fail = () => {
      throw new Error('permit');
    };
    const gate = new Room(1);
    gate.override = () => ({ ...logged([]), started: fail, report: fail, release: fail });
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    expect(await Promise.all([1, 2, 3].map((i) => pool.execute(async () => i)))).toEqual([1, 2, 3]);
    expect(show).toHaveBeenCalled();
    expectAllFree(pool);
  });

  test.each([[[{}]], [[undefined]], [5], [[{ tryAcquire: () => 0, onChange: () => () => {} }]]])(
    '%j are no gates',
    (gates) => {
      expect(() => new PromisePool({ concurrency: 1, gates: gates as never })).toThrow(TypeError);
    },
  );
});
