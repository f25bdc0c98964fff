import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClosedError } from '../../src/core/errors.js';
import { ClearedError, PromisePool, QueueFullError, QueueTimeoutError } from '../../src/pool/index.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

describe('execute', () => {
  test('starts inside the call if a slot is free, and refuses what is not a function', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const started = vi.fn(() => 5);
    const result = pool.execute(started);
    expect(started).toHaveBeenCalledOnce();
    expect(await result).toBe(5);
    const error = await rejection(pool.execute(Promise.resolve(1) as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('has already started');
    expect(pool.getMetrics().calls).toBe(1);
  });

  // POOL-41 mcollina/fastq: rejecting `undefined` resolved. POOL-40 pacer#200: falsy items dropped.
  test.each([undefined, null, 0, '', false, Number.NaN])(
    'keeps the falsy %s apart as value and as reason',
    async (falsy) => {
      const pool = new PromisePool({ concurrency: 1 });
      const all = await Promise.allSettled([
        pool.execute(() => falsy),
        pool.execute(async () => falsy),
        pool.execute(() => Promise.reject(falsy)),
        pool.execute(() => {
          throw falsy;
        }),
      ]);
      expect(all).toEqual([
        { status: 'fulfilled', value: falsy },
        { status: 'fulfilled', value: falsy },
        { status: 'rejected', reason: falsy },
        { status: 'rejected', reason: falsy },
      ]);
    },
  );

  // POOL-05 caolan/async: a sync throw in the pump left it dead. POOL-07 hono#5413: a rejection skipped the release.
  test('goes on after sync throws and rejections in the pump', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const fail = () => {
      throw new Error('sync');
    };
    const all = await Promise.allSettled(
      [fail, fail, fail, async () => fail(), () => 'last'].map((task) => pool.execute(task)),
    );
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected', 'fulfilled']);
    expect(pool.running).toBe(0);
  });

  // COAL-23's family: odd thenables.
  test('settles with thenables whose `then` throws, answers twice, or is a throwing getter', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const odd = [
      {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        then() {
          throw new Error('then');
        },
      },
      {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        then(yes: (value: string) => void, no: (reason: unknown) => void) {
          yes('first');
          no('second');
        },
      },
      {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        get then(): never {
          throw new Error('getter');
        },
      },
      Object.assign(Promise.resolve('own'), {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        then() {
          throw new Error('own then');
        },
      }),
    ];
    const all = await Promise.allSettled(odd.map((each) => pool.execute(() => each as never)));
    expect(all.map((each) => (each.status === 'fulfilled' ? each.value : String(each.reason)))).toEqual([
      'Error: then',
      'first',
      'Error: getter',
      'own',
    ]);
    expect(pool.getMetrics()).toMatchObject({ running: 0, fulfilled: 2, failed: 2 });
  });

  // POOL-20 anyio#1170: a release and a submission in one tick stole the slot of a woken waiter.
  test('nobody barges: a submission in the reaction that frees a slot queues behind those who wait', async () => {
    const order: string[] = [];
    const pool = new PromisePool({
      concurrency: 1,
      hooks: { onSettle: () => order.length < 3 && void pool.execute(() => void order.push('barger')) },
    });
    const first = pool.execute(() => void order.push('first'));
    const second = pool.execute(() => void order.push('second'));
    void first.then(() => pool.execute(() => void order.push('later')));
    await Promise.all([first, second]);
    await pool.onIdle();
    expect(order.slice(0, 2)).toEqual(['first', 'second']);
  });

  // POOL-73 p-queue, async#413: recursion with many synchronous tasks. POOL-71: splice for rising priorities.
  test('runs 100,000 synchronous tasks of three priorities without recursion', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    let done = 0;
    const all = Array.from({ length: 100_000 }, (_, i) =>
      pool.execute(() => done++, { priority: (['low', 'normal', 'high'] as const)[i % 3] }),
    );
    await Promise.all(all);
    expect(done).toBe(100_000);
  });

  // POOL-80 fastq, async, bottleneck and others: a queued task ran in the context of the one that freed its slot. BG-10.
  test('a queued task runs in the async context of its submitter, one submitted in none sees none', async () => {
    const store = new AsyncLocalStorage<number>();
    const pool = new PromisePool({ concurrency: 2 });
    const none = new PromisePool({ concurrency: 1 });
    const seen = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        store.run(i, () =>
          pool.execute(async () => {
            const atStart = store.getStore();
            await turns();
            return [atStart, store.getStore()];
          }),
        ),
      ),
    );
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => [i, i]));
    const block = store.run(99, () => none.execute(() => turns()));
    const outside = store.exit(() => none.execute(() => store.getStore()));
    expect([await block, await outside]).toEqual([undefined, undefined]);
  });

  test('wrap passes arguments and results, and bounds the calls', async () => {
    const gauge = new Gauge();
    const pool = new PromisePool({ concurrency: 2 });
    const add = pool.wrap((a: number, b: number) => gauge.around(turns().then(() => a + b)));
    expect(await Promise.all([add(1, 2), add(3, 4), add(5, 6)])).toEqual([3, 7, 11]);
    expect(pool.getMetrics().peakRunning).toBe(2);
  });

  test.each([
    [{}, TypeError],
    [{ concurrency: '5' }, TypeError],
    [{ concurrency: Number.NaN }, RangeError],
    [{ concurrency: 0 }, RangeError],
    [{ concurrency: -1 }, RangeError],
    [{ concurrency: 1.5 }, RangeError],
    [{ concurrency: 1, maxQueue: -1 }, RangeError],
    [{ concurrency: 1, maxQueue: 0.5 }, RangeError],
    [{ concurrency: 1, queueTimeout: Number.NaN }, RangeError],
    [{ concurrency: 1, timeout: -1 }, RangeError],
    [{ concurrency: 1, abortGrace: '5' }, TypeError],
    [{ concurrency: 1, perGroup: { concurrency: 0 } }, RangeError],
    [{ concurrency: 1, hooks: { onStart: 5 } }, TypeError],
    [{ concurrency: 1, signal: {} }, TypeError],
    [{ concurrency: 1, name: 5 }, TypeError],
    [undefined, TypeError],
    [5, TypeError],
  ])('new PromisePool(%j) throws at once', (options, kind) => {
    // POOL-28 tiny-async-pool, es-toolkit: NaN as limit ran everything, or hung. POOL-11 go#80183.
    expect(() => new PromisePool(options as never)).toThrow(kind);
  });

  test.each([
    { priority: 'urgent' },
    { group: {} },
    { group: [[]] },
    { timeout: Number.NaN },
    { queueTimeout: -1 },
    { signal: 5 },
    5,
  ])('execute(task, %j) rejects and leaves no trace', async (options) => {
    const pool = new PromisePool({ concurrency: 1 });
    const task = vi.fn();
    expect(await rejection(pool.execute(task, options as never))).toSatisfy(
      (e) => e instanceof TypeError || e instanceof RangeError,
    );
    expect(task).not.toHaveBeenCalled();
    expect(pool.getMetrics().calls).toBe(0);
  });
});

describe('waiting', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('one more than maxQueue is refused, with 0 nobody waits', async () => {
    const pool = new PromisePool({ concurrency: 1, maxQueue: 1, name: 'db' });
    const first = deferred();
    const running = pool.execute(() => first.promise);
    const waiting = pool.execute(() => 'second');
    const error = await rejection(pool.execute(() => 'third', { group: 'unknown' }));
    expect(error).toBeInstanceOf(QueueFullError);
    expect(error).toMatchObject({ code: 'QUEUE_FULL', source: 'db', maxQueue: 1 });
    first.resolve();
    expect(await Promise.all([running, waiting])).toEqual([undefined, 'second']);
    expect(pool.getMetrics()).toMatchObject({ calls: 3, refused: 1, fulfilled: 2 });
    const never = new PromisePool({ concurrency: 1, maxQueue: 0 });
    void never.execute(hang);
    expect(await rejection(never.execute(() => 1))).toBeInstanceOf(QueueFullError);
  });

  test('queueTimeout ends a wait, frees the place, and 0 means now or never', async () => {
    const pool = new PromisePool({ concurrency: 1, queueTimeout: 50 });
    void pool.execute(hang);
    const late = pool.execute(() => 'late');
    const soon = pool.execute(() => 'soon', { queueTimeout: 10 });
    const patient = pool.execute(() => 'patient', { queueTimeout: Number.POSITIVE_INFINITY });
    void patient;
    expect(await rejection(pool.execute(() => 'now', { queueTimeout: 0 }))).toBeInstanceOf(QueueTimeoutError);
    const told = Promise.all([rejection(late), rejection(soon)]);
    await vi.advanceTimersByTimeAsync(49);
    expect(pool.queued).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(await told).toMatchObject([{ timeout: 50 }, { timeout: 10 }]);
    expect(pool.queued).toBe(1);
    expectIdentity(pool);
    expect(vi.getTimerCount()).toBe(0);
  });

  // POOL-01 p-ratelimit PR#25, POOL-02 failsafe#393: a waiter that timed out ate a slot for ever.
  test('a waiter that timed out or left takes no slot', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const first = deferred();
    const running = pool.execute(() => first.promise);
    const control = new AbortController();
    const gone = [
      rejection(pool.execute(() => 'a', { queueTimeout: 50 })),
      rejection(pool.execute(() => 'b', { signal: control.signal })),
    ];
    await vi.advanceTimersByTimeAsync(50);
    control.abort('left');
    expect(await Promise.all(gone)).toMatchObject([{ code: 'QUEUE_TIMEOUT' }, 'left']);
    first.resolve();
    await running;
    const started = vi.fn();
    void pool.execute(started);
    expect(started).toHaveBeenCalledOnce();
  });

  // POOL-31 p-limit and every peer: a task that awaits a task of its own full pool waits for ever.
  test('a task that awaits its own full pool ends by queueTimeout, and the error tells of overdue work', async () => {
    const pool = new PromisePool({ concurrency: 1, queueTimeout: 100, timeout: 50 });
    const nested = rejection(pool.execute(() => pool.execute(() => 'never')));
    await vi.advanceTimersByTimeAsync(100);
    expect(await nested).toMatchObject({ code: 'TIMEOUT' });
    expect(pool.getMetrics()).toMatchObject({ refused: 1, timedOut: 1, running: 0, overdue: 0 });
    const wedged = new PromisePool({ concurrency: 1, timeout: 50 });
    void rejection(wedged.execute(hang));
    await vi.advanceTimersByTimeAsync(50);
    const told = rejection(wedged.execute(() => 1, { queueTimeout: 10 }));
    await vi.advanceTimersByTimeAsync(10);
    expect(String(await told)).toContain('overdue work holds 1 of 1 slots');
  });

  test('clear empties the queue, leaves what runs, and the pool goes on', async () => {
    // POOL-43 p-queue#23: clear was seen as stop. POOL-16 fastq#107: clear touched the running count. POOL-32: never settled.
    const pool = new PromisePool({ concurrency: 1 });
    const first = deferred<string>();
    const running = pool.execute(() => first.promise);
    const cleared = [pool.execute(() => 1), pool.execute(() => 2, { priority: 'low', group: 'g' })];
    expect(pool.clear()).toBe(2);
    expect(pool.running).toBe(1);
    expect(await Promise.all(cleared.map(rejection))).toEqual([expect.any(ClearedError), expect.any(ClearedError)]);
    const custom = pool.execute(() => 3);
    expect(pool.clear('because')).toBe(1);
    expect(await rejection(custom)).toBe('because');
    const after = pool.execute(() => 'after');
    first.resolve('first');
    expect(await Promise.all([running, after])).toEqual(['first', 'after']);
    expectIdentity(pool);
  });

  test('pause starts nothing, accepts everything; resume starts in the same turn', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    pool.pause();
    const task = vi.fn();
    const all = [pool.execute(task), pool.execute(task), pool.execute(task)];
    await turns();
    expect(task).not.toHaveBeenCalled();
    expect(pool.isPaused).toBe(true);
    pool.resume();
    expect(task).toHaveBeenCalledTimes(2);
    await Promise.all(all);
  });

  test('groups share fairly, and a group at its limit holds nobody else up', async () => {
    // POOL-82 p-limit: tenant B waited behind the whole backlog of A.
    const pool = new PromisePool({ concurrency: 2, perGroup: { concurrency: 1 } });
    const order: string[] = [];
    const task = (name: string) => async () => {
      order.push(name);
      await turns(3);
    };
    const all = [
      ...Array.from({ length: 4 }, (_, i) => pool.execute(task(`a${i}`), { group: 'a' })),
      pool.execute(task('b0'), { group: 'b' }),
      pool.execute(task('c0'), { group: ['c', 1] }),
    ];
    expect(order).toEqual(['a0', 'b0']);
    await Promise.all(all);
    expect(order.indexOf('c0')).toBeLessThan(4);
    expect(order.filter((name) => name.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3']);
  });

  test('onIdle and onQueueBelow fulfil when it is so, and can be left', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    await pool.onIdle();
    const first = deferred();
    void pool.execute(() => first.promise);
    void pool.execute(() => turns());
    void pool.execute(() => turns());
    const control = new AbortController();
    const left = rejection(pool.onIdle({ signal: control.signal }));
    control.abort('bored');
    expect(await left).toBe('bored');
    const events: string[] = [];
    const both = [pool.onIdle().then(() => events.push('idle')), pool.onQueueBelow(2).then(() => events.push('below'))];
    await turns();
    expect(events).toEqual([]);
    first.resolve();
    await Promise.all(both);
    expect(events).toEqual(['below', 'idle']);
    expect(await rejection(pool.onQueueBelow(0))).toBeInstanceOf(RangeError);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
  });
});

describe('timeouts and aborts', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  // POOL-19 p-queue, bottleneck, supercharge: five tasks at once with limit 1.
  test('a timeout answers the caller and keeps the slot until the work has really ended', async () => {
    const gauge = new Gauge();
    const pool = new PromisePool({ concurrency: 1, timeout: 10, name: 'api' });
    const all = Array.from({ length: 5 }, () =>
      rejection(pool.execute(() => gauge.around(new Promise((r) => setTimeout(r, 200))))),
    );
    await vi.advanceTimersByTimeAsync(10);
    expect(await all[0]).toMatchObject({
      name: 'TimeoutError',
      code: 'TIMEOUT',
      source: 'api',
      timeout: 10,
      option: 'timeout',
    });
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, timedOut: 1, queued: 4 });
    expectIdentity(pool);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(all);
    expect(gauge.max).toBe(1);
    expect(pool.getMetrics()).toMatchObject({ running: 0, overdue: 0, timedOut: 5, fulfilled: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('the task sees the timeout as its abort, and a task that ends in time is untouched', async () => {
    const pool = new PromisePool({ concurrency: 2, timeout: 50 });
    let signal!: AbortSignal;
    const slow = rejection(
      pool.execute((context) => {
        ({ signal } = context);
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }),
    );
    let late!: { readonly signal: AbortSignal };
    expect(
      await pool.execute((context) => {
        late = context;
        return 'quick';
      }),
    ).toBe('quick');
    await vi.advanceTimersByTimeAsync(50);
    expect(signal.reason).toBe(await slow);
    expect(late.signal.aborted).toBe(false);
  });

  test('abortGrace gives up a slot: counted as abandoned, and the late end changes nothing', async () => {
    const settled = vi.fn();
    const pool = new PromisePool({ concurrency: 1, timeout: 10, abortGrace: 20, hooks: { onSettle: settled } });
    const work = deferred<string>();
    const slow = rejection(pool.execute(() => work.promise));
    const next = pool.execute(() => 'next');
    await vi.advanceTimersByTimeAsync(10);
    await slow;
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, queued: 1 });
    await vi.advanceTimersByTimeAsync(20);
    expect(await next).toBe('next');
    expect(pool.getMetrics()).toMatchObject({ running: 0, overdue: 0, abandoned: 1, timedOut: 1, fulfilled: 1 });
    work.resolve('late');
    await turns();
    expectIdentity(pool);
    expect(pool.getMetrics()).toMatchObject({ running: 0, fulfilled: 1 });
    expect(settled.mock.calls.map(([event]) => event.status)).toEqual(['fulfilled', 'timeout']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an abort answers at once with the reason itself, queued or running; the running task is overdue until it ends', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const control = new AbortController();
    const work = deferred();
    const reason = { mine: true };
    const both = [
      rejection(pool.execute(() => work.promise, { signal: control.signal })),
      rejection(pool.execute(() => 'queued', { signal: control.signal })),
    ];
    const third = pool.execute(() => 'third');
    // POOL-34 p-queue#168: aborting a running and a waiting task together wedged the queue.
    control.abort(reason);
    expect(await Promise.all(both)).toEqual([reason, reason]);
    expect((await both[0]) === reason).toBe(true);
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, aborted: 2, queued: 1 });
    work.resolve();
    expect(await third).toBe('third');
    expect(await rejection(pool.execute(() => 1, { signal: control.signal }))).toBe(reason);
    expectIdentity(pool);
  });

  test('an abort in the first statement of the task, or from onStart, is no dead end', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const inside = new AbortController();
    expect(await rejection(pool.execute(() => inside.abort('inside'), { signal: inside.signal }))).toBe('inside');
    const before = new AbortController();
    const end = pool.subscribe({ onStart: () => before.abort('before') });
    const task = vi.fn();
    expect(await rejection(pool.execute(task, { signal: before.signal }))).toBe('before');
    end();
    await pool.onIdle();
    expect(task).not.toHaveBeenCalled();
    expect(await pool.execute(() => 'alive')).toBe('alive');
    expectIdentity(pool);
  });

  // POOL-65 p-map#75, p-queue#235: listeners piled up. POOL-67: AbortSignal.any leaks.
  test('a signal shared by 10,000 tasks carries one listener, and none afterwards', async () => {
    const pool = new PromisePool({ concurrency: 10 });
    const { signal } = new AbortController();
    const first = deferred();
    const all = Array.from({ length: 10_000 }, () => pool.execute(() => first.promise, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    first.resolve();
    await Promise.all(all);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  // POOL-29 p-queue, p-throttle: 2^31 ms fired after 1 ms.
  test('a timeout of 2^31 ms and more does not fire early', async () => {
    const pool = new PromisePool({ concurrency: 1, timeout: 2 ** 31 + 1_000 });
    const slow = rejection(pool.execute(hang));
    const told = vi.fn();
    void slow.then(told);
    await vi.advanceTimersByTimeAsync(2 ** 31);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toHaveBeenCalledOnce();
  });
});

describe('hooks and metrics', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('tell the story of a pool in order, with times', async () => {
    const story: unknown[] = [];
    const log = (kind: string) => (event: object) => story.push([kind, event]);
    const pool = new PromisePool({
      concurrency: 1,
      name: 'p',
      maxQueue: 1,
      hooks: {
        onQueue: log('queue'),
        onStart: log('start'),
        onSettle: log('settle'),
        onRefuse: log('refuse'),
        onIdle: log('idle'),
      },
    });
    const wait = () => new Promise((resolve) => setTimeout(resolve, 100));
    const all = [pool.execute(wait), pool.execute(wait, { group: 'g' }), pool.execute(wait)];
    await Promise.all([Promise.allSettled(all), vi.advanceTimersByTimeAsync(200)]);
    const base = { name: 'p', group: undefined };
    expect(story).toEqual([
      ['start', { ...base, running: 1, waitMs: 0 }],
      ['queue', { name: 'p', group: 'g', queued: 1 }],
      ['refuse', { ...base, reason: expect.any(QueueFullError), waitMs: 0 }],
      ['settle', { ...base, status: 'fulfilled', error: undefined, waitMs: 0, runMs: 100 }],
      ['start', { name: 'p', group: 'g', running: 1, waitMs: 100 }],
      ['settle', { name: 'p', group: 'g', status: 'fulfilled', error: undefined, waitMs: 100, runMs: 100 }],
      ['idle', { name: 'p' }],
    ]);
    const { waitMs, runMs } = pool.getMetrics();
    expect(waitMs).toMatchObject({ samples: 2, max: 100 });
    expect(runMs.p50).toBeCloseTo(100, -1);
  });

  test('the snapshot is safe for JSON, also of an unlimited and empty pool', () => {
    const snapshot = new PromisePool({ concurrency: Number.POSITIVE_INFINITY }).getMetrics();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(snapshot.concurrency).toBeNull();
  });

  // POOL-04 fastq, POOL-49 es6-promise-pool, MET-01 opossum: a throwing observer killed the queue or changed results.
  test('a throwing hook is reported once and a subscription can be ended', async () => {
    const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
    const pool = new PromisePool({ concurrency: 1 });
    const end = pool.subscribe({
      onStart() {
        throw new Error('hook');
      },
    });
    await Promise.all([pool.execute(() => 1), pool.execute(() => 2)]);
    expect(shown).toHaveBeenCalledOnce();
    end();
    end();
    await pool.execute(() => 3);
    expect(pool.getMetrics().fulfilled).toBe(3);
    shown.mockRestore();
  });
});

describe('close', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('takes nothing new, finishes what was accepted, also when paused, and reports', async () => {
    const pool = new PromisePool({ concurrency: 1, name: 'p' });
    pool.pause();
    const all = [pool.execute(() => 1), pool.execute(() => Promise.reject(new Error('x'))).catch(() => 2)];
    const closed = pool.close();
    // POOL-38 async-sema: two concurrent drains deadlocked.
    const again = pool.close();
    expect(await rejection(pool.execute(() => 3))).toBeInstanceOf(ClosedError);
    expect(await rejection(pool.map([1], () => 1))).toBeInstanceOf(ClosedError);
    expect(await Promise.all(all)).toEqual([1, 2]);
    expect(await closed).toEqual({ clean: true, finished: 2, aborted: 0, refused: 0, left: [] });
    expect(await again).toBe(await closed);
  });

  test('after the grace what waits is refused, what runs is aborted, and what does not react is named', async () => {
    const pool = new PromisePool({ concurrency: 2, name: 'p' });
    const stubborn = rejection(pool.execute(hang, { group: 'tenant' }));
    const polite = rejection(
      pool.execute(
        ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ),
    );
    const waiting = rejection(pool.execute(() => 'never'));
    const report = pool.close({ grace: 100, abortGrace: 50, reason: 'over' });
    await vi.advanceTimersByTimeAsync(100);
    expect(await Promise.all([stubborn, polite])).toEqual(['over', 'over']);
    expect(await waiting).toBeInstanceOf(ClosedError);
    await vi.advanceTimersByTimeAsync(50);
    expect(await report).toEqual({ clean: false, finished: 0, aborted: 2, refused: 1, left: ['p#tenant'] });
    expectIdentity(pool);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a later close may only shorten the grace; the default reason is a ClosedError; bad options reject', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    expect(await rejection(pool.close({ grace: -1 }))).toBeInstanceOf(RangeError);
    expect(await pool.execute(() => 'still open')).toBe('still open');
    const running = rejection(pool.execute(hang));
    const report = pool.close({ grace: 1_000, abortGrace: 0 });
    void pool.close({ grace: 5_000 });
    void pool.close({ grace: 10 });
    await vi.advanceTimersByTimeAsync(11);
    expect(await running).toBeInstanceOf(ClosedError);
    expect((await report).aborted).toBe(1);
  });

  test("the pool's signal closes it at once, with its reason", async () => {
    const control = new AbortController();
    const pool = new PromisePool({ concurrency: 1, signal: control.signal });
    const running = rejection(pool.execute(hang));
    control.abort('shutdown');
    expect(await running).toBe('shutdown');
    expect(await rejection(pool.execute(() => 1))).toBeInstanceOf(ClosedError);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    const stillborn = new PromisePool({ concurrency: 1, signal: AbortSignal.abort('before') });
    expect(await rejection(stillborn.execute(() => 1))).toBeInstanceOf(ClosedError);
  });

  // POOL-50 supercharge: stop() inside a hook rejected with an internal error.
  test.each(['onQueue', 'onStart', 'onSettle', 'onRefuse', 'onOverdue', 'onAbandon', 'onIdle'])(
    'close from %s settles everything',
    async (name) => {
      const reports: Promise<unknown>[] = [];
      const pool: PromisePool = new PromisePool({
        concurrency: 1,
        timeout: 10,
        abortGrace: 10,
        maxQueue: 2,
        hooks: { [name]: () => void reports.push(pool.close({ grace: 0 })) },
      });
      const tasks = [() => 0, hang, () => 1, () => 2];
      const all = Promise.allSettled(tasks.map((task) => pool.execute(task)));
      await vi.advanceTimersByTimeAsync(2_000);
      await all;
      expect(reports).not.toHaveLength(0);
      await Promise.all(reports);
      expectIdentity(pool);
      expect(pool.running).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test('await using waits for the work', async () => {
    const done = vi.fn();
    {
      await using pool = new PromisePool({ concurrency: 1 });
      void pool.execute(() => turns()).then(done);
    }
    expect(done).toHaveBeenCalledOnce();
  });
});
