import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { AbortSubscription, InnerSignal } from '../../src/core/abort.js';
import { property } from '../support/runs.js';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('subscriptions to one signal', () => {
  property([
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('add'), n: fc.constant(0) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('end'), n: fc.nat() }) },
      ),
      { maxLength: 300, size: 'max' },
    ),
  ])('are told in their order if they are still there, through one listener while there are any', (commands) => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: number[] = [];
    const all: AbortSubscription[] = [];
    let living: number[] = [];
    for (const { kind, n } of commands) {
      if (kind === 'add') {
        const id = all.length;
        all.push(new AbortSubscription(signal, { onAbort: () => told.push(id) }));
        living.push(id);
      } else if (all.length > 0) {
        // Mostly one that is still there: of the last hundred.
        const id = all.length - 1 - (n % Math.min(all.length, 100));
        all[id]?.end();
        living = living.filter((each) => each !== id);
      }
      expect(listeners(signal)).toBe(living.length === 0 ? 0 : 1);
    }
    controller.abort();
    expect(told).toEqual(living);
    expect(listeners(signal)).toBe(0);
    for (const subscription of all) subscription.end();
    expect(told).toEqual(living);
  });

  test.each([undefined, null, 0, '', false, new Error('x')])('get the reason %o as the signal has it', (reason) => {
    const controller = new AbortController();
    const onAbort = vi.fn();
    new AbortSubscription(controller.signal, { onAbort });
    controller.abort(reason);
    expect(onAbort).toHaveBeenCalledTimes(1);
    expect(onAbort.mock.calls[0]?.[0]).toBe(controller.signal.reason);
  });

  test('whoever is made to leave while others are told is not told', () => {
    const controller = new AbortController();
    const told: string[] = [];
    const make = (name: string, also?: () => void) =>
      new AbortSubscription(controller.signal, {
        onAbort() {
          told.push(name);
          also?.();
        },
      });
    const first = make('first');
    make('second', () => {
      first.end();
      third.end();
    });
    const third = make('third');
    make('fourth');
    controller.abort();
    expect(told).toEqual(['first', 'second', 'fourth']);
    expect(listeners(controller.signal)).toBe(0);
  });

  test('whoever subscribes while others are told is told too, though it should have looked at `aborted`', () => {
    const controller = new AbortController();
    const told: string[] = [];
    new AbortSubscription(controller.signal, {
      onAbort: () => {
        told.push('first');
        new AbortSubscription(controller.signal, { onAbort: () => told.push('born') });
      },
    });
    controller.abort();
    expect(told).toEqual(['first', 'born']);
    expect(listeners(controller.signal)).toBe(0);
  });

  test('all may leave while the first is told', () => {
    const controller = new AbortController();
    const told: number[] = [];
    const all = Array.from({ length: 100 }, (_, i): AbortSubscription => {
      const onAbort = () => {
        told.push(i);
        for (const each of all) each.end();
      };
      return new AbortSubscription(controller.signal, { onAbort });
    });
    controller.abort();
    expect(told).toEqual([0]);
    expect(listeners(controller.signal)).toBe(0);
  });

  test('after the last one left, a new one starts over', () => {
    const controller = new AbortController();
    const onAbort = vi.fn();
    for (let i = 0; i < 100; i++) {
      const subscription = new AbortSubscription(controller.signal, { onAbort });
      expect(listeners(controller.signal)).toBe(1);
      subscription.end();
      subscription.end();
      expect(listeners(controller.signal)).toBe(0);
    }
    new AbortSubscription(controller.signal, { onAbort });
    controller.abort();
    expect(onAbort).toHaveBeenCalledTimes(1);
  });

  test('are of their own signal only', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const told: string[] = [];
    new AbortSubscription(a.signal, { onAbort: () => told.push('a') });
    const other = new AbortSubscription(b.signal, { onAbort: () => told.push('b') });
    a.abort();
    expect(told).toEqual(['a']);
    other.end();
  });

  // RETRY-41 (honker#67), POOL-65: a listener per waiter is quadratic, and blocked a process for seconds.
  test('forty thousand of them subscribe and are told within 300 ms, and as many come and go', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const count = 40_000;
    let told = 0;
    const onAbort = () => {
      told++;
    };
    const started = process.cpuUsage();
    const leaving = Array.from({ length: count }, () => new AbortSubscription(signal, { onAbort }));
    for (let i = 0; i < count; i++) new AbortSubscription(signal, { onAbort });
    expect(listeners(signal)).toBe(1);
    // In the worst order for a list: the newest first.
    for (const subscription of leaving.reverse()) subscription.end();
    controller.abort();
    const { user } = process.cpuUsage(started);
    expect(told).toBe(count);
    expect(user / 1_000).toBeLessThan(300);
  });
});

describe('a signal among our own layers', () => {
  test('tells its subscribers once, in their order, but for those who left', () => {
    const inner = new InnerSignal();
    const told: unknown[] = [];
    const [, second] = [1, 2, 3].map(
      (id) => new AbortSubscription(inner.asSignal, { onAbort: (reason) => told.push([id, reason]) }),
    );
    second?.end();
    expect([inner.aborted, inner.reason]).toEqual([false, undefined]);
    inner.abort(undefined);
    inner.abort('second');
    expect([inner.aborted, inner.reason]).toEqual([true, undefined]);
    expect(told).toEqual([
      [1, undefined],
      [3, undefined],
    ]);
  });

  test('who leaves or comes while it tells is heard', () => {
    const inner = new InnerSignal();
    const told: string[] = [];
    new AbortSubscription(inner.asSignal, {
      onAbort: () => {
        told.push('first');
        leaving.end();
        new AbortSubscription(inner.asSignal, { onAbort: () => told.push('late') });
      },
    });
    const leaving = new AbortSubscription(inner.asSignal, { onAbort: () => told.push('gone') });
    inner.abort('over');
    expect(told).toEqual(['first', 'late']);
  });

  test('is no event target', () => {
    expect(() => new InnerSignal().asSignal.addEventListener('abort', () => {})).toThrow(TypeError);
  });
});
