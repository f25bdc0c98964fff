import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Deadline, Deadlines } from '../../src/core/deadlines.js';
import { property } from '../support/runs.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('the deadlines of one owner', () => {
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('add'), n: fc.integer({ min: 0, max: 60 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel'), n: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance'), n: fc.integer({ min: 0, max: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear'), n: fc.constant(0) }) },
  );

  property([fc.array(command, { maxLength: 400, size: 'max' })])(
    'expire as a sorted list would, behind one timer at most, and none while nothing lives',
    (commands) => {
      const deadlines = new Deadlines();
      const handles: Deadline[] = [];
      const living = new Map<number, number>();
      const fired: number[] = [];
      let time = 0;
      for (const { kind, n } of commands) {
        if (kind === 'add') {
          const id = handles.length;
          living.set(id, time + n);
          handles.push(deadlines.add(n, () => fired.push(id)));
        } else if (kind === 'cancel' && handles.length > 0) {
          // Mostly one that lives: of the last hundred.
          const id = handles.length - 1 - (n % Math.min(handles.length, 100));
          deadlines.cancel(handles[id] as Deadline);
          living.delete(id);
        } else if (kind === 'advance') {
          time += n;
          const due = [...living].filter(([, at]) => at <= time);
          const before = fired.length;
          vi.advanceTimersByTime(n);
          const now = fired.slice(before);
          expect([...now].sort()).toEqual(due.map(([id]) => id).sort());
          // In order of time; equal times in any order.
          const times = now.map((id) => living.get(id) as number);
          expect(times).toEqual([...times].sort((a, b) => a - b));
          for (const [id] of due) living.delete(id);
        } else if (kind === 'clear') {
          deadlines.clear();
          living.clear();
        }
        expect(vi.getTimerCount()).toBe(living.size === 0 ? 0 : 1);
      }
      deadlines.clear();
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  property([
    fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 0, max: 3 })), {
      minLength: 100,
      maxLength: 300,
      size: 'max',
    }),
  ])('are in order after most were cancelled, and swept', (all) => {
    const deadlines = new Deadlines();
    const fired: number[] = [];
    const handles = all.map(([delay]) => deadlines.add(delay, () => fired.push(delay)));
    const isLeft = (place: number) => all[place]?.[1] === 0;
    handles.forEach((handle, i) => {
      if (!isLeft(i)) deadlines.cancel(handle);
    });
    const expected = all.filter((_, i) => isLeft(i)).map(([delay]) => delay);
    // Step by step: in one jump a later one could hide behind an earlier one.
    for (let time = 0; time < 1_000; time += 10) {
      vi.advanceTimersByTime(10);
      expect(fired.length).toBe(expected.filter((delay) => delay <= time + 10).length);
    }
    expect(fired).toEqual(expected.sort((a, b) => a - b));
    expect(vi.getTimerCount()).toBe(0);
  });

  test('may be added and cancelled while others expire', () => {
    const deadlines = new Deadlines();
    const fired: string[] = [];
    deadlines.add(10, () => {
      fired.push('first');
      deadlines.cancel(sameTime);
      deadlines.add(5, () => fired.push('born'));
    });
    const sameTime = deadlines.add(10, () => fired.push('never'));
    deadlines.add(20, () => fired.push('last'));
    vi.advanceTimersByTime(10);
    expect([fired, vi.getTimerCount()]).toEqual([['first'], 1]);
    vi.advanceTimersByTime(5);
    expect(fired).toEqual(['first', 'born']);
    vi.advanceTimersByTime(5);
    expect([fired, vi.getTimerCount()]).toEqual([['first', 'born', 'last'], 0]);
  });

  test('all that are due expire in one go after the loop was blocked', () => {
    const deadlines = new Deadlines();
    const fired: number[] = [];
    for (const delay of [30, 10, 20, 40]) deadlines.add(delay, () => fired.push(delay));
    const armed = vi.spyOn(globalThis, 'setTimeout');
    const start = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(start + 35);
    vi.advanceTimersByTime(10);
    expect(fired).toEqual([10, 20, 30]);
    expect(armed).toHaveBeenCalledTimes(1);
  });

  test('expire in order where the clock stands still', () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const deadlines = new Deadlines();
    const fired: number[] = [];
    for (const delay of [30, 10, 20]) deadlines.add(delay, () => fired.push(delay));
    vi.advanceTimersByTime(10);
    expect(fired).toEqual([10]);
    vi.runAllTimers();
    expect(fired).toEqual([10, 20, 30]);
  });

  test('cancelling twice, or after it fired, does nothing', () => {
    const deadlines = new Deadlines();
    const fired = vi.fn();
    const first = deadlines.add(10, fired);
    vi.advanceTimersByTime(10);
    deadlines.cancel(first);
    const second = deadlines.add(10, fired);
    deadlines.add(20, fired);
    deadlines.cancel(second);
    deadlines.cancel(second);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(20);
    expect(fired).toHaveBeenCalledTimes(2);
  });

  test('do not arm a new timer for a later deadline', () => {
    const armed = vi.spyOn(globalThis, 'setTimeout');
    const deadlines = new Deadlines();
    for (let delay = 10; delay < 1_000; delay++) deadlines.add(delay, () => {});
    expect(armed).toHaveBeenCalledTimes(1);
    deadlines.add(5, () => {});
    expect(armed).toHaveBeenCalledTimes(2);
  });

  test('that were cancelled are not kept until the earliest that lives has expired', () => {
    const deadlines = new Deadlines();
    deadlines.add(1_000, () => {});
    const churn = (times: number) => {
      for (let i = 0; i < times; i++) deadlines.cancel(deadlines.add(60_000, () => i));
    };
    churn(1_000);
    gc();
    const before = process.memoryUsage().heapUsed;
    churn(300_000);
    gc();
    expect((process.memoryUsage().heapUsed - before) / 2 ** 20).toBeLessThan(3);
    deadlines.clear();
  });

  test('reach beyond what platform timers keep', () => {
    const deadlines = new Deadlines();
    const fired = vi.fn();
    deadlines.add(2 ** 31 + 10, fired);
    vi.advanceTimersByTime(2 ** 31 + 9);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  test('keep the process alive or not, as their owner says', () => {
    vi.useRealTimers();
    const made = vi.spyOn(globalThis, 'setTimeout');
    const owners = [new Deadlines(), new Deadlines(false)];
    for (const owner of owners) owner.add(1_000_000, () => {});
    expect(made.mock.results.map(({ value }) => value.hasRef())).toEqual([true, false]);
    for (const owner of owners) owner.clear();
  });

  test.each<[string, (i: number, n: number) => number]>([
    ['rising', (i) => 1_000 + i],
    ['falling', (i, n) => 1_000 + n - i],
    ['equal', () => 1_000],
    ['mixed', (i, n) => 1_000 + ((i * 7_919) % n)],
  ])(
    'a hundred thousand %s ones are added and cancelled, or expire, in time that grows about as n',
    (_order, delayOf) => {
      vi.useRealTimers();
      let fired = 0;
      const work = (n: number, which: (deadline: number) => boolean) => {
        vi.useFakeTimers();
        const deadlines = new Deadlines();
        const handles = Array.from({ length: n }, (_, i) => deadlines.add(delayOf(i, n), () => fired++));
        handles.forEach((handle, i) => {
          if (which(i)) deadlines.cancel(handle);
        });
        fired = 0;
        vi.advanceTimersByTime(1_000 + n);
        expect(fired).toBe(handles.filter((_, i) => !which(i)).length);
        expect(vi.getTimerCount()).toBe(0);
        vi.useRealTimers();
      };
      const measure = (n: number) => {
        const started = process.cpuUsage();
        work(n, () => true);
        work(n, (i) => i % 10 !== 0);
        const { user } = process.cpuUsage(started);
        return user;
      };
      measure(5_000);
      const small = Math.max(measure(10_000), 5_000);
      // Quadratic would be 100; sifting adds a logarithm.
      expect(measure(100_000) / small).toBeLessThan(45);
    },
  );
});
