import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Permit } from '../../src/core/permit.js';
import { RateLimitedError, RateLimiter, type RateLimiterOptions } from '../../src/limits/index.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const make = (options: Partial<RateLimiterOptions> = {}) => new RateLimiter({ limit: 1, interval: 1_000, ...options });
const start = async (limiter: RateLimiter, cost?: number) => (await limiter.acquire({ cost })).started();
const turn = () => vi.advanceTimersByTimeAsync(0);

/** What became of a promise, as far as it is known. */
function watch(promise: Promise<Permit>): { end?: Permit | { readonly reason: unknown } } {
  const seen: { end?: Permit | { readonly reason: unknown } } = {};
  promise.then(
    (permit) => {
      seen.end = permit;
    },
    (reason: unknown) => {
      seen.end = { reason };
    },
  );
  return seen;
}

describe('a permit', () => {
  test('counts from its start, however late that is', async () => {
    const limiter = make();
    const permit = await limiter.acquire();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(limiter.tryAcquire()).toBe(Number.POSITIVE_INFINITY);
    permit.started();
    expect(limiter.tryAcquire()).toBe(1_000);
    await vi.advanceTimersByTimeAsync(400);
    expect(limiter.tryAcquire()).toBe(600);
    permit.release();
    permit[Symbol.dispose]();
    expect(limiter.tryAcquire()).toBe(600);
    await vi.advanceTimersByTimeAsync(600);
    expect(limiter.tryAcquire()).toBeTypeOf('object');
  });

  test('released before its start gives its place to the next in that turn, once', async () => {
    const limiter = make();
    const permit = await limiter.acquire();
    const [second, third] = [watch(limiter.acquire()), watch(limiter.acquire())];
    permit[Symbol.dispose]();
    permit.started();
    permit.release();
    await Promise.resolve();
    expect([second.end, third.end]).toEqual([expect.objectContaining({ started: expect.any(Function) }), undefined]);
  });

  test('of a block with `using` counts if it was started in it, and else not', async () => {
    const limiter = make();
    const block = async (isStarted: boolean) => {
      const permit = await limiter.acquire();
      try {
        if (isStarted) permit.started();
      } finally {
        permit[Symbol.dispose]();
      }
    };
    await block(false);
    await block(false);
    await block(true);
    expect(limiter.tryAcquire()).toBe(1_000);
  });

  test('does not pause when an answer with Retry-After is reported', async () => {
    const limiter = make();
    const permit = await limiter.acquire();
    permit.report('overload', 60_000);
    permit.release('overload', 60_000);
    expect(limiter.getMetrics().pausedMs).toBe(0);
    expect(limiter.tryAcquire()).toBeTypeOf('object');
  });
});

describe('a wait', () => {
  test.each([null, 0, '', undefined, new Error('left')])(
    'ends in the turn of an abort with %o, by identity, and leaves nothing',
    async (reason) => {
      const limiter = make();
      await start(limiter);
      const controller = new AbortController();
      const seen = watch(limiter.acquire({ signal: controller.signal }));
      expect([getEventListeners(controller.signal, 'abort').length, vi.getTimerCount()]).toEqual([1, 1]);
      controller.abort(reason);
      await Promise.resolve();
      expect(seen.end).toEqual({ reason: controller.signal.reason });
      if (reason !== undefined) expect((seen.end as { reason: unknown }).reason).toBe(reason);
      expect([getEventListeners(controller.signal, 'abort').length, vi.getTimerCount()]).toEqual([0, 0]);
      expect(limiter.getMetrics()).toMatchObject({ waiting: 0, refused: 0, admitted: 1 });
    },
  );

  test('never begins with a signal that has aborted, though there is room', async () => {
    const limiter = make();
    await expect(limiter.acquire({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
    expect(limiter.isUnused).toBe(true);
  });

  test('is over for the signal once it is granted', async () => {
    const limiter = make();
    await start(limiter);
    const controller = new AbortController();
    const seen = watch(limiter.acquire({ signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    controller.abort();
    expect(seen.end).toHaveProperty('started');
  });

  test('of a caller who has just aborted is not granted: others move up', async () => {
    const limiter = make();
    const permit = await limiter.acquire();
    const controller = new AbortController();
    // This listener is told before the limiter's own.
    controller.signal.addEventListener('abort', () => permit.release());
    const first = watch(limiter.acquire({ signal: controller.signal }));
    const second = watch(limiter.acquire());
    controller.abort('gone');
    await Promise.resolve();
    expect(first.end).toEqual({ reason: 'gone' });
    expect(second.end).toHaveProperty('started');
    expect(limiter.getMetrics()).toMatchObject({ admitted: 2, waiting: 0 });
  });

  test('of a hundred thousand is over in linear time when one signal aborts, every second of them first', async () => {
    vi.useRealTimers();
    const limiter = make({ interval: 60_000 });
    await start(limiter);
    const controller = new AbortController();
    const others = new AbortController();
    const calls: Promise<unknown>[] = [];
    const before = performance.now();
    for (let i = 0; i < 100_000; i++) {
      const { signal } = i % 2 === 0 ? controller : others;
      calls.push(limiter.acquire({ signal }).catch((reason: unknown) => reason));
    }
    expect(limiter.getMetrics().waiting).toBe(100_000);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort('all');
    expect(limiter.getMetrics().waiting).toBe(50_000);
    others.abort('all');
    expect(await Promise.all(calls)).toEqual(Array(100_000).fill('all'));
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(limiter.getMetrics().waiting).toBe(0);
  });

  test('of a hundred thousand has one timer while they are served', async () => {
    const limiter = make({ limit: 1_000 });
    let served = 0;
    for (let i = 0; i < 100_000; i++) {
      void limiter.acquire().then((permit) => {
        permit.started();
        served++;
      });
    }
    for (let i = 1; i < 100; i++) {
      await turn();
      expect([served, vi.getTimerCount()]).toEqual([i * 1_000, 1]);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect([served, vi.getTimerCount()]).toEqual([100_000, 0]);
  });

  test('of those who left is forgotten while others still wait, and costs no new timer', async () => {
    const made = vi.spyOn(globalThis, 'setTimeout');
    const limiter = make();
    await start(limiter);
    const first = watch(limiter.acquire());
    const left: WeakRef<object>[] = [];
    for (let i = 0; i < 1_000; i++) {
      const controller = new AbortController();
      const wait = limiter.acquire({ signal: controller.signal });
      wait.catch(() => {});
      left.push(new WeakRef(wait));
      controller.abort();
    }
    expect(made).toHaveBeenCalledTimes(1);
    await turn();
    gc();
    expect(left.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(100);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(first.end).toHaveProperty('started');
  });

  test('keeps the process alive, and nothing else does', async () => {
    vi.useRealTimers();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const limiter = make({ interval: 2 ** 30 });
    await start(limiter);
    limiter.pauseFor(10);
    limiter.charge(1);
    limiter.tryAcquire();
    expect(timers).not.toHaveBeenCalled();
    const controller = new AbortController();
    const wait = limiter.acquire({ signal: controller.signal });
    expect(timers.mock.results.map(({ value }) => value.hasRef())).toEqual([true]);
    controller.abort();
    await expect(wait).rejects.toBe(controller.signal.reason);
    expect(timers.mock.results.map(({ value }) => value._destroyed)).toEqual([true]);
  });

  test('that began under other timers goes on by those of now', async () => {
    vi.useRealTimers();
    const limiter = make();
    await start(limiter);
    const first = watch(limiter.acquire());
    vi.useFakeTimers();
    const second = watch(limiter.acquire());
    // The fake clock began anew. The one that waits is looked at when something happens.
    const spare = new AbortController();
    limiter.acquire({ signal: spare.signal }).catch(() => {});
    spare.abort();
    await vi.advanceTimersByTimeAsync(1_000);
    (first.end as Permit).started();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(second.end).toHaveProperty('started');
  });

  test('goes by its timer where the clock stands still or is not faked', async () => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(performance, 'now').mockReturnValue(7);
    const limiter = make();
    let served = 0;
    for (let i = 0; i < 5; i++) void start(limiter).then(() => served++);
    for (let i = 1; i <= 5; i++) {
      await turn();
      expect(served).toBe(i);
      await vi.advanceTimersByTimeAsync(999);
      expect(served).toBe(i);
      await vi.advanceTimersByTimeAsync(1);
    }
  });
});

describe('maxWait', () => {
  test('refuses at once what is sure to wait longer, and says when to come again', async () => {
    const limiter = make({ limit: 2, maxWait: 1_500, name: 'rpm' });
    await start(limiter);
    await vi.advanceTimersByTimeAsync(300);
    await start(limiter);
    const waits = [watch(limiter.acquire()), watch(limiter.acquire())];
    // They have to wait 700 and 1_000 ms from now, the next 1_700.
    const error = await limiter.acquire().catch((reason: unknown) => reason);
    expect(waits).toEqual([{}, {}]);
    expect(error).toBeInstanceOf(RateLimitedError);
    expect(error).toMatchObject({
      name: 'RateLimitedError',
      code: 'RATE_LIMITED',
      source: 'rpm',
      retryAfter: 1_700,
      message: '`rpm` has no turn within its `maxWait`; try again in 1700 ms',
    });
    expect(limiter.tryAcquire()).toBeInstanceOf(RateLimitedError);
    expect(limiter.getMetrics()).toMatchObject({ refused: 2, waiting: 2 });
  });

  test('of exactly the wait is long enough', async () => {
    const limiter = make({ maxWait: 1_000 });
    await start(limiter);
    const seen = watch(limiter.acquire());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.end).toHaveProperty('started');
  });

  test('is over at the latest when it has passed, if that was not sure before', async () => {
    const limiter = make({ limit: 2, maxWait: 400 });
    const held = [await limiter.acquire(), await limiter.acquire()];
    const [first, second, third] = [1, 2, 3].map(() => watch(limiter.acquire()));
    await vi.advanceTimersByTimeAsync(100);
    const late = watch(limiter.acquire());
    await turn();
    // The third of them needs an interval more than the first two.
    expect(third?.end).toEqual({ reason: expect.objectContaining({ retryAfter: 2_000 }) });
    expect(late.end).toEqual({ reason: expect.objectContaining({ retryAfter: 2_000 }) });
    held[0]?.release();
    await vi.advanceTimersByTimeAsync(299);
    expect([first?.end, second?.end]).toEqual([expect.objectContaining({ started: expect.any(Function) }), undefined]);
    await vi.advanceTimersByTimeAsync(1);
    expect(second?.end).toEqual({ reason: expect.any(RateLimitedError) });
    expect([vi.getTimerCount(), limiter.getMetrics().refused]).toEqual([0, 3]);
  });

  test('does not count those who left', async () => {
    const limiter = make({ maxWait: 1_000 });
    await start(limiter);
    const controllers = [1, 2].map(() => new AbortController());
    const early = limiter.acquire({ signal: controllers[0]?.signal });
    await expect(limiter.acquire()).rejects.toMatchObject({ retryAfter: 2_000 });
    const onWait = vi.fn();
    limiter.subscribe({ onWait });
    controllers[0]?.abort();
    await expect(early).rejects.toBeDefined();
    void limiter.acquire();
    expect(onWait.mock.lastCall).toEqual([{ name: 'rate-limiter', waitMs: 1_000 }]);

    const long = make();
    await start(long);
    void long.acquire();
    const middle = long.acquire({ signal: controllers[1]?.signal });
    controllers[1]?.abort();
    await expect(middle).rejects.toBeDefined();
    long.subscribe({ onWait });
    void long.acquire();
    expect(onWait.mock.lastCall).toEqual([{ name: 'rate-limiter', waitMs: 2_000 }]);
  });

  test('counts a pause, that of before and that of after', async () => {
    const limiter = make({ limit: 5, maxWait: 1_000 });
    limiter.pauseFor(500);
    const seen = watch(limiter.acquire());
    limiter.pauseFor(5_000);
    await expect(limiter.acquire()).rejects.toMatchObject({ retryAfter: 5_000 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.end).toEqual({ reason: expect.objectContaining({ retryAfter: 4_000 }) });
  });

  test('of 0 never waits, and names a finite moment even if that depends on others', async () => {
    const limiter = make({ maxWait: 0 });
    const permit = limiter.tryAcquire() as Permit;
    expect(limiter.tryAcquire()).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1_000 });
    await expect(limiter.acquire()).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1_000 });
    permit.started();
    await vi.advanceTimersByTimeAsync(250);
    await expect(limiter.acquire()).rejects.toMatchObject({ retryAfter: 750 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('never says that it is sure too soon', async () => {
    const limiter = make({ limit: 10, counts: 'cost', maxWait: 2_000 });
    await start(limiter, 4);
    await vi.advanceTimersByTimeAsync(500);
    await start(limiter, 6);
    // 4 are free after 500 ms, 10 after 1_000: the first at 1_000, the second at 1_000, the third at 2_000 exactly.
    const seen = [7, 3, 10].map((cost) => watch(limiter.acquire({ cost })));
    for (let i = 0; i < 4; i++) {
      await vi.advanceTimersByTimeAsync(500);
      for (const { end } of seen) (end as Permit | undefined)?.started();
    }
    expect(seen.map(({ end }) => typeof (end as Permit).started)).toEqual(['function', 'function', 'function']);
  });
});

describe('tryAcquire', () => {
  test('never passes by those who wait, and its caller is told when they are gone', async () => {
    const limiter = make();
    await start(limiter);
    const wake = vi.fn();
    limiter.onChange(wake);
    const controller = new AbortController();
    limiter.acquire({ signal: controller.signal }).catch(() => {});
    void start(limiter);
    expect(limiter.tryAcquire()).toBe(Number.POSITIVE_INFINITY);
    controller.abort();
    expect([limiter.tryAcquire(), wake.mock.calls.length]).toEqual([Number.POSITIVE_INFINITY, 0]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(wake).toHaveBeenCalledTimes(1);
    expect(limiter.tryAcquire()).toBe(1_000);
    const last = new AbortController();
    limiter.acquire({ signal: last.signal }).catch(() => {});
    last.abort();
    expect(wake).toHaveBeenCalledTimes(2);
  });

  test('leaves no timer and no place behind when it has none to give', async () => {
    const limiter = make();
    (limiter.tryAcquire() as Permit).started();
    for (let i = 0; i < 10; i++) expect(limiter.tryAcquire()).toBe(1_000);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(limiter.isUnused).toBe(true);
  });
});

describe('onChange', () => {
  test('tells that a place was given back, in that turn', async () => {
    const limiter = make();
    const wake = vi.fn(() => expect(limiter.tryAcquire()).toBeTypeOf('object'));
    limiter.onChange(wake);
    const permit = await limiter.acquire();
    permit.release();
    expect(wake).toHaveBeenCalledTimes(1);
    expect(wake.mock.results[0]?.type).toBe('return');
  });

  test('tells that the last who waited has got a turn, or was refused', async () => {
    const limiter = make({ limit: 10, counts: 'cost', maxWait: 1_000 });
    const wake = vi.fn();
    limiter.onChange(wake);
    await start(limiter, 9);
    const large = limiter.acquire({ cost: 8 });
    expect(limiter.tryAcquire({ cost: 1 })).toBe(Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(1_000);
    // It did not start, but there is room beside it.
    const held = await large;
    expect(wake).toHaveBeenCalledTimes(1);
    const late = limiter.acquire({ cost: 8 }).catch((error: unknown) => error);
    expect(limiter.tryAcquire({ cost: 1 })).toBe(Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([await late, wake.mock.calls.length]).toEqual([expect.any(RateLimitedError), 2]);
    expect(limiter.tryAcquire({ cost: 1 })).toBeTypeOf('object');
    held.release();
  });

  test('tells one who heard Infinity when that is known better', async () => {
    const limiter = make();
    const wake = vi.fn();
    limiter.onChange(wake);
    const permit = await limiter.acquire();
    limiter.tryAcquire();
    permit.started();
    expect([wake.mock.calls.length, limiter.tryAcquire()]).toEqual([1, 1_000]);
    await vi.advanceTimersByTimeAsync(1_000);
    (limiter.tryAcquire() as Permit).started();
    expect(wake).toHaveBeenCalledTimes(1);
  });

  test('does not wake one who gives back at once what it got, so nobody asks for ever', () => {
    const limiter = make({ limit: 2 });
    let asked = 0;
    const ask = () => {
      asked++;
      const permit = limiter.tryAcquire();
      if (typeof permit === 'object' && 'release' in permit) permit.release();
    };
    limiter.onChange(ask);
    ask();
    expect(asked).toBe(1);
    // But somebody who heard no because of that place is told.
    const held = [limiter.tryAcquire(), limiter.tryAcquire()] as Permit[];
    limiter.tryAcquire();
    for (const permit of held) permit.release();
    expect(asked).toBe(3);
  });

  test('ends each subscription by itself, also while it is told; what fails is contained', async () => {
    const log = vi.spyOn(console, 'error').mockReturnValue();
    const limiter = make();
    const told: string[] = [];
    const wake = () => told.push('twice');
    const ends = [wake, wake].map((each) => limiter.onChange(each));
    limiter.onChange(() => {
      told.push('ends');
      endOfLast();
      throw new Error('broken');
    });
    const endOfLast = limiter.onChange(() => told.push('last'));
    const giveBack = async () => (await limiter.acquire()).release();
    ends[0]?.();
    ends[0]?.();
    await giveBack();
    expect(told).toEqual(['twice', 'ends']);
    expect(log).toHaveBeenCalledTimes(1);
    ends[1]?.();
    await giveBack();
    expect(told).toEqual(['twice', 'ends', 'ends']);
    expect(() => limiter.onChange(7 as never)).toThrow(TypeError);
  });
});

describe('a pause', () => {
  test('starts nothing until it is over, then everything that may, and counts for nothing itself', async () => {
    const limiter = make({ limit: 3 });
    limiter.pauseFor(500);
    let started = 0;
    for (let i = 0; i < 3; i++) void start(limiter).then(() => started++);
    expect([limiter.tryAcquire(), limiter.getMetrics().pausedMs]).toEqual([Number.POSITIVE_INFINITY, 500]);
    await vi.advanceTimersByTimeAsync(499);
    expect([started, limiter.getMetrics().pausedMs]).toEqual([0, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect([started, limiter.getMetrics().pausedMs]).toEqual([3, 0]);
  });

  test('never shortens a longer one, and lets those start who have a permit', async () => {
    const onPause = vi.fn();
    const limiter = make({ limit: 2, hooks: { onPause } });
    const permit = await limiter.acquire();
    limiter.pauseFor(500);
    limiter.pauseFor(100);
    limiter.pauseFor(0);
    permit.started();
    expect(limiter.tryAcquire()).toBe(500);
    limiter.pauseFor(700);
    expect(limiter.tryAcquire()).toBe(700);
    expect(onPause.mock.calls).toEqual([500, 700].map((durationMs) => [{ name: 'rate-limiter', durationMs }]));
  });

  test('of months is kept, by one timer', async () => {
    const limiter = make();
    const seen = watch(limiter.acquire({}));
    await turn();
    (seen.end as Permit).release();
    limiter.pauseFor(2 ** 33);
    const late = watch(limiter.acquire());
    await vi.advanceTimersByTimeAsync(2 ** 33 - 1);
    expect([late.end, vi.getTimerCount()]).toEqual([undefined, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(late.end).toHaveProperty('started');
  });
});

describe('cost', () => {
  test('is what counts where it is asked for, fractions and 0 too, and is ignored elsewhere', async () => {
    const limiter = make({ limit: 10, counts: 'cost' });
    await start(limiter, 7.5);
    await start(limiter, 0);
    await start(limiter, 2.5);
    await start(limiter, 0);
    expect([0.1, 2.5, 10].map((cost) => limiter.tryAcquire({ cost }))).toEqual([1_000, 1_000, 1_000]);
    const calls = make({ limit: 2 });
    await start(calls, 100);
    await start(calls, Number.NaN);
    expect(calls.tryAcquire()).toBe(1_000);
  });

  test.each([
    [undefined, TypeError, 'undefined'],
    [null, TypeError, 'null'],
    ['5', TypeError, "'5'"],
    [Number.NaN, RangeError, 'NaN'],
    [-1, RangeError, '-1'],
    [10.5, RangeError, '10.5'],
    [Number.POSITIVE_INFINITY, RangeError, 'Infinity'],
  ])('of %o is refused before anything else', async (cost, type, got) => {
    const limiter = make({ limit: 10, counts: 'cost' });
    const request = { cost: cost as never };
    const message = `Expected \`cost\` to be a number from 0 to 10, got \`${got}\``;
    const error = await limiter.acquire(request).catch((reason: unknown) => reason);
    expect([error, (error as Error).message]).toEqual([expect.any(type), message]);
    expect(() => limiter.tryAcquire(request)).toThrow(message);
    expect(() => limiter.checkCost(request)).toThrow(message);
    expect(limiter.isUnused).toBe(true);
  });

  test('can be checked without asking for a place', () => {
    expect(make({ limit: 10, counts: 'cost' }).checkCost({ cost: 3 })).toBe(3);
    expect(make().checkCost()).toBe(1);
    expect(make().checkCost({ cost: 3 })).toBe(1);
  });

  test('can be charged beyond the limit, and keeps all waiting until there is room', async () => {
    const limiter = make({ limit: 10, counts: 'cost' });
    await start(limiter, 5);
    const seen = watch(limiter.acquire({ cost: 6 }));
    await vi.advanceTimersByTimeAsync(600);
    limiter.charge(1_000);
    limiter.charge(-3);
    await vi.advanceTimersByTimeAsync(999);
    expect(seen.end).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.end).toHaveProperty('started');
  });

  test.each([
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    ['1', TypeError],
    [undefined, TypeError],
  ])('of %o cannot be charged', (cost, type) => {
    const limiter = make();
    expect(() => limiter.charge(cost as never)).toThrow(type);
    expect(limiter.isUnused).toBe(true);
  });
});

describe('arguments', () => {
  test.each([
    [{ limit: 0 }, RangeError, 'Expected `limit` to be an integer >= 1, got `0`'],
    [{ limit: 1.5 }, RangeError, 'Expected `limit` to be an integer >= 1, got `1.5`'],
    [{ limit: Number.NaN }, RangeError, 'Expected `limit` to be an integer >= 1, got `NaN`'],
    [{ limit: Number.POSITIVE_INFINITY }, RangeError, 'Expected `limit` to be an integer >= 1, got `Infinity`'],
    [{ limit: '3' }, TypeError, "Expected `limit` to be an integer >= 1, got `'3'`"],
    [{ limit: undefined }, TypeError, 'Expected `limit` to be an integer >= 1, got `undefined`'],
    [{ interval: 0 }, RangeError, 'Expected `interval` to be a number > 0, got `0`'],
    [{ interval: -1 }, RangeError, 'Expected `interval` to be a number > 0, got `-1`'],
    [{ interval: Number.NaN }, RangeError, 'Expected `interval` to be a number > 0, got `NaN`'],
    [{ interval: Number.POSITIVE_INFINITY }, RangeError, 'Expected `interval` to be a number > 0, got `Infinity`'],
    [{ interval: undefined }, TypeError, 'Expected `interval` to be a number > 0, got `undefined`'],
    [{ counts: 'tokens' }, RangeError, "Expected `counts` to be one of 'calls', 'cost', got `'tokens'`"],
    [{ name: 7 }, TypeError, 'Expected `name` to be a string, got `7`'],
    [{ maxWait: -1 }, RangeError, 'Expected `maxWait` to be a number >= 0 or Infinity, got `-1`'],
    [{ maxWait: Number.NaN }, RangeError, 'Expected `maxWait` to be a number >= 0 or Infinity, got `NaN`'],
    [{ hooks: { onWait: 7 } }, TypeError, 'Expected `hooks.onWait` to be a function, got `7`'],
  ])('%o throw at once', (options, type, message) => {
    const construct = () => make(options as never);
    expect(construct).toThrow(type);
    expect(construct).toThrow(message);
  });

  test.each([undefined, null, 3])('%o for options throws', (options) => {
    expect(() => new RateLimiter(options as never)).toThrow(TypeError);
  });

  test('that are wrong make `acquire` reject, never throw', async () => {
    const limiter = make();
    await expect(limiter.acquire(null as never)).rejects.toBeInstanceOf(TypeError);
    await expect(limiter.acquire({ signal: {} as never })).rejects.toBeInstanceOf(TypeError);
    expect(limiter.isUnused).toBe(true);
  });

  test.each([
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    [-1, RangeError],
    ['1', TypeError],
    [undefined, TypeError],
  ])('pauseFor(%o) throws and pauses nothing', (duration, type) => {
    const limiter = make();
    expect(() => limiter.pauseFor(duration as never)).toThrow(type);
    expect(limiter.getMetrics().pausedMs).toBe(0);
  });
});

describe('metrics and hooks', () => {
  test('count who was admitted, who waits and who was refused, and are safe for JSON', async () => {
    const limiter = make({ limit: 2, maxWait: 1_000, name: 'rpm' });
    expect(limiter.getMetrics()).toEqual({
      kind: 'rate-limiter',
      name: 'rpm',
      limit: 2,
      intervalMs: 1_000,
      admitted: 0,
      waiting: 0,
      refused: 0,
      pausedMs: 0,
      waitMs: { samples: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 },
    });
    (limiter.tryAcquire() as Permit).release();
    (limiter.tryAcquire() as Permit).started();
    await start(limiter);
    const rest = [1, 2, 3].map(() => limiter.acquire().catch(() => {}));
    const metrics = limiter.getMetrics();
    expect(metrics).toMatchObject({ admitted: 2, waiting: 2, refused: 1 });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(rest);
    expect(limiter.getMetrics()).toMatchObject({ admitted: 4, waiting: 0, waitMs: { samples: 3, max: 1_000 } });
  });

  test('tell how long somebody will wait', async () => {
    const events: unknown[] = [];
    const limiter = make({ limit: 2 });
    const end = limiter.subscribe({ onWait: (event) => events.push(event) });
    await start(limiter);
    await vi.advanceTimersByTimeAsync(400);
    // One place is given, as if it starts now; the next are free in 600, 1_000, 1_600 ms.
    await limiter.acquire();
    for (let i = 0; i < 3; i++) void limiter.acquire();
    end();
    void limiter.acquire();
    expect(events).toEqual([600, 1_000, 1_600].map((waitMs) => ({ name: 'rate-limiter', waitMs })));
  });

  test('that throw or come back in change nothing', async () => {
    vi.spyOn(console, 'error').mockReturnValue();
    const controller = new AbortController();
    const limiter = make({
      hooks: {
        onWait: () => {
          controller.abort('hook');
          throw new Error('hook');
        },
        onPause: () => {
          limiter.pauseFor(limiter.getMetrics().pausedMs);
          throw new Error('hook');
        },
      },
    });
    await start(limiter);
    await expect(limiter.acquire({ signal: controller.signal })).rejects.toBe('hook');
    limiter.pauseFor(5_000);
    const seen = watch(limiter.acquire());
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen.end).toHaveProperty('started');
    expect(vi.getTimerCount()).toBe(0);
  });
});
