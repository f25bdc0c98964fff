import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Permit } from '../../src/core/permit.js';
import { RateLimitedError, RateLimiter } from '../../src/limits/index.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** `count` calls that start as soon as they may; the times of their starts, ms from now, as they come. */
function run(limiter: RateLimiter, count: number, cost?: number, signal?: AbortSignal): number[] {
  const begin = performance.now();
  const starts: number[] = [];
  for (let i = 0; i < count; i++) {
    limiter.acquire({ cost, signal }).then(
      (permit) => {
        permit.started();
        starts.push(performance.now() - begin);
      },
      () => {},
    );
  }
  return starts;
}

const densest = (starts: readonly number[], interval: number): number =>
  Math.max(...starts.map((last) => starts.filter((at) => at <= last && at > last - interval).length));

describe('known bugs of the field', () => {
  // POOL-01, POOL-02: p-ratelimit PR#25, failsafe#393: each waiter that timed out eats a place for ever.
  test('as many as there are places time out while they wait, and all places are there', async () => {
    const limiter = new RateLimiter({ limit: 3, interval: 1_000, maxWait: 50 });
    const held = await Promise.all([1, 2, 3].map(() => limiter.acquire()));
    const waits = [1, 2, 3].map(() => limiter.acquire().catch((error: unknown) => error));
    await vi.advanceTimersByTimeAsync(50);
    expect(await Promise.all(waits)).toEqual([1, 2, 3].map(() => expect.any(RateLimitedError)));
    for (const permit of held) permit.release();
    for (let i = 0; i < 3; i++) expect(limiter.tryAcquire()).toBeTypeOf('object');
  });

  // POOL-20: anyio#1170: a place that is given back is stolen from the one that waits.
  test('a place that is given back goes to the one that waits, not to a newcomer in the same tick', async () => {
    const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
    const permit = await limiter.acquire();
    const order: string[] = [];
    void limiter.acquire().then(() => order.push('first'));
    permit.release();
    expect(limiter.tryAcquire()).toBe(Number.POSITIVE_INFINITY);
    void limiter.acquire().then(() => order.push('newcomer'));
    await vi.advanceTimersByTimeAsync(0);
    expect(order).toEqual(['first']);
  });

  // POOL-25: p-queue#126: more than the cap at high caps and short intervals.
  test.each([
    [1_000, 10],
    [50, 1],
    [3, 1],
  ])('no window of %d starts in %d ms has one more', async (limit, interval) => {
    const limiter = new RateLimiter({ limit, interval });
    const starts = run(limiter, limit * 5);
    await vi.advanceTimersByTimeAsync(interval * 5);
    expect([starts.length, densest(starts, interval)]).toEqual([limit * 5, limit]);
  });

  // POOL-26: p-throttle, limit 5 in 200 ms, 9 starts in 200 ms: fixed windows double at the edge.
  test('late calls of one window and early ones of the next are in one window', async () => {
    const limiter = new RateLimiter({ limit: 5, interval: 200 });
    const first = run(limiter, 1);
    await vi.advanceTimersByTimeAsync(190);
    const late = run(limiter, 4);
    await vi.advanceTimersByTimeAsync(20);
    const next = run(limiter, 5);
    await vi.advanceTimersByTimeAsync(600);
    expect([first, late, next]).toEqual([[0], [0, 0, 0, 0], [0, 180, 180, 180, 180]]);
  });

  // POOL-26, p-throttle#49: the clock and the timers drift apart.
  test('timers that are always late shift the windows, and never push two into one', async () => {
    const set = globalThis.setTimeout;
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((callback: () => void, delay: number) =>
      set(callback, delay + 37)) as never);
    const limiter = new RateLimiter({ limit: 5, interval: 200 });
    const starts = run(limiter, 20);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(densest(starts, 200)).toBe(5);
    expect([...new Set(starts)]).toEqual([0, 237, 474, 711]);
  });

  // POOL-29: p-queue 9, p-throttle: an interval of 2^31 ms fires after 1 ms.
  test.each([2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, 2 ** 40])('an interval of %d ms is waited for', async (interval) => {
    const limiter = new RateLimiter({ limit: 1, interval, maxWait: 2 ** 45 });
    const starts = run(limiter, 2);
    await vi.advanceTimersByTimeAsync(interval - 1);
    expect([starts.length, vi.getTimerCount()]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect([starts, vi.getTimerCount()]).toEqual([[0, interval], 0]);
  });

  // POOL-35: p-queue#219: aborted waiters still use up the rate.
  test('ten who leave use up nothing: the eleventh starts in the window they would have had', async () => {
    const limiter = new RateLimiter({ limit: 2, interval: 1_000 });
    const first = run(limiter, 2);
    await vi.advanceTimersByTimeAsync(0);
    const controller = new AbortController();
    run(limiter, 10, undefined, controller.signal);
    const eleventh = run(limiter, 1);
    await vi.advanceTimersByTimeAsync(500);
    controller.abort();
    await vi.advanceTimersByTimeAsync(500);
    expect([first, eleventh, limiter.getMetrics().admitted]).toEqual([[0, 0], [1_000], 3]);
  });

  // POOL-77: p-queue#251: the window of now begins where the last one ended, long ago.
  test('after any idle time a full window starts at once', async () => {
    const limiter = new RateLimiter({ limit: 3, interval: 1_000 });
    run(limiter, 3);
    for (const idle of [1_000, 1_001, 1_999, 2_500, 3_600_000]) {
      await vi.advanceTimersByTimeAsync(idle);
      const starts = run(limiter, 3);
      await vi.advanceTimersByTimeAsync(0);
      expect(starts).toEqual([0, 0, 0]);
    }
  });

  // POOL-79: p-queue: `Date.now()` steps stall the limiter, or let twice as many pass.
  test.each([3_600_000, -3_600_000])('the wall clock jumps by %d ms and nothing changes', async (jump) => {
    const limiter = new RateLimiter({ limit: 2, interval: 1_000 });
    const starts = run(limiter, 4);
    await vi.advanceTimersByTimeAsync(400);
    vi.setSystemTime(Date.now() + jump);
    // Whatever happens now makes the limiter look at its clock.
    const controller = new AbortController();
    run(limiter, 1, undefined, controller.signal);
    controller.abort();
    expect(limiter.tryAcquire()).toBe(Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(599);
    expect(starts).toEqual([0, 0]);
    await vi.advanceTimersByTimeAsync(1);
    expect(starts).toEqual([0, 0, 1_000, 1_000]);
    expect(limiter.tryAcquire()).toBe(1_000);
  });

  // POOL-83: go#56910: a large one at the head blocks the small ones behind it; effect's overtaking lets it starve. Ours blocks.
  test('a large cost is never passed by small ones, so it does not starve', async () => {
    const limiter = new RateLimiter({ limit: 10, interval: 1_000, counts: 'cost' });
    run(limiter, 1, 5);
    await vi.advanceTimersByTimeAsync(100);
    run(limiter, 1, 1);
    const large = run(limiter, 1, 10);
    const small = run(limiter, 3, 1);
    for (let i = 0; i < 9; i++) {
      await vi.advanceTimersByTimeAsync(100);
      run(limiter, 1, 1);
    }
    expect([large, small]).toEqual([[], []]);
    await vi.advanceTimersByTimeAsync(100);
    expect([large, small]).toEqual([[1_000], []]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(small).toEqual([2_000, 2_000, 2_000]);
  });

  test('who waits behind a large cost moves up in the turn in which that leaves', async () => {
    const limiter = new RateLimiter({ limit: 10, interval: 1_000, counts: 'cost' });
    run(limiter, 1, 5);
    await vi.advanceTimersByTimeAsync(100);
    const controller = new AbortController();
    run(limiter, 1, 10, controller.signal);
    const small = run(limiter, 6, 1);
    await vi.advanceTimersByTimeAsync(100);
    controller.abort();
    await Promise.resolve();
    await Promise.resolve();
    expect(small).toEqual([100, 100, 100, 100, 100]);
  });

  // POOL-85: bottleneck: about 400 jobs a second at any limit.
  test('a hundred thousand acquire and start in far less than a second', async () => {
    vi.useRealTimers();
    const limiter = new RateLimiter({ limit: 1_000_000, interval: 60_000 });
    const begin = performance.now();
    for (let i = 0; i < 100_000; i++) {
      const permit = limiter.tryAcquire() as Permit;
      permit.started();
      permit.release();
    }
    // About 60 ms; the bound is for machines that are busy.
    expect(performance.now() - begin).toBeLessThan(1_500);
  });

  // COAL-46 and its like: records of what is long over.
  test('a window that is over is forgotten', async () => {
    const limiter = new RateLimiter({ limit: 1_000, interval: 1_000 });
    run(limiter, 5_000);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(limiter.isUnused).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect([limiter.isUnused, vi.getTimerCount()]).toEqual([true, 0]);
  });

  // RETRY-07: smithy-typescript#1887: the wait for a token cannot be aborted.
  test('a wait in the middle of the line ends in the turn of its abort', async () => {
    const limiter = new RateLimiter({ limit: 1, interval: 1_000 });
    run(limiter, 5);
    const controller = new AbortController();
    const wait = limiter.acquire({ signal: controller.signal }).catch((reason: unknown) => ({ reason }));
    run(limiter, 5);
    controller.abort('stop');
    expect(await wait).toEqual({ reason: 'stop' });
    expect(limiter.getMetrics().waiting).toBe(9);
  });
});
