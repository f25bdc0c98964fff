import { afterEach, describe, expect, test, vi } from 'vitest';
import { AbortSubscription } from '../../src/core/abort.js';
import { LazyContext } from '../../src/core/task-context.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('LazyContext', () => {
  test('makes no controller unless somebody looks, not even for an abort', () => {
    const made = vi.fn();
    const Real = AbortController;
    vi.stubGlobal(
      'AbortController',
      class extends Real {
        constructor() {
          super();
          made();
        }
      },
    );
    const context = new LazyContext();
    LazyContext.abort(context, 'reason');
    expect(made).not.toHaveBeenCalled();
    expect(context.signal.aborted).toBe(true);
    expect(made).toHaveBeenCalledTimes(1);
  });

  test('gives one signal, also destructured', () => {
    const context = new LazyContext();
    const { signal } = context;
    expect(signal).toBe(context.signal);
    expect(signal.aborted).toBe(false);
  });

  test.each([null, 0, '', false, new Error('x')])(
    'an abort with %o is seen, whether it comes before or after the look',
    (reason) => {
      const before = new LazyContext();
      LazyContext.abort(before, reason);
      expect([before.signal.aborted, before.signal.reason]).toEqual([true, reason]);

      const after = new LazyContext();
      const { signal } = after;
      const told = vi.fn();
      signal.addEventListener('abort', told);
      LazyContext.abort(after, reason);
      expect([signal.aborted, signal.reason]).toEqual([true, reason]);
      expect(told).toHaveBeenCalledTimes(1);
    },
  );

  test('the first reason holds', () => {
    for (const look of [true, false]) {
      const context = new LazyContext();
      if (look) void context.signal;
      LazyContext.abort(context, 'first');
      LazyContext.abort(context, 'second');
      expect(context.signal.reason).toBe('first');
    }
  });

  test('shows nothing but its signal to whoever has it', () => {
    expect(Object.keys(new LazyContext())).toEqual([]);
    expect(Reflect.ownKeys(LazyContext.prototype)).toEqual(['constructor', 'signal']);
  });

  test('its inner signal aborts with it, whoever was asked for first', () => {
    for (const order of [
      'inner, signal, abort',
      'signal, inner, abort',
      'inner, abort',
      'abort, inner',
      'signal, abort, inner',
    ]) {
      const context = new LazyContext();
      const told: unknown[] = [];
      for (const step of order.split(', ')) {
        if (step === 'signal') void context.signal;
        else if (step === 'abort') LazyContext.abort(context, 'reason');
        else if (!order.startsWith('abort') && !order.endsWith('abort, inner')) {
          new AbortSubscription(LazyContext.innerSignal(context), { onAbort: (reason) => told.push(reason) });
        }
      }
      const inner = LazyContext.innerSignal(context);
      expect([inner.aborted, inner.reason]).toEqual([true, 'reason']);
      expect(LazyContext.innerSignal(context)).toBe(inner);
      expect(context.signal.reason).toBe('reason');
      expect(told).toEqual(order.endsWith('inner') ? [] : ['reason']);
    }
  });
});
