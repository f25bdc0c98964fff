import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ConcurrencyLimit, LimitSample } from '../../../src/limits/concurrency-limit.js';
import { PromisePool } from '../../../src/pool/index.js';
import { property } from '../../support/runs.js';
import { hang, later, logged, Room } from '../gates-support.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from '../support.js';

class Scripted implements ConcurrencyLimit {
  readonly samples: LimitSample[] = [];
  readonly min = 1;
  readonly max = 100;

  constructor(
    readonly initial: number,
    readonly next: (sample: LimitSample, index: number) => number = () => initial,
  ) {}

  onSample(sample: LimitSample): number {
    this.samples.push(sample);
    return this.next(sample, this.samples.length - 1);
  }
}

const failure = (status: number) => Object.assign(new Error('http'), { status });

describe('an adaptive limit', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('gets what each task ran, without what it waited for a slot, its rate or a gate', async () => {
    const limit = new Scripted(2);
    const room = new Room(9);
    const pool = new PromisePool({
      concurrency: limit,
      rateLimit: { limit: 2, interval: 100 },
      gates: [room, { acquire: async () => later(40).then(() => logged([])) }],
    });
    expect(pool.concurrency).toBe(2);
    const begin = performance.now();
    const all = Array.from({ length: 6 }, (_, i) => pool.execute(() => later(10 + i)));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(limit.samples.map(({ runMs }) => runMs)).toEqual([10, 11, 12, 13, 14, 15]);
    expect(limit.samples.map(({ verdict }) => verdict)).toEqual(Array(6).fill('success'));
    for (const { atMs } of limit.samples) expect(atMs).toBeGreaterThan(begin);
    expect(limit.samples[0]?.atMs).toBe(begin + 50);
  });

  test('every task is timed and sampled, items and held slots too, however many there are', async () => {
    const limit = new Scripted(50);
    const pool = new PromisePool({ concurrency: limit });
    await Promise.all(Array.from({ length: 5_000 }, () => pool.execute(() => {})));
    await pool.map(Array(1_000).fill(0), () => {});
    (await pool.acquire()).release();
    expect(limit.samples.length).toBe(6_001);
    expect(limit.samples.every(({ runMs }) => runMs === 0)).toBe(true);
  });

  test('inFlight is how many ran when the task started, itself included', async () => {
    const limit = new Scripted(3);
    const pool = new PromisePool({ concurrency: limit });
    const all = Array.from({ length: 5 }, (_, i) => pool.execute(() => later(10 + 10 * i)));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(limit.samples.map(({ inFlight }) => inFlight)).toEqual([1, 2, 3, 3, 3]);
  });

  test('verdicts: never ignore; aborts give no sample, timeouts overload at the timeout', async () => {
    const limit = new Scripted(9);
    const pool = new PromisePool({ concurrency: limit });
    const control = new AbortController();
    const work = deferred();
    const all = [
      pool.execute(() => later(5).then(() => Promise.reject(failure(500)))),
      pool.execute(() => later(6).then(() => Promise.reject(failure(429)))),
      pool.execute(() => later(7).then(() => Promise.reject(new DOMException('own', 'AbortError')))),
      pool.execute(() => work.promise, { signal: control.signal }),
      pool.execute(() => work.promise, { timeout: 20 }),
    ].map((promise) => rejection(promise));
    await vi.advanceTimersByTimeAsync(8);
    control.abort();
    await vi.advanceTimersByTimeAsync(12);
    const expected = [
      { verdict: 'failure', runMs: 5 },
      { verdict: 'overload', runMs: 6 },
      { verdict: 'overload', runMs: 20 },
    ];
    expect(limit.samples).toMatchObject(expected);
    expect(pool.running).toBe(2);
    await Promise.all(all);
    await vi.advanceTimersByTimeAsync(100);
    work.resolve();
    await turns();
    expect(limit.samples.length).toBe(3);
  });

  test('what it returns is the limit in that turn', async () => {
    const limit = new Scripted(1, (_, i) => [4, 2][i] ?? 2);
    const onLimitChange = vi.fn();
    const pool = new PromisePool({ concurrency: limit, hooks: { onLimitChange } });
    const first = deferred();
    const task = vi.fn(() => later(10));
    const all = [pool.execute(() => first.promise), ...Array.from({ length: 6 }, () => pool.execute(task))];
    first.resolve();
    await all[0];
    expect([pool.concurrency, pool.running, task.mock.calls.length]).toEqual([4, 4, 4]);
    await vi.advanceTimersByTimeAsync(10);
    expect([pool.concurrency, pool.running]).toEqual([2, 2]);
    expect(pool.getMetrics().concurrency).toBe(2);
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(onLimitChange.mock.calls.map(([{ from, to }]) => [from, to])).toEqual([
      [1, 4],
      [4, 2],
    ]);
  });

  test.each<readonly [string, () => number]>([
    ['NaN', () => Number.NaN],
    ['0', () => 0],
    ['-1', () => -1],
    ['1.5', () => 1.5],
    ['Infinity', () => Number.POSITIVE_INFINITY],
    ['undefined', () => undefined as never],
    [
      'an error that is thrown',
      () => {
        throw new Error('algorithm');
      },
    ],
  ])('%s from onSample changes nothing', async (_, next) => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const limit = new Scripted(3, next);
    const pool = new PromisePool({ concurrency: limit });
    expect(await Promise.all([1, 2, 3, 4].map((i) => pool.execute(async () => i)))).toEqual([1, 2, 3, 4]);
    expect(limit.samples.length).toBe(4);
    expect(pool.concurrency).toBe(3);
    expectIdentity(pool);
  });

  test('a number replaces it, and so does another algorithm; what runs meanwhile goes on', async () => {
    const [one, two] = [new Scripted(2), new Scripted(5)];
    const pool = new PromisePool({ concurrency: one });
    const all = [pool.execute(() => later(10))];
    pool.concurrency = 3;
    expect(pool.concurrency).toBe(3);
    all.push(pool.execute(() => later(20)));
    await vi.advanceTimersByTimeAsync(10);
    expect(one.samples).toEqual([]);
    pool.concurrency = two;
    expect(pool.concurrency).toBe(5);
    all.push(pool.execute(() => later(30)));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(one.samples).toEqual([]);
    expect(two.samples.map(({ runMs }) => runMs)).toEqual([30]);
    expect(() => {
      pool.concurrency = new Scripted(Number.NaN);
    }).toThrow(RangeError);
    expect(() => {
      pool.concurrency = {} as never;
    }).toThrow(TypeError);
    expect(pool.concurrency).toBe(5);
  });

  test.each([{ initial: 0, onSample: () => 1 }, { initial: 1.5, onSample: () => 1 }, { initial: 1 }, null, []])(
    '%j is no limit',
    (concurrency) => {
      expect(() => new PromisePool({ concurrency: concurrency as never })).toThrow();
    },
  );

  test('an algorithm that comes back to the pool', async () => {
    const extra: Promise<unknown>[] = [];
    const pool: PromisePool = new PromisePool({
      concurrency: new Scripted(1, (_, i) => {
        if (i < 5) extra.push(pool.execute(() => later(1)));
        if (i === 2) pool.clear('cleared');
        return 1 + (i % 3);
      }),
    });
    const all = Promise.allSettled([1, 2, 3, 4].map(() => pool.execute(() => later(1))));
    await vi.runAllTimersAsync();
    await all;
    await Promise.allSettled(extra);
    expectIdentity(pool);
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
  });

  // POOL-89 tower-resilience#365: the limit over-admitted, and never released what was dropped.
  property([
    fc.scheduler(),
    fc.array(fc.record({ next: fc.integer({ min: 1, max: 6 }), aborts: fc.boolean(), fails: fc.boolean() }), {
      maxLength: 25,
    }),
  ])(
    'what starts never exceeds the limit of that moment, while tasks fail and are aborted, and no slot is lost',
    async (s, tasks) => {
      const pool = new PromisePool({ concurrency: new Scripted(2, (_, i) => tasks[i]?.next ?? 2) });
      const gauge = new Gauge();
      const all = tasks.map(({ aborts, fails }, i) => {
        const control = new AbortController();
        if (aborts) void s.schedule(Promise.resolve(), `abort ${i}`).then(() => control.abort());
        return pool.execute(
          () =>
            gauge.around(async () => {
              expect(gauge.now).toBeLessThanOrEqual(pool.concurrency);
              await s.schedule(Promise.resolve(), `work ${i}`);
              if (fails) throw failure(503);
            }),
          { signal: control.signal },
        );
      });
      const outcomes = await s.waitFor(Promise.allSettled(all));
      for (const each of outcomes)
        if (each.status === 'rejected') expect(each.reason).not.toHaveProperty('matcherResult');
      await s.waitFor(pool.onIdle());
      expectIdentity(pool);
      const limit = pool.concurrency;
      const refill = vi.fn(hang);
      for (let i = 0; i < limit + 3; i++) void pool.execute(refill);
      expect(refill).toHaveBeenCalledTimes(limit);
    },
  );
});
