import * as fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { now, random, Timer, wallNow } from '../../src/core/clock.js';
import { property } from '../support/runs.js';

const MAX_DELAY = 2 ** 31 - 1;

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('the port', () => {
  test('reads the globals at each use', () => {
    vi.spyOn(performance, 'now').mockReturnValue(5);
    vi.spyOn(Date, 'now').mockReturnValue(6);
    vi.spyOn(Math, 'random').mockReturnValue(0.7);
    expect([now(), wallNow(), random()]).toEqual([5, 6, 0.7]);
  });

  // BG-08: at module scope of a Worker clocks stand at 0 and timers throw.
  test('is not touched by importing anything of the package', async () => {
    const used: string[] = [];
    const forbidden = (name: string) => () => {
      used.push(name);
      throw new Error(`${name} at module scope`);
    };
    vi.stubGlobal('performance', { now: forbidden('performance.now') });
    vi.stubGlobal('setTimeout', forbidden('setTimeout'));
    vi.stubGlobal('queueMicrotask', forbidden('queueMicrotask'));
    vi.stubGlobal('AbortController', forbidden('AbortController'));
    vi.spyOn(Date, 'now').mockImplementation(forbidden('Date.now'));
    vi.spyOn(Math, 'random').mockImplementation(forbidden('Math.random'));
    vi.resetModules();
    const paceline = await import('../../src/index.js');
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    expect(paceline).toHaveProperty('PromisePool');
    expect(used).toEqual([]);
  });

  test('nor by constructing a group or a pool, as modules do', async () => {
    const { BackgroundTasks, PromisePool } = await import('../../src/index.js');
    const forbidden = () => {
      throw new Error('at module scope');
    };
    vi.stubGlobal('performance', { now: forbidden });
    vi.stubGlobal('setTimeout', forbidden);
    expect(new BackgroundTasks()).toHaveProperty('running', 0);
    expect(new PromisePool({ concurrency: 5 })).toHaveProperty('running', 0);
  });
});

describe('Timer', () => {
  property([fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: MAX_DELAY - 5, max: 2 ** 34 }))])(
    'fires once, at its time, however far that is, and never arms a delay that timers do not keep',
    (delay) => {
      vi.useFakeTimers();
      const armed = vi.spyOn(globalThis, 'setTimeout');
      let fired = 0;
      new Timer(() => fired++, delay);
      if (delay > 0) vi.advanceTimersByTime(delay - 1);
      expect(fired).toBe(0);
      vi.advanceTimersByTime(1);
      expect(fired).toBe(1);
      vi.advanceTimersByTime(2 ** 33);
      expect([fired, vi.getTimerCount()]).toEqual([1, 0]);
      for (const [, ms] of armed.mock.calls) expect(ms).toBeLessThanOrEqual(MAX_DELAY);
      armed.mockRestore();
      vi.useRealTimers();
    },
  );

  // POOL-29 (p-queue 9, p-throttle): a delay of 2^31 overflows and fires after 1 ms.
  test.each([2 ** 31 - 1, 2 ** 31, 2 ** 32 + 7, 2 ** 40])('waits %d ms', (delay) => {
    vi.useFakeTimers();
    const callback = vi.fn();
    new Timer(callback, delay);
    vi.advanceTimersByTime(delay - 1);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('rounds up: a part of a millisecond is waited for', () => {
    vi.useFakeTimers();
    const callback = vi.fn();
    const armed = vi.spyOn(globalThis, 'setTimeout');
    new Timer(callback, 1.2);
    // Platforms cut fractions off.
    expect(armed.mock.calls[0]?.[1]).toBe(2);
    vi.advanceTimersByTime(1);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('cancelled, it never fires, also after one of several links', () => {
    vi.useFakeTimers();
    const callback = vi.fn();
    const short = new Timer(callback, 10);
    const long = new Timer(callback, 3 * MAX_DELAY);
    short.cancel();
    vi.advanceTimersByTime(1.5 * MAX_DELAY);
    long.cancel();
    long.cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(3 * MAX_DELAY);
    expect(callback).not.toHaveBeenCalled();
  });

  test('a platform timer that fires up to 2 ms early is asked to wait for the rest', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let time = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => time);
    const callback = vi.fn();
    new Timer(callback, 100);
    time = 98.4;
    vi.advanceTimersByTime(100);
    expect(callback).not.toHaveBeenCalled();
    time = 100;
    vi.advanceTimersByTime(2);
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('a delay of a millisecond or two comes, too, where the clock stands still', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(performance, 'now').mockReturnValue(1_000);
    for (const delay of [0, 0.5, 1, 2]) {
      const fired = vi.fn();
      new Timer(fired, delay);
      vi.advanceTimersByTime(10);
      expect(fired).toHaveBeenCalledTimes(1);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  test('where the clock stands still, or is not faked with the timers, a timer that fired is proof enough', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const callback = vi.fn();
    new Timer(callback, 100);
    vi.advanceTimersByTime(100);
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('keeps the process alive or not, as it is told', () => {
    const made = vi.spyOn(globalThis, 'setTimeout');
    const timers = [new Timer(() => {}, 1_000_000), new Timer(() => {}, 1_000_000, false)];
    expect(timers.map(({ keepsAlive }) => keepsAlive)).toEqual([true, false]);
    expect(made.mock.results.map(({ value }) => value.hasRef())).toEqual([true, false]);
    for (const timer of timers) timer.cancel();
  });

  test('where timers are numbers, it asks Deno, and else says that it keeps the process alive', () => {
    vi.stubGlobal('setTimeout', () => 7);
    vi.stubGlobal('clearTimeout', () => {});
    expect(new Timer(() => {}, 10, false).keepsAlive).toBe(true);
    const unrefTimer = vi.fn();
    vi.stubGlobal('Deno', { unrefTimer });
    expect(new Timer(() => {}, 10, false).keepsAlive).toBe(false);
    expect(unrefTimer.mock.calls).toEqual([[7]]);
    expect(new Timer(() => {}, 10).keepsAlive).toBe(true);
    expect(unrefTimer).toHaveBeenCalledTimes(1);
  });
});
