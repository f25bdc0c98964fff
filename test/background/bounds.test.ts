import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { deferred, never, settle, silenceConsole } from './helpers.js';

afterEach(() => {
  vi.restoreAllMocks();
});

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

async function heapMiB(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

// BG-16: fire-and-forget without a bound is a leak under a slow sink.
test.each([
  ['reject', 1_000_000],
  ['drop-oldest', 300_000],
] as const)(
  'before a queue of a thousand, with overflow %s, the heap stays flat over %i tasks, drops are counted and reported',
  async (overflow, times) => {
    const reporter = silenceConsole();
    let told = 0;
    const group = new BackgroundTasks({ concurrency: 4, maxQueue: 1_000, overflow });
    const onError = () => {
      told++;
    };
    const add = async (n: number) => {
      for (let i = 0; i < n; i++) {
        group.run(never, i % 2 === 0 ? { onError } : undefined);
        // What was refused is free to go once its reactions have run.
        if (i % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await add(20_000);
    const before = await heapMiB();
    await add(times);
    const grown = (await heapMiB()) - before;
    const { accepted, refused, running, queued } = group.getMetrics();
    expect([running, queued]).toEqual([4, 1_000]);
    const total = 20_000 + times;
    expect(refused).toBe(total - 1_004);
    expect(accepted).toBe(overflow === 'reject' ? 1_004 : total);
    expect(told).toBeGreaterThan(total / 2 - 1_004);
    expect(reporter).toHaveBeenCalledTimes(1);
    expect(grown).toBeLessThan(3);
  },
  120_000,
);

test('a hundred thousand tasks through the queue, and as many cancelled in it, take time in proportion', async () => {
  const time = async (n: number) => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const first = deferred();
    group.run(() => first.promise);
    const started = performance.now();
    const cancelled = Array.from({ length: n }, () => group.run(never));
    let ended = 0;
    for (let i = 0; i < n; i++) group.run(() => ended++);
    for (const { cancel } of cancelled) cancel(null);
    expect(group.queued).toBe(n);
    first.resolve(undefined);
    await group.drain();
    expect(ended).toBe(n);
    return performance.now() - started;
  };
  await time(10_000);
  const small = await time(10_000);
  const large = await time(100_000);
  // Quadratic would be 100.
  expect(large / small).toBeLessThan(40);
}, 60_000);

test('cancelling in a queue that never moves leaves nothing behind', async () => {
  const group = new BackgroundTasks({ concurrency: 1, maxQueue: 100 });
  group.run(never);
  const churn = (times: number) => {
    for (let i = 0; i < times; i++) {
      const ballast = new Array(100).fill(i);
      group.run(() => ballast).cancel(null);
    }
  };
  churn(1_000);
  const before = await heapMiB();
  churn(200_000);
  await settle();
  expect(group.queued).toBe(0);
  expect((await heapMiB()) - before).toBeLessThan(3);
});

// BG-07 (cpython#117379, bolna#809): what only its own work refers to vanishes, and nobody knows.
test('tasks that nobody else refers to are held, counted and named, whatever the garbage collector does', async () => {
  const group = new BackgroundTasks({ name: 'held', concurrency: 50 });
  for (let i = 0; i < 100; i++) group.run(() => new Promise(() => {}), { name: `task-${i}` });
  for (let i = 0; i < 3; i++) await heapMiB();
  expect([group.running, group.queued]).toEqual([50, 50]);
  const { left } = await group.drain({ timeout: 0 });
  expect(left).toEqual(Array.from({ length: 100 }, (_, i) => `task-${i}`));
});

// BG-07 and BG-16, the other way round: what has ended is held by nobody, however long its signal and its group live.
test('a hundred thousand tasks that ended, on one signal, leave nothing behind', async () => {
  silenceConsole();
  const group = new BackgroundTasks({ concurrency: 8, maxQueue: 2_000 });
  const { signal } = new AbortController();
  let kept = 0;
  const live = async (times: number) => {
    for (let i = 0; i < times; i++) {
      const ballast = new Array(100).fill(i);
      const task = async (context: { readonly signal: AbortSignal }) => {
        if (context.signal.aborted) return;
        if (i % 3 === 0) throw ballast;
        await null;
      };
      group.run(task, { signal, timeout: 60_000, waitUntil: () => void kept++, onError: () => {} });
      if (i % 1_000 === 999) await group.drain();
    }
  };
  await live(5_000);
  const before = await heapMiB();
  await live(100_000);
  expect([group.running, kept]).toEqual([0, 105_000]);
  expect((await heapMiB()) - before).toBeLessThan(3);
});

test('drains that gave up on a group that is never empty leave nothing behind', async () => {
  const group = new BackgroundTasks();
  group.run(never);
  const drain = async (times: number) => {
    for (let i = 0; i < times; i++) await group.drain({ timeout: 0 });
  };
  await drain(1_000);
  const before = await heapMiB();
  await drain(50_000);
  expect((await heapMiB()) - before).toBeLessThan(3);
});
