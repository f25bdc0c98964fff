import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Permit, PromisePool, type PromisePoolOptions } from '../../src/index.js';
import { property } from '../support/runs.js';
import { type Deferred, deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});
const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** How many tasks the pool starts now, inside the call. Those that had to wait are taken out again. */
function room(pool: PromisePool, upTo: number): number {
  const started = vi.fn(hang);
  const controls = Array.from({ length: upTo }, () => new AbortController());
  for (const { signal } of controls) void pool.execute(started, { signal }).catch(() => {});
  for (const control of controls) control.abort();
  return started.mock.calls.length;
}

describe('no slot is lost', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // POOL-02 failsafe#393, #400: a permit granted to a waiter that had given up was lost. POOL-01 p-ratelimit PR#25.
  test.each(['execute', 'acquire'] as const)(
    'as many %ss as there are slots leave while they wait, in every way, and all slots come back',
    async (method) => {
      const pool = new PromisePool({ concurrency: 3 });
      const held = await Promise.all([1, 2, 3].map(() => pool.acquire()));
      const control = new AbortController();
      const submit = (options?: object) =>
        rejection(method === 'execute' ? pool.execute(() => 'ran', options) : pool.acquire(options));
      const cleared = [1, 2, 3].map(() => submit());
      pool.clear();
      const left = [...cleared, ...[10, 20, 30].map((queueTimeout) => submit({ queueTimeout }))];
      left.push(...[1, 2, 3].map(() => submit({ signal: control.signal })));
      // Those who stay wait behind them.
      const started: Permit[] = [];
      const stay = [1, 2, 3].map(() => pool.acquire().then((permit) => started.push(permit)));
      expect(pool.queued).toBe(9);
      await vi.advanceTimersByTimeAsync(20);
      control.abort();
      await vi.advanceTimersByTimeAsync(10);
      await Promise.all(left);
      expect(pool.queued).toBe(3);
      for (const permit of held) permit.release();
      expect(pool.getMetrics()).toMatchObject({ running: 3, queued: 0 });
      await Promise.all(stay);
      for (const permit of started) permit.release();
      expect(pool.running).toBe(0);
      expect(room(pool, 5)).toBe(3);
    },
  );

  // POOL-02, of the same family: the grant and the abort in one turn, in both orders.
  test.each(['abort first', 'release first'])(
    'a waiter that is granted its slot and aborted in one turn: %s',
    async (order) => {
      const pool = new PromisePool({ concurrency: 1 });
      const held = await pool.acquire();
      const control = new AbortController();
      const waiting = pool.acquire({ signal: control.signal });
      const steps = [() => control.abort('late'), () => held.release()];
      for (const step of order === 'abort first' ? steps : steps.reverse()) step();
      const outcome = await waiting.then(
        (permit) => permit.release() ?? 'granted',
        (reason) => reason,
      );
      expect(outcome).toBe(order === 'abort first' ? 'late' : 'granted');
      expect(room(pool, 2)).toBe(1);
    },
  );

  // POOL-07 hono#5413: a rejection skipped the release, and the queued caller hung or saw an error of another.
  test('as many tasks as there are slots fail, and every caller sees its own outcome', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const all = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) =>
        pool.execute(async () => {
          await turns(i % 3);
          if (i % 4 < 2) throw i;
          return i;
        }),
      ),
    );
    expect(all.map((each) => (each.status === 'fulfilled' ? each.value : -each.reason))).toEqual(
      Array.from({ length: 12 }, (_, i) => (i % 4 < 2 ? -i : i)),
    );
    expect(room(pool, 4)).toBe(2);
  });

  // POOL-16 mcollina/fastq#107: what left the queue was taken off the count of what runs.
  test('running stays what it is while queued tasks are aborted, time out or are cleared', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    for (let i = 0; i < 3; i++) void pool.execute(hang);
    const control = new AbortController();
    const left = [
      rejection(pool.execute(hang, { signal: control.signal })),
      rejection(pool.execute(hang, { signal: control.signal, group: 'g', priority: 'high' })),
      rejection(pool.execute(hang, { queueTimeout: 5 })),
      rejection(pool.acquire()),
    ];
    const running: number[] = [];
    control.abort();
    running.push(pool.running);
    await vi.advanceTimersByTimeAsync(5);
    running.push(pool.running);
    pool.clear();
    running.push(pool.running, pool.clear(), pool.running);
    await Promise.all(left);
    expect(running).toEqual([3, 3, 3, 0, 3]);
    expect(room(pool, 2)).toBe(0);
  });

  // POOL-34 p-queue#168: a running and a waiting task aborted together wedged the queue.
  test.each(['the running one first', 'the waiting one first'])(
    'a running and a waiting task are aborted in one tick, %s, and the third runs',
    async (order) => {
      const pool = new PromisePool({ concurrency: 1 });
      const controls = [new AbortController(), new AbortController()];
      const all = controls.map(({ signal }) =>
        rejection(
          pool.execute(
            ({ signal: own }) =>
              new Promise((_, reject) => own.addEventListener('abort', () => reject(own.reason), { once: true })),
            { signal },
          ),
        ),
      );
      const third = pool.execute(() => 'third');
      if (order === 'the waiting one first') controls.reverse();
      for (const [i, control] of controls.entries()) control.abort(i);
      expect(new Set(await Promise.all(all))).toEqual(new Set([0, 1]));
      expect(await third).toBe('third');
      expect(pool.getMetrics()).toMatchObject({ running: 0, overdue: 0, aborted: 2 });
    },
  );

  // POOL-17 bottleneck#189: the head was dropped while its admission was under way. Here: an item whose next() is pending.
  test.each(['abort', 'close', 'clear'])(
    '%s while a source makes us wait: what arrives late is not started',
    async (how) => {
      const pool = new PromisePool({ concurrency: 1 });
      const control = new AbortController();
      const arrival = deferred<IteratorResult<number>>();
      let pulls = 0;
      const source = {
        [Symbol.asyncIterator]: () => ({
          next: () => (pulls++ === 0 ? arrival.promise : Promise.resolve({ done: true, value: undefined } as const)),
        }),
      };
      const started = vi.fn();
      const mapped = pool.map(source, started, { signal: control.signal });
      const settled = mapped.then(
        () => 'done',
        (error) => error,
      );
      await turns();
      if (how === 'abort') control.abort('gone');
      else if (how === 'close') void pool.close({ grace: 0 });
      else pool.clear();
      arrival.resolve({ done: false, value: 1 });
      const outcome = await settled;
      // Clear takes tasks out of the queue; calls of map go on.
      if (how === 'clear') expect(outcome).toBe('done');
      else expect(outcome).toSatisfy((e) => e === 'gone' || e.code === 'CLOSED');
      expect(started).toHaveBeenCalledTimes(how === 'clear' ? 1 : 0);
      expect(pool.running).toBe(0);
      expectIdentity(pool);
    },
  );

  // POOL-35 p-queue#219: those who had left still consumed what they had waited for. Here: places in the queue, and turns.
  test('whoever left has no place in the queue and no turn', async () => {
    const pool = new PromisePool({ concurrency: 1, maxQueue: 10, perGroup: { concurrency: 1 } });
    const first = deferred();
    void pool.execute(() => first.promise);
    const controls = Array.from({ length: 10 }, () => new AbortController());
    const left = controls.map(({ signal }, i) => rejection(pool.execute(hang, { signal, group: `g${i % 3}` })));
    expect(await rejection(pool.execute(hang))).toMatchObject({ code: 'QUEUE_FULL' });
    for (const control of controls) control.abort();
    await Promise.all(left);
    const order: number[] = [];
    const all = Array.from({ length: 10 }, (_, i) => pool.execute(() => order.push(i), { group: `g${i % 3}` }));
    first.resolve();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  // POOL-31 p-limit: a task that awaits its own full pool. Here: a map in a task; it has no `queueTimeout`, but the signal ends it.
  test('a map inside a task of the same full pool ends with the signal of that task', async () => {
    const pool = new PromisePool({ concurrency: 1, timeout: 50 });
    const outer = rejection(pool.execute(({ signal }) => pool.map([1, 2], hang, { signal })));
    await vi.advanceTimersByTimeAsync(50);
    expect(await outer).toMatchObject({ code: 'TIMEOUT' });
    await pool.onIdle();
    expect(pool.getMetrics()).toMatchObject({ running: 0, timedOut: 1 });
    expect(room(pool, 2)).toBe(1);
  });
});

describe('no slot is given twice', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // POOL-20 anyio#1170, appstrate#430: release, then a submission in the same tick, stole the slot of the woken waiter.
  test('release and a submission in one tick: the one that waited starts, the newcomer waits', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const held = await pool.acquire();
    const order: string[] = [];
    const task = (name: string) => async () => {
      order.push(name);
      expect(pool.running).toBe(1);
      await turns();
    };
    const waited = pool.execute(task('waited'));
    held.release();
    const newcomer = pool.execute(task('newcomer'), { priority: 'high' });
    expect(order).toEqual(['waited']);
    expect(pool.getMetrics()).toMatchObject({ running: 1, queued: 1, peakRunning: 1 });
    await Promise.all([waited, newcomer]);
    expect(order).toEqual(['waited', 'newcomer']);
  });

  // POOL-20, of the same family: a submission in every place in which the user's code runs while a slot changes hands.
  test.each(['onSettle', 'onStart', 'onIdle', 'onRefuse', 'onOverdue', 'abort listener', 'thenable'])(
    'a submission from %s exceeds no limit and passes nobody by',
    async (place) => {
      const gauge = new Gauge();
      const submitted: number[] = [];
      const order: number[] = [];
      let extra = 5;
      let next = 100;
      const submit = (): void => {
        if (order.length > 1 && extra-- > 0) void run(next++).catch(() => {});
      };
      const hooks = place.startsWith('on') ? { [place]: submit } : {};
      const pool = new PromisePool({ concurrency: 2, maxQueue: 12, timeout: 20, hooks });
      const run = (i: number): Promise<unknown> => {
        submitted.push(i);
        const result = pool.execute(({ signal }) => {
          order.push(i);
          if (place === 'abort listener') signal.addEventListener('abort', submit);
          const work = gauge.around(after(i % 4 === 0 ? 30 : i % 7));
          if (place !== 'thenable') return work;
          return {
            // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
            then: (yes: (value: undefined) => void, no: (reason: unknown) => void) => {
              submit();
              return work.then(() => yes(undefined), no);
            },
          } as PromiseLike<void>;
        });
        result.catch(({ code }) => code === 'QUEUE_FULL' && submitted.splice(submitted.indexOf(i), 1));
        return result;
      };
      const all = Promise.allSettled(Array.from({ length: 20 }, (_, i) => run(i)));
      await vi.advanceTimersByTimeAsync(1_000);
      await all;
      expect(extra).toBeLessThan(5);
      expect(pool.running).toBe(0);
      expect(gauge.max).toBe(2);
      expect(order).toEqual(submitted);
      expectIdentity(pool);
    },
  );

  // POOL-10 effect `releaseAll`; POOL-19 p-queue and others. What was given up comes back later: it has no slot any more.
  test('the late end of abandoned work, good or bad, adds no capacity', async () => {
    const pool = new PromisePool({ concurrency: 2, timeout: 10, abortGrace: 10 });
    const work: Deferred<void>[] = Array.from({ length: 4 }, () => deferred());
    const answers = work.map(({ promise }) => rejection(pool.execute(() => promise)));
    await vi.advanceTimersByTimeAsync(40);
    expect(await Promise.all(answers)).toMatchObject(Array(4).fill({ code: 'TIMEOUT' }));
    expect(pool.getMetrics()).toMatchObject({ running: 0, abandoned: 4 });
    const started = vi.fn(hang);
    for (let i = 0; i < 4; i++) void pool.execute(started, { timeout: 1_000 }).catch(() => {});
    for (const [i, { resolve, reject }] of work.entries()) i % 2 === 0 ? resolve() : reject(new Error('late'));
    await turns();
    expect(started).toHaveBeenCalledTimes(2);
    expect(pool.getMetrics()).toMatchObject({ running: 2, queued: 2, fulfilled: 0, failed: 0 });
    expectIdentity(pool);
  });

  // POOL-19: the same for the caller's abort, and for a group's share.
  test('an aborted task keeps its slot and its share of the group until it has really ended', async () => {
    const pool = new PromisePool({ concurrency: 5, perGroup: { concurrency: 1 } });
    const gauge = new Gauge();
    const work = deferred();
    const control = new AbortController();
    const left = rejection(
      pool.execute(() => gauge.around(work.promise), { group: 'g', signal: control.signal, timeout: 5 }),
    );
    control.abort('left');
    expect(await left).toBe('left');
    const next = pool.execute(() => gauge.around(turns()), { group: 'g' });
    await vi.advanceTimersByTimeAsync(100);
    expect([gauge.entered, pool.running, pool.queued]).toEqual([1, 1, 1]);
    work.resolve();
    await next;
    expect(gauge.max).toBe(1);
  });

  // POOL-23 fastq#80: `running === limit` after a shrink let everything in. The shrink comes from inside, everywhere.
  test.each(['task', 'onStart', 'onSettle', 'item', 'source'])(
    'a limit that shrinks in %s holds at once',
    async (place) => {
      const options: PromisePoolOptions = {
        concurrency: 4,
        hooks: place.startsWith('on') ? { [place]: () => shrink() } : {},
      };
      const pool = new PromisePool(options);
      let running = 0;
      let isShrunk = false;
      const shrink = (): void => {
        pool.concurrency = 1;
        isShrunk = true;
      };
      const enter = async (i: number): Promise<void> => {
        if (isShrunk) expect(running).toBe(0);
        running++;
        if (place === 'task' || place === 'item') if (i === 5) shrink();
        await turns(i % 5);
        running--;
      };
      function* source() {
        for (let i = 0; i < 20; i++) {
          if (i === 5 && place === 'source') shrink();
          yield i;
        }
      }
      if (place === 'item' || place === 'source') await pool.map(source(), enter);
      else await Promise.all(Array.from({ length: 20 }, (_, i) => pool.execute(() => enter(i))));
      expect(isShrunk).toBe(true);
      expect(pool.running).toBe(0);
    },
  );

  // POOL-11 go#80183, POOL-28: a bad limit, set later.
  test.each([Number.NaN, 0, -1, 1.5, '5', undefined, null, -Infinity])(
    'the limit cannot be set to %s, and stays what it was',
    async (bad) => {
      const pool = new PromisePool({ concurrency: 2 });
      expect(() => {
        pool.concurrency = bad as number;
      }).toThrow(/Expected `concurrency` to be an integer >= 1 or Infinity/);
      expect(pool.concurrency).toBe(2);
      if (bad !== undefined) {
        expect(await rejection(pool.map([1], () => 1, { concurrency: bad as number }))).toBeInstanceOf(Error);
      }
      expect(room(pool, 4)).toBe(2);
    },
  );

  // POOL-89 tower-resilience#365: it over-admitted, and never released, when the limit changed while leases were held and dropped.
  property([
    fc.integer({ min: 1, max: 4 }),
    fc.array(
      fc.oneof(
        fc.record({ do: fc.constantFrom('acquire' as const, 'execute' as const) }),
        fc.record({ do: fc.constantFrom('release' as const, 'abort' as const), which: fc.nat() }),
        fc.record({ do: fc.constant('resize' as const), to: fc.integer({ min: 1, max: 5 }) }),
      ),
      { maxLength: 60 },
    ),
  ])('holds that are taken, aborted and released while the limit changes', async (limit, steps) => {
    const pool = new PromisePool({ concurrency: limit });
    const controls: AbortController[] = [];
    const permits: Permit[] = [];
    const ends: Deferred<void>[] = [];
    let most = limit;
    for (const step of steps) {
      if (step.do === 'acquire' || step.do === 'execute') {
        const control = new AbortController();
        controls.push(control);
        const end = deferred();
        if (step.do === 'acquire') {
          pool.acquire({ signal: control.signal }).then(
            (permit) => permits.push(permit),
            () => {},
          );
        } else {
          const task = () => {
            ends.push(end);
            return end.promise;
          };
          pool.execute(task, { signal: control.signal }).catch(() => {});
        }
      } else if (step.do === 'release') {
        const [permit] = permits.splice(step.which % Math.max(1, permits.length), 1);
        permit?.release();
        permit?.release();
        ends.splice(step.which % Math.max(1, ends.length), 1)[0]?.resolve();
      } else if (step.do === 'abort') {
        controls[step.which % Math.max(1, controls.length)]?.abort('gone');
      } else if (step.do === 'resize') {
        pool.concurrency = step.to;
      }
      most = Math.max(pool.concurrency, Math.min(most, pool.running));
      await turns();
      expect(permits.length + ends.length).toBe(pool.running);
      expect(pool.running).toBeLessThanOrEqual(most);
      expect(pool.running >= pool.concurrency || pool.queued === 0).toBe(true);
      expectIdentity(pool);
    }
    pool.clear();
    for (const permit of permits) permit.release();
    for (const { resolve } of ends) resolve();
    await pool.onIdle();
    expect(room(pool, 6)).toBe(pool.concurrency);
  });

  // POOL-29 p-queue, p-throttle: 2^31 ms and more fired after 1 ms. All durations there are, and Infinity.
  test.each([2 ** 31, 2 ** 40, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
    'no duration of %d ms fires early',
    async (ms) => {
      const pool = new PromisePool({ concurrency: 1, abortGrace: ms });
      const told = vi.fn();
      void pool.execute(hang, { timeout: ms, queueTimeout: ms }).then(told, told);
      void pool.execute(hang, { queueTimeout: ms }).then(told, told);
      void pool.acquire({ queueTimeout: ms }).then(told, told);
      await vi.advanceTimersByTimeAsync(100_000);
      void pool.close({ grace: ms, abortGrace: ms }).then(told, told);
      await vi.advanceTimersByTimeAsync(100_000);
      expect(told).not.toHaveBeenCalled();
      expect(pool.getMetrics()).toMatchObject({ running: 1, queued: 2, overdue: 0 });

      const overdue = new PromisePool({ concurrency: 1, abortGrace: ms });
      const cut = rejection(overdue.execute(hang, { timeout: 1 }));
      await vi.advanceTimersByTimeAsync(100_000);
      expect(await cut).toMatchObject({ code: 'TIMEOUT' });
      expect(overdue.getMetrics()).toMatchObject({ running: 1, overdue: 1, abandoned: 0 });
    },
  );

  // POOL-79 p-queue: steps of the wall clock stalled the limiter. POOL-26 p-throttle#49. All times are on the monotonic clock.
  test.each([-3_600_000, 3_600_000])('a wall clock that jumps by %d ms ends no wait early or late', async (jump) => {
    const pool = new PromisePool({ concurrency: 1 });
    const told: string[] = [];
    void rejection(pool.execute(hang, { timeout: 1_000 })).then(() => told.push('timeout'));
    void rejection(pool.execute(hang, { queueTimeout: 500 })).then(() => told.push('queueTimeout'));
    vi.setSystemTime(Date.now() + jump);
    await vi.advanceTimersByTimeAsync(499);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(['queueTimeout']);
    vi.setSystemTime(Date.now() - jump);
    await vi.advanceTimersByTimeAsync(499);
    expect(told).toEqual(['queueTimeout']);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(['queueTimeout', 'timeout']);
    expect(pool.getMetrics().waitMs.max).toBeLessThan(2_000);
  });
});
