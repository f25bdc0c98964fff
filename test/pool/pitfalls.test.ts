import { describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { type Deferred, deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

describe('what went wrong in other pools', () => {
  // POOL-08 supercharge/promise-pool#23: after the first failure the limit was ignored.
  test('a task that fails early does not lift the limit', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    const gauge = new Gauge();
    await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) =>
        pool.execute(() =>
          gauge.around(async () => {
            await turns(i % 5);
            if (i % 3 === 0) throw new Error('early');
          }),
        ),
      ),
    );
    expect(gauge.max).toBe(3);
  });

  // POOL-10 effect `releaseAll`: the free count exceeded the capacity when holders released later.
  test('permits that are released after clear, abort and close never add capacity', async () => {
    const pool = new PromisePool({ concurrency: 2, abortGrace: 0, name: 'p' });
    const held = [await pool.acquire(), await pool.acquire()];
    pool.clear();
    for (const permit of held) {
      permit.release();
      permit.release();
    }
    const started = vi.fn(hang);
    for (let i = 0; i < 5; i++) void pool.execute(started).catch(() => {});
    expect(started).toHaveBeenCalledTimes(2);
  });

  // POOL-22 anyio#1223: shrink below what is in use, then grow: it woke by delta. POOL-23 fastq#80: `running === limit` after a shrink.
  test('5 to 1 to 3 with five running starts nothing before fewer than three run', async () => {
    const pool = new PromisePool({ concurrency: 5 });
    const work: Deferred<void>[] = Array.from({ length: 10 }, () => deferred());
    const started: number[] = [];
    const all = work.map(({ promise }, i) =>
      pool.execute(() => {
        started.push(i);
        return promise;
      }),
    );
    pool.concurrency = 1;
    void pool.execute(() => void started.push(10));
    pool.concurrency = 3;
    for (const i of [0, 1]) {
      work[i]?.resolve();
      await turns();
      expect(started).toHaveLength(5);
    }
    work[2]?.resolve();
    await turns();
    expect(started).toHaveLength(6);
    expect(pool.running).toBe(3);
    for (const { resolve } of work) resolve();
    await Promise.all(all);
    await pool.onIdle();
    expect(started).toEqual(Array.from({ length: 11 }, (_, i) => i));
  });

  // POOL-44 fastq#88, async#1729: "drained" resolved early, after an empty push or in the wrong tick.
  test('onIdle is not fooled by empty work or by a task that starts the next one', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    await pool.map([], () => 1);
    const gate = deferred();
    void pool.execute(() => gate.promise);
    const idle = pool.onIdle().then(() => pool.running + pool.queued);
    void pool.execute(async () => {
      void pool.execute(() => turns());
    });
    gate.resolve();
    expect(await idle).toBe(0);
    expect(pool.getMetrics().fulfilled).toBe(3);
  });

  // POOL-46 pacer#189, #246: a failure inside a bulk operation left the pump dead.
  test('a map that fails leaves a pool that goes on', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    await rejection(pool.map([1, 2, 3], () => Promise.reject(new Error('bulk'))));
    expect(await pool.map([1, 2, 3], (x) => x)).toEqual([1, 2, 3]);
    expectIdentity(pool);
  });

  // POOL-55 p-queue#119: clear on a large queue, in the middle of the pump.
  test('clear inside a task that the pump has just started', async () => {
    const pool = new PromisePool({ concurrency: 10 });
    const gate = deferred();
    for (let i = 0; i < 10; i++) void pool.execute(() => gate.promise);
    let cleared = 0;
    const rest = Array.from({ length: 1_000 }, (_, i) =>
      pool.execute(() => {
        if (i === 3) cleared = pool.clear();
      }),
    );
    gate.resolve();
    const outcomes = await Promise.allSettled(rest);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(cleared);
    expect(cleared).toBeGreaterThan(900);
    await pool.onIdle();
    expectIdentity(pool);
    expect(await pool.execute(() => 'alive')).toBe('alive');
  });

  // POOL-58 p-map 1af51b5: wrong index when next() settled out of order. POOL-59 tiny-async-pool#47: completion order.
  test('results keep the order of the input, whatever order work and source settle in', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    const delays = [9, 3, 6, 1, 5];
    const asked: number[] = [];
    const source = {
      [Symbol.asyncIterator]: () => ({
        i: 0,
        async next(): Promise<IteratorResult<number>> {
          const i = this.i++;
          asked.push(i);
          await turns(10 - i);
          return i < delays.length ? { done: false, value: i } : { done: true, value: undefined };
        },
      }),
    };
    const seen = await pool.map(source, async (i, { index }) => {
      await turns(delays[i]);
      return [i, index];
    });
    expect(seen).toEqual(delays.map((_, i) => [i, i]));
    expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
  });

  // POOL-62 supercharge#51, #63: one extra item after a stop.
  test('no item starts after the one that failed, or after the abort', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const started: number[] = [];
    await rejection(
      pool.map([1, 2, 3, 4], async (i) => {
        started.push(i);
        if (i === 2) throw new Error('stop');
      }),
    );
    expect(started).toEqual([1, 2]);
    const control = new AbortController();
    await rejection(
      pool.map(
        [1, 2, 3, 4],
        async (i) => {
          started.push(i);
          if (i === 2) control.abort();
        },
        { signal: control.signal },
      ),
    );
    await pool.onIdle();
    expect(started).toEqual([1, 2, 1, 2]);
  });

  // POOL-86 fastq#90: drained while paused hung without a word.
  test('onIdle on a paused pool with work waits for resume, and can be left', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    pool.pause();
    await pool.onIdle();
    void pool.execute(() => 1);
    const told = vi.fn();
    void pool.onIdle().then(told);
    await turns();
    expect(told).not.toHaveBeenCalled();
    expect(pool.getMetrics()).toMatchObject({ isPaused: true, queued: 1 });
    pool.resume();
    await turns();
    expect(told).toHaveBeenCalledOnce();
  });

  // POOL-88 apollo router#9034, tower PR#434: a permit reserved by somebody idle, or a stale flag, shed work that could run.
  test('whether there is room is read off the counters: nobody who left is in the way', async () => {
    const pool = new PromisePool({ concurrency: 1, maxQueue: 1 });
    const gate = deferred();
    void pool.execute(() => gate.promise);
    for (let i = 0; i < 100; i++) {
      const control = new AbortController();
      const left = rejection(pool.execute(() => i, { signal: control.signal }));
      control.abort();
      await left;
    }
    const waits = pool.execute(() => 'waits');
    expect(await rejection(pool.execute(() => 'full'))).toMatchObject({ code: 'QUEUE_FULL' });
    gate.resolve();
    expect(await waits).toBe('waits');
  });
});
