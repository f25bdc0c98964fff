import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  aimdLimit,
  BackgroundTasks,
  fireAndForget,
  MetricsRegistry,
  PromisePool,
  RateLimiter,
  RequestCoalescer,
  vegasLimit,
} from '../../src/index.js';
import { settle, silenceConsole } from './helpers.js';

const original = BackgroundTasks.shared;

afterEach(() => {
  BackgroundTasks.shared = original;
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('fireAndForget', () => {
  test('runs in the shared group, which is made once', async () => {
    expect(BackgroundTasks.shared).toBe(original);
    const { accepted } = original.getMetrics();
    const handle = fireAndForget(({ name, attempt }) => expect([name, attempt]).toEqual(['mine', 1]), { name: 'mine' });
    expect(handle).not.toHaveProperty('then');
    expect(await handle.done).toEqual({ status: 'fulfilled', attempts: 1 });
    expect(original.getMetrics()).toMatchObject({ name: 'background', accepted: accepted + 1 });
  });

  test('runs in the group that was assigned, with its bounds and its handler', async () => {
    const told: unknown[] = [];
    const mine = new BackgroundTasks({
      name: 'mine',
      concurrency: 1,
      maxQueue: 0,
      onError: (error) => told.push(error),
    });
    BackgroundTasks.shared = mine;
    expect(BackgroundTasks.shared).toBe(mine);
    fireAndForget(() => Promise.reject('no'));
    expect(await fireAndForget(() => {}).done).toMatchObject({ status: 'refused', reason: { source: 'mine' } });
    await settle();
    expect(told).toHaveLength(2);
  });

  test('refuses to be assigned what is no group', () => {
    for (const wrong of [undefined, null, 5, {}]) {
      expect(() => {
        BackgroundTasks.shared = wrong as unknown as BackgroundTasks;
      }).toThrow(/Expected `BackgroundTasks.shared` to be a BackgroundTasks, got/);
    }
    expect(BackgroundTasks.shared).toBe(original);
  });

  // BG-08: at module scope of a Worker timers throw, and clocks stand at 0. Modules assign their group there, and make what it uses.
  test('the group, and all that modules make beside it, can be made where timers, clocks, chance and signals are forbidden', () => {
    const forbidden = () => {
      throw new Error('at module scope');
    };
    for (const name of ['setTimeout', 'queueMicrotask', 'AbortController']) vi.stubGlobal(name, forbidden);
    vi.stubGlobal('performance', { now: forbidden });
    vi.stubGlobal('crypto', { randomUUID: forbidden, getRandomValues: forbidden });
    vi.spyOn(Date, 'now').mockImplementation(forbidden);
    vi.spyOn(Math, 'random').mockImplementation(forbidden);
    const hooks = { onSettle: () => {} };
    BackgroundTasks.shared = new BackgroundTasks({ concurrency: 4, maxQueue: 10, overflow: 'drop-oldest', hooks });
    const made = [
      BackgroundTasks.shared,
      new PromisePool({ concurrency: 2, rateLimit: { limit: 5, interval: 1_000 }, timeout: 5, abortGrace: 5 }),
      new PromisePool({ concurrency: aimdLimit() }),
      new PromisePool({ concurrency: vegasLimit() }),
      new RequestCoalescer({ ttl: 1_000, staleTtl: 1_000, jitter: 0.1 }),
      new RateLimiter({ limit: 5, interval: 1_000 }),
      new MetricsRegistry(),
    ];
    vi.unstubAllGlobals();
    expect(made).toHaveLength(7);
    expect(BackgroundTasks.shared).toBe(made[0]);
  });

  test('never throws, whatever it is given', async () => {
    silenceConsole();
    const wrong = [undefined, null, 5, 'task', {}, Promise.resolve()];
    for (const task of wrong) {
      for (const options of [undefined, null, 5, { name: 1 }, { retry: null }]) {
        const { done } = fireAndForget(task as () => void, options as object);
        expect(await done).toMatchObject({ status: 'rejected', attempts: 0, reason: expect.any(TypeError) });
      }
    }
  });
});
