import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BackgroundHooks, type BackgroundSettleEvent, BackgroundTasks } from '../../src/background/index.js';
import { never, settle, silenceConsole, watchUnhandled } from './helpers.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const work = (ms: number) => () => new Promise((resolve) => setTimeout(resolve, ms));

describe('metrics', () => {
  test('of a new group are zero, of the kind "background", and safe for JSON', () => {
    const metrics = new BackgroundTasks({ name: 'mail' }).getMetrics();
    const zero = { samples: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 };
    expect(metrics).toEqual({
      kind: 'background',
      name: 'mail',
      running: 0,
      queued: 0,
      accepted: 0,
      fulfilled: 0,
      failed: 0,
      cancelled: 0,
      refused: 0,
      failureRate: 0,
      runMs: zero,
    });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  });

  test('count each fate once, and measure what fulfilled or failed', async () => {
    const group = new BackgroundTasks({ concurrency: 2, maxQueue: 1, onError: () => {} });
    group.run(work(100));
    group.run(work(100)).cancel();
    const running = group.run(work(1_000));
    group.run(work(300));
    group.run(work(1));
    expect(group.getMetrics()).toMatchObject({ running: 2, queued: 1, accepted: 4, cancelled: 1, refused: 1 });
    await vi.advanceTimersByTimeAsync(150);
    running.cancel();
    await vi.advanceTimersByTimeAsync(1_000);
    group.run(() => Promise.reject(new Error('x')));
    // Failed, but never taken in: there is nothing to measure.
    group.run(() => {}, { timeout: -1 });
    await settle();
    const metrics = group.getMetrics();
    expect(metrics).toMatchObject({
      running: 0,
      queued: 0,
      accepted: 5,
      fulfilled: 2,
      failed: 2,
      cancelled: 2,
      refused: 1,
    });
    expect(metrics.failureRate).toBe(1 / 2);
    expect(metrics.runMs).toMatchObject({ samples: 3, max: 300 });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  });

  // MET-14: clocks that go backwards (wall clock) or stand still (workerd between I/O).
  test('a clock that steps back or stands still gives durations of 0', async () => {
    const told: number[] = [];
    const group = new BackgroundTasks({ hooks: { onSettle: ({ runMs }) => told.push(runMs) } });
    let time = 1_000;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      time -= 10;
      return time;
    });
    await group.run(() => {}).done;
    expect(group.getMetrics()).toMatchObject({ fulfilled: 1, runMs: { samples: 1, mean: 0, p50: 0, max: 0 } });
    expect(told).toEqual([0]);
  });
});

describe('hooks', () => {
  test('tell of the entry once, and of each outcome once, refusals and cancellations included', async () => {
    const events: unknown[] = [];
    const group = new BackgroundTasks({
      name: 'mail',
      concurrency: 1,
      maxQueue: 1,
      onError: () => {},
      hooks: {
        onStart: (event) => events.push(['start', event]),
        onSettle: ({ outcome, ...event }: BackgroundSettleEvent) => events.push([outcome.status, event]),
      },
    });
    group.run(work(50), { name: 'a' });
    const b = group.run(work(50), { name: 'b' });
    group.run(work(50), { name: 'c' });
    b.cancel();
    const retry = { baseDelay: 100, jitter: 'none' } as const;
    group.run(({ attempt }) => (attempt === 1 ? Promise.reject(new Error('x')) : 1), { name: 'd', retry });
    await vi.advanceTimersByTimeAsync(1_000);
    const event = (task: string, runMs: number) => ({ name: 'mail', task, runMs });
    expect(events).toEqual([
      ['refused', event('c', 0)],
      ['cancelled', event('b', 0)],
      ['start', { name: 'mail', task: 'a' }],
      ['fulfilled', event('a', 50)],
      ['start', { name: 'mail', task: 'd' }],
      ['fulfilled', event('d', 100)],
    ]);
  });

  test('are told after the counters changed, and before the next task has the place', async () => {
    const seen: unknown[] = [];
    const group = new BackgroundTasks({ concurrency: 1 });
    const end = group.subscribe({
      onStart: () => seen.push(['start', group.running, group.queued]),
      onSettle: () => seen.push(['settle', group.getMetrics().fulfilled, group.queued]),
    });
    group.run(() => {});
    group.run(() => {});
    await settle();
    expect(seen).toEqual([
      ['start', 1, 1],
      ['settle', 1, 1],
      ['start', 1, 0],
      ['settle', 2, 0],
    ]);
    end();
    await group.run(() => {}).done;
    expect(seen).toHaveLength(4);
  });

  // MET-01, MET-02 (opossum, cockatiel, async-retry): a hook that throws changes outcomes, or the call never settles.
  test.each<[string, () => unknown]>([
    [
      'throw',
      () => {
        throw new Error('hook');
      },
    ],
    ['reject', () => Promise.reject(new Error('hook'))],
    // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
    ['return a thenable that throws', () => ({ then: () => fault('then') })],
  ])('that %s change nothing: outcomes, counters and order are the same', async (_what, hook) => {
    vi.useRealTimers();
    const unhandled = watchUnhandled();
    const reporter = silenceConsole();
    const run = async (hooks: BackgroundHooks | undefined) => {
      const told: unknown[] = [];
      const group = new BackgroundTasks({ concurrency: 1, maxQueue: 3, onError: (error) => told.push(error), hooks });
      const handles = [
        group.run(() => 1),
        group.run(() => Promise.reject('no')),
        group.run(never),
        group.run(() => 2),
        group.run(() => 3),
      ];
      await settle();
      handles[2]?.cancel('enough');
      const report = await group.close({ grace: 0, abortGrace: 0 });
      const outcomes = await Promise.all(handles.map(({ done }) => done));
      const { runMs, ...metrics } = group.getMetrics();
      return { outcomes, report, metrics, told: told.length, samples: runMs.samples };
    };
    const plain = await run(undefined);
    expect(reporter).not.toHaveBeenCalled();
    const hooks = { onStart: () => hook(), onSettle: () => hook() };
    expect(await run(hooks as BackgroundHooks)).toEqual(plain);
    await settle();
    expect(reporter).toHaveBeenCalledTimes(2);
    expect(await unhandled()).toEqual([]);
  });
});

function fault(message: string): never {
  throw new Error(message);
}
