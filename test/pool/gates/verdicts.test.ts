import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Settled, Verdict } from '../../../src/core/types.js';
import { RateLimiter } from '../../../src/limits/rate-limiter.js';
import { PromisePool, type PromisePoolOptions } from '../../../src/pool/index.js';
import { hang, later, logged, Room } from '../gates-support.js';
import { deferred, rejection, turns } from '../support.js';

/** A pool over a gate of this process and one beyond it, that write down what their permits are told. */
function told(options: Partial<PromisePoolOptions> = {}) {
  const near: string[] = [];
  const far: string[] = [];
  const room = new Room(9);
  room.override = () => logged(near);
  const pool = new PromisePool({ concurrency: 3, gates: [room, { acquire: async () => logged(far) }], ...options });
  return { pool, near, far };
}

const httpError = (status: number, headers: Record<string, string> = {}) =>
  Object.assign(new Error('http'), { status, headers });

describe('what permits are told', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('started follows the entry of the function, also of one that throws', async () => {
    const { pool, near, far } = told();
    await pool.execute(() => expect([...near, ...far]).toEqual([]));
    expect(near).toEqual(['started', 'report success', 'release ignore']);
    expect(far).toEqual(near);
    near.length = 0;
    await rejection(
      pool.execute(() => {
        near.push('entered');
        throw httpError(500);
      }),
    );
    expect(near).toEqual(['entered', 'started', 'report failure', 'release ignore']);
  });

  test.each<readonly [string, () => unknown, string]>([
    ['a value', () => 1, 'success'],
    ['a Response 404', () => new Response(null, { status: 404 }), 'success'],
    ['a Response 429', () => new Response(null, { status: 429 }), 'overload'],
    [
      'a Response 503 with Retry-After',
      () => new Response(null, { status: 503, headers: { 'retry-after': '2' } }),
      'overload 2000',
    ],
    ['a Response 500', () => new Response(null, { status: 500 }), 'failure'],
    ['an error', () => Promise.reject(new Error('x')), 'failure'],
    ['undefined as an error', () => Promise.reject(undefined), 'failure'],
    ['an error 429', () => Promise.reject(httpError(429, { 'retry-after': '3' })), 'overload 3000'],
    ['an error 404', () => Promise.reject(httpError(404)), 'success'],
  ])('%s is read by classifyResult', async (_, task, verdict) => {
    const { pool, near, far } = told();
    await pool.execute(task).catch(() => {});
    await turns();
    expect(near).toEqual(['started', `report ${verdict}`, 'release ignore']);
    expect(far).toEqual(near);
  });

  test('classify is asked once for each result, with the very result', async () => {
    const results: Settled<unknown>[] = [];
    const verdicts: Verdict[] = ['failure', 'overload', 'ignore', 'success'];
    const { pool, near } = told({
      classify: (result) => {
        results.push(result);
        return verdicts[results.length - 1] as Verdict;
      },
    });
    const error = new Error('x');
    for (const task of [() => 1, () => Promise.reject(error), () => 3, () => 4])
      await pool.execute(task).catch(() => {});
    await turns();
    expect(results).toEqual([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: error },
      { status: 'fulfilled', value: 3 },
      { status: 'fulfilled', value: 4 },
    ]);
    expect(near.filter((each) => each.startsWith('report'))).toEqual(verdicts.map((each) => `report ${each}`));
  });

  test.each<readonly [string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('classify');
      },
    ],
    ['answers nonsense', () => 'great'],
    ['answers nothing', () => undefined],
    ['answers a promise', async () => 'failure'],
  ])('a classify that %s counts as the default', async (_, classify) => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const { pool, near } = told({ classify: classify as () => Verdict });
    expect(await pool.execute(() => 1)).toBe(1);
    await rejection(pool.execute(() => Promise.reject(httpError(503))));
    await turns();
    expect(near.filter((each) => each.startsWith('report'))).toEqual(['report success', 'report overload']);
  });

  test('a timeout reports overload while the slot is still held; the release follows the real end', async () => {
    const { pool, near, far } = told();
    const work = deferred();
    const late = rejection(pool.execute(() => work.promise, { timeout: 50 }));
    await vi.advanceTimersByTimeAsync(50);
    await late;
    expect(pool.running).toBe(1);
    expect(near).toEqual(['started', 'report overload']);
    await vi.advanceTimersByTimeAsync(1_000);
    work.reject(httpError(500));
    await turns();
    expect(near).toEqual(['started', 'report overload', 'release ignore']);
    expect(far).toEqual(near);
    expect(pool.running).toBe(0);
  });

  test("the caller's abort and close report ignore", async () => {
    const { pool, near } = told();
    const control = new AbortController();
    const work = deferred();
    const left = rejection(pool.execute(() => work.promise, { signal: control.signal }));
    const cut = rejection(pool.execute(() => work.promise));
    await turns();
    control.abort('left');
    expect(near).toEqual(['started', 'started', 'report ignore']);
    void pool.close({ grace: 0 });
    expect(near).toEqual(['started', 'started', 'report ignore', 'report ignore']);
    work.resolve();
    await Promise.all([left, cut]);
    expect(near.slice(4)).toEqual(['release ignore', 'release ignore']);
  });

  test('an abandoned task releases when it is given up, and its real end tells nothing', async () => {
    const { pool, near, far } = told({ abortGrace: 20 });
    const work = deferred();
    const late = rejection(pool.execute(() => work.promise, { timeout: 10 }));
    await vi.advanceTimersByTimeAsync(10);
    await late;
    await vi.advanceTimersByTimeAsync(20);
    expect(near).toEqual(['started', 'report overload', 'release ignore']);
    expect(pool.getMetrics()).toMatchObject({ abandoned: 1, running: 0 });
    work.resolve();
    await turns();
    expect(near.length).toBe(3);
    expect(far).toEqual(near);
  });

  test('items of maps report too, those that a failing sibling cuts as ignore', async () => {
    const { pool, near } = told();
    const work = (i: number) => (i === 0 ? later(5).then(() => Promise.reject(httpError(500))) : later(10));
    const failing = rejection(pool.map([0, 1], work));
    await vi.runAllTimersAsync();
    await failing;
    expect(near).toEqual(['started', 'started', 'report ignore', 'report failure', 'release ignore', 'release ignore']);
  });

  test.each([
    [
      'a report, then the release',
      (permit: { report(v: Verdict): void; release(v?: Verdict): void }) => {
        permit.report('failure');
        permit.release('success');
      },
      'failure',
    ],
    ['the release alone', (permit: { release(v?: Verdict): void }) => permit.release('overload'), 'overload'],
    ['the release without a word', (permit: { release(v?: Verdict): void }) => permit.release(), 'success'],
    ['the end of a block', (permit: Disposable) => permit[Symbol.dispose](), 'ignore'],
  ])('the holder of a slot tells the gates: %s', async (_, act, verdict) => {
    const { pool, near, far } = told();
    const permit = await pool.acquire();
    act(permit);
    expect(near).toEqual(['started', `report ${verdict}`, 'release ignore']);
    expect(far).toEqual(near);
    expect(pool.running).toBe(0);
  });

  test.each([Number.NaN, -5, Number.POSITIVE_INFINITY])(
    'a holder that asks for a wait of %s loses no slot by it',
    async (wait) => {
      const pool = new PromisePool({
        concurrency: 1,
        rateLimit: { limit: 5, interval: 100 },
        maxPause: Number.POSITIVE_INFINITY,
      });
      const permit = await pool.acquire();
      permit.release('overload', wait);
      expect(pool.running).toBe(0);
      expect(await pool.execute(() => 'ran')).toBe('ran');
    },
  );
});

describe('learning from Retry-After', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const seconds = (n: number) => () => Promise.reject(httpError(429, { 'retry-after': `${n}` }));
  const response = (status: number, n: number) => () =>
    new Response(null, { status, headers: { 'retry-after': `${n}` } });

  /** How long a pool starts nothing after this task. */
  async function pauseAfter(task: () => unknown, options: Partial<PromisePoolOptions> = {}): Promise<number> {
    const limiter = new RateLimiter({ limit: 100, interval: 1 });
    const pool = new PromisePool({ concurrency: 5, rateLimit: limiter, ...options });
    await pool.execute(task).catch(() => {});
    await turns();
    const begin = performance.now();
    const { pausedMs } = limiter.getMetrics();
    const next = pool.execute(() => performance.now());
    await vi.runAllTimersAsync();
    const waited = (await next) - begin;
    expect(waited).toBe(pausedMs);
    return waited;
  }

  test.each<readonly [string, () => unknown, Partial<PromisePoolOptions>, number]>([
    ['an error', seconds(3), {}, 3_000],
    ['a Response 429', response(429, 2), {}, 2_000],
    ['a Response 503', response(503, 2), {}, 2_000],
    ['a Response 200', response(200, 2), {}, 0],
    ['an error without', () => Promise.reject(httpError(429)), {}, 0],
    ['more than maxPause', seconds(3), { maxPause: 500 }, 500],
    ['more than the default maxPause', seconds(3_600), {}, 60_000],
    ['maxPause: 0', seconds(3), { maxPause: 0 }, 0],
    ['no bound', seconds(3_600), { maxPause: Number.POSITIVE_INFINITY }, 3_600_000],
  ])('%s', async (_, task, options, expected) => {
    expect(await pauseAfter(task, options)).toBe(expected);
  });

  test('a shorter pause never shortens a longer one', async () => {
    const pool = new PromisePool({ concurrency: 5, rateLimit: { limit: 9, interval: 1 } });
    const all = [seconds(5), seconds(1), seconds(3)].map((task) => pool.execute(task).catch(() => {}));
    await Promise.all(all);
    await turns();
    const begin = performance.now();
    const next = pool.execute(() => performance.now() - begin);
    await vi.runAllTimersAsync();
    expect(await next).toBe(5_000);
  });

  test('a pause that comes while the head waits makes it wait longer', async () => {
    const pool = new PromisePool({ concurrency: 5, rateLimit: { limit: 2, interval: 100 } });
    const done = deferred();
    const failing = rejection(pool.execute(() => done.promise));
    await pool.execute(() => {});
    const begin = performance.now();
    const next = pool.execute(() => performance.now() - begin);
    done.reject(httpError(429, { 'retry-after': '1' }));
    await failing;
    await vi.runAllTimersAsync();
    expect(await next).toBe(1_000);
  });

  test('a pool without a rate limit does not learn, whatever its gates', async () => {
    for (const options of [
      {},
      { gates: [new Room(9)] },
      { gates: [new RateLimiter({ limit: 9, interval: 1 })] },
      { perGroup: { rateLimit: { limit: 9, interval: 1 } } },
    ]) {
      const pool = new PromisePool({ concurrency: 5, ...options });
      await rejection(pool.execute(seconds(5)));
      const task = vi.fn(hang);
      void pool.execute(task);
      expect(task).toHaveBeenCalledTimes(1);
    }
  });

  test('a timeout and an abort teach no pause', async () => {
    const limiter = new RateLimiter({ limit: 9, interval: 1 });
    const pool = new PromisePool({ concurrency: 5, rateLimit: limiter });
    const control = new AbortController();
    const all = [
      rejection(pool.execute(hang, { timeout: 5 })),
      rejection(pool.execute(hang, { signal: control.signal })),
    ];
    control.abort(httpError(429, { 'retry-after': '5' }));
    await vi.advanceTimersByTimeAsync(5);
    await Promise.all(all);
    expect(limiter.getMetrics().pausedMs).toBe(0);
  });
});
