import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from '../../src/breaker/index.js';
import { isRefusedError, RefusedError } from '../../src/core/errors.js';
import type { Permit } from '../../src/core/permit.js';
import { fails, held, refusalOf, rejection, tell, turns, works } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const later = (ms: number) => vi.advanceTimersByTime(ms);

describe('options', () => {
  test.each([
    ['name', 1, TypeError],
    ['failureRate', Number.NaN, RangeError],
    ['failureRate', -0.1, RangeError],
    ['failureRate', 1.1, RangeError],
    ['failureRate', '0.5', TypeError],
    ['minCalls', 0, RangeError],
    ['minCalls', 1.5, RangeError],
    ['minCalls', Number.NaN, RangeError],
    ['minCalls', null, TypeError],
    ['window', 0, RangeError],
    ['window', Number.NaN, RangeError],
    ['window', Number.POSITIVE_INFINITY, RangeError],
    ['consecutiveFailures', 0, RangeError],
    ['consecutiveFailures', Number.NaN, RangeError],
    ['openFor', -1, RangeError],
    ['openFor', Number.NaN, RangeError],
    ['probes', 0, RangeError],
    ['probes', Number.POSITIVE_INFINITY, RangeError],
    ['probes', '1', TypeError],
    ['probeTimeout', 0, RangeError],
    ['probeTimeout', Number.POSITIVE_INFINITY, RangeError],
    ['classify', 'success', TypeError],
    ['hooks', 1, TypeError],
  ])('%s: %s throws at once', (option, value, kind) => {
    const make = () => new CircuitBreaker({ [option]: value });
    expect(make).toThrow(kind);
    expect(make).toThrow(`\`${option}\``);
  });

  test('all may be left out, or be undefined', () => {
    const { name, state } = new CircuitBreaker();
    expect([name, state]).toEqual(['breaker', 'closed']);
    const undefinedOptions = { failureRate: undefined, minCalls: undefined, probes: undefined, hooks: undefined };
    expect(new CircuitBreaker({ name: 'openai', ...undefinedOptions }).name).toBe('openai');
    expect(() => new CircuitBreaker(1 as never)).toThrow(TypeError);
  });

  test('arguments are checked', async () => {
    const breaker = new CircuitBreaker();
    expect(await rejection(breaker.execute(works() as never))).toBeInstanceOf(TypeError);
    expect(await rejection(breaker.execute(works, 1 as never))).toBeInstanceOf(TypeError);
    expect(await rejection(breaker.execute(works, { signal: 1 } as never))).toBeInstanceOf(TypeError);
    expect(() => breaker.acquire({ signal: 1 } as never)).toThrow(TypeError);
    expect(() => breaker.tryAcquire(1 as never)).toThrow(TypeError);
    expect(() => breaker.forceOpen(Number.NaN)).toThrow(RangeError);
    expect(() => breaker.forceOpen(-1)).toThrow(RangeError);
    expect(() => breaker.onChange(1 as never)).toThrow(TypeError);
    expect(() => breaker.subscribe({ onRefuse: 1 } as never)).toThrow(TypeError);
    expect(breaker.getMetrics().calls).toBe(0);
  });
});

describe('closed', () => {
  test('opens at the rate, once there are enough calls', () => {
    const breaker = new CircuitBreaker({ failureRate: 0.5, minCalls: 4 });
    tell(breaker, 'failure', 3);
    expect(breaker.state).toBe('closed');
    tell(breaker, 'success');
    // The fourth, a success, makes it three of four.
    expect(breaker.state).toBe('open');
  });

  test('stays closed below the rate', () => {
    const breaker = new CircuitBreaker({ failureRate: 0.5, minCalls: 4 });
    for (let i = 0; i < 100; i++) {
      tell(breaker, 'success', 2);
      tell(breaker, 'failure');
    }
    expect([breaker.state, breaker.getMetrics().failureRate]).toEqual(['closed', 100 / 300]);
  });

  test('a rate that no float can hold is reached by that very share', () => {
    const breaker = new CircuitBreaker({ failureRate: 0.07, minCalls: 100 });
    tell(breaker, 'success', 93);
    tell(breaker, 'failure', 7);
    expect(breaker.state).toBe('open');
  });

  test('opens after so many in a row, however long that takes, and a success begins anew', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 3, minCalls: Number.POSITIVE_INFINITY });
    for (const verdict of ['failure', 'overload', 'success', 'failure', 'ignore', 'overload'] as const) {
      tell(breaker, verdict);
      later(3_600_000);
    }
    expect(breaker.state).toBe('closed');
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });

  test('without bad calls a rate of 0 opens nothing, and the first one opens it', () => {
    const breaker = new CircuitBreaker({ failureRate: 0, minCalls: 1 });
    tell(breaker, 'success', 50);
    expect(breaker.state).toBe('closed');
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });

  test.each([
    ['success', 'closed'],
    ['failure', 'open'],
    ['overload', 'open'],
    ['ignore', 'closed'],
  ] as const)('ten times %s leave it %s', (verdict, state) => {
    const breaker = new CircuitBreaker();
    tell(breaker, verdict, 10);
    expect(breaker.state).toBe(state);
  });

  test('what is ignored is in neither part of the rate', () => {
    const breaker = new CircuitBreaker({ minCalls: 4 });
    tell(breaker, 'ignore', 100);
    tell(breaker, 'failure', 3);
    expect(breaker.state).toBe('closed');
    tell(breaker, 'ignore', 100);
    expect(breaker.getMetrics().failureRate).toBe(1);
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });

  test('a success that is older than the window counts no more', () => {
    const breaker = new CircuitBreaker({ window: 1_000, minCalls: 5 });
    tell(breaker, 'success', 100);
    later(999);
    tell(breaker, 'failure', 5);
    expect(breaker.state).toBe('closed');
    later(1);
    expect(breaker.getMetrics().failureRate).toBe(1);
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });
});

describe('open', () => {
  test('refuses with the time that is left, and runs nothing', async () => {
    const breaker = new CircuitBreaker({ name: 'openai', consecutiveFailures: 1, openFor: 500 });
    tell(breaker, 'failure');
    later(100);
    const task = vi.fn(works);
    const error = (await rejection(breaker.execute(task))) as CircuitOpenError;
    expect(task).not.toHaveBeenCalled();
    expect(error).toBeInstanceOf(CircuitOpenError);
    expect(error).toBeInstanceOf(RefusedError);
    expect(isRefusedError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'CIRCUIT_OPEN', name: 'CircuitOpenError', source: 'openai', retryAfter: 400 });
    expect(error.message).toBe('`openai` is open; try again in 400 ms');
    expect(() => breaker.acquire()).toThrow(CircuitOpenError);
    expect(breaker.tryAcquire()).toBeInstanceOf(CircuitOpenError);
    expect(breaker.shutReason()).toBeInstanceOf(CircuitOpenError);
  });

  test('is half-open at the very ms', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    tell(breaker, 'failure');
    later(499);
    expect(breaker.state).toBe('open');
    later(1);
    expect(breaker.state).toBe('half-open');
  });

  test('an openFor of Infinity lasts until it is reset', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: Number.POSITIVE_INFINITY });
    tell(breaker, 'failure');
    later(1e12);
    expect(refusalOf(breaker)?.retryAfter).toBe(Number.POSITIVE_INFINITY);
    breaker.reset();
    expect(breaker.state).toBe('closed');
  });

  test('an openFor of 0 is half-open at the next look', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 0 });
    tell(breaker, 'failure');
    expect(breaker.state).toBe('half-open');
  });

  describe('Retry-After', () => {
    const open = (...hints: (number | undefined)[]) => {
      const breaker = new CircuitBreaker({ consecutiveFailures: hints.length, openFor: 500, window: 10_000 });
      for (const hint of hints) {
        tell(breaker, 'overload', 1, hint);
        later(100);
      }
      return breaker;
    };

    test('of the result that opens it is how long it stays open, if that is longer', () => {
      expect(refusalOf(open(2_000))?.retryAfter).toBe(1_900);
      expect(refusalOf(open(200))?.retryAfter).toBe(400);
    });

    test('of earlier results in the window counts from when it came', () => {
      expect(refusalOf(open(3_000, undefined, 1_000))?.retryAfter).toBe(2_700);
    });

    test('of a result that has left the window does not', () => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 2, openFor: 500, window: 1_000 });
      tell(breaker, 'failure', 1, 3_600_000);
      later(1_000);
      tell(breaker, 'failure');
      expect(refusalOf(breaker)?.retryAfter).toBe(500);
    });

    test('nor one that left it while others came', () => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 12, minCalls: 100, openFor: 500, window: 1_000 });
      tell(breaker, 'failure', 1, 3_600_000);
      for (let i = 0; i < 10; i++) {
        later(100);
        tell(breaker, 'failure');
      }
      expect(breaker.state).toBe('closed');
      tell(breaker, 'failure', 1, 700);
      expect(refusalOf(breaker)?.retryAfter).toBe(700);
    });

    test('does not open it by itself', () => {
      const breaker = new CircuitBreaker();
      tell(breaker, 'overload', 1, 60_000);
      expect(breaker.state).toBe('closed');
    });

    test('of a trial call', () => {
      const breaker = open(undefined);
      later(500);
      tell(breaker, 'failure', 1, 9_000);
      expect(refusalOf(breaker)?.retryAfter).toBe(9_000);
    });

    test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, undefined, '5' as never])('of %s is none', (hint) => {
      expect(refusalOf(open(hint))?.retryAfter).toBe(400);
    });

    test('of a success says nothing', () => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
      tell(breaker, 'success', 1, 60_000);
      tell(breaker, 'failure');
      expect(refusalOf(breaker)?.retryAfter).toBe(500);
    });

    test('beyond all bounds is a finite time', () => {
      const { retryAfter } = refusalOf(open(Number.MAX_VALUE)) as CircuitOpenError;
      expect(retryAfter).toBeGreaterThan(1e300);
      expect(Number.isFinite(retryAfter)).toBe(true);
    });

    test('is read from errors and from responses by execute', async () => {
      const failing = Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': '40' } });
      const response = { ok: false, status: 503, headers: new Headers({ 'retry-after': '50' }) };
      for (const [task, seconds] of [
        [() => Promise.reject(failing), 40],
        [() => Promise.resolve(response), 50],
      ] as const) {
        const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
        await breaker.execute<unknown>(task).catch(() => {});
        expect(refusalOf(breaker)?.retryAfter).toBe(seconds * 1_000);
      }
    });
  });
});

describe('half-open', () => {
  const halfOpen = (options = {}) => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probeTimeout: 1_000, ...options });
    tell(breaker, 'failure');
    later(500);
    return breaker;
  };

  test('closes when as many trial calls succeeded as there are places', () => {
    const breaker = halfOpen({ probes: 3 });
    tell(breaker, 'success', 2);
    expect(breaker.state).toBe('half-open');
    tell(breaker, 'success');
    expect(breaker.state).toBe('closed');
  });

  test('one that fails opens it again, for as long', () => {
    const breaker = halfOpen({ probes: 3 });
    tell(breaker, 'success', 2);
    tell(breaker, 'failure');
    expect(refusalOf(breaker)?.retryAfter).toBe(500);
    later(500);
    tell(breaker, 'success', 2);
    expect(breaker.state).toBe('half-open');
  });

  test('further callers are refused until the first trial call times out, at the latest', () => {
    const breaker = halfOpen({ probes: 2 });
    breaker.acquire();
    later(300);
    breaker.acquire();
    later(100);
    expect(refusalOf(breaker)?.retryAfter).toBe(600);
    expect(breaker.shutReason()?.retryAfter).toBe(600);
    later(600);
    expect(breaker.shutReason()).toBeUndefined();
    expect(breaker.tryAcquire()).toBeTypeOf('object');
    expect(refusalOf(breaker)?.retryAfter).toBe(300);
  });

  test('a trial call that timed out is ignored when it ends, whoever has looked meanwhile', () => {
    for (const look of [false, true]) {
      for (const verdict of ['failure', 'success'] as const) {
        const breaker = halfOpen();
        const late = breaker.acquire();
        later(1_000);
        if (look) expect(breaker.state).toBe('half-open');
        late.release(verdict);
        expect(breaker.state).toBe('half-open');
        tell(breaker, 'success');
        expect(breaker.state).toBe('closed');
      }
    }
  });

  test('a trial call that timed out does not give back the place of the next', () => {
    const breaker = halfOpen();
    const late = breaker.acquire();
    later(1_000);
    breaker.acquire();
    late.release('ignore');
    expect(refusalOf(breaker)).toBeInstanceOf(CircuitOpenError);
  });

  test('a report frees no place, but ignore does', () => {
    const breaker = halfOpen({ probes: 2 });
    const [first, second] = [breaker.acquire(), breaker.acquire()];
    first.report('success');
    expect(refusalOf(breaker)).toBeInstanceOf(CircuitOpenError);
    second.report('ignore');
    const third = breaker.acquire();
    expect(refusalOf(breaker)).toBeInstanceOf(CircuitOpenError);
    third.release('success');
    expect(breaker.state).toBe('closed');
  });

  test('a permit that is given back unused is no success', () => {
    const breaker = halfOpen();
    breaker.acquire().release();
    expect(breaker.state).toBe('half-open');
    const permit = breaker.acquire();
    permit.started();
    permit.release();
    expect(breaker.state).toBe('closed');
  });

  test('and its verdict counts if there is one', () => {
    for (const [verdict, state] of [
      ['success', 'closed'],
      ['failure', 'open'],
    ] as const) {
      const breaker = halfOpen();
      breaker.acquire().release(verdict);
      expect(breaker.state).toBe(state);
    }
  });
});

describe('results from before a change of state', () => {
  test('count nothing, whatever state it is in when they come', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probes: 2 });
    const old = Array.from({ length: 8 }, () => breaker.acquire());
    const end = (verdict: 'success' | 'failure') => {
      old.pop()?.release(verdict);
      return breaker.getMetrics();
    };
    tell(breaker, 'failure');
    expect(end('failure')).toMatchObject({ state: 'open', timesOpened: 1, failureRate: 0 });
    expect(end('success')).toMatchObject({ state: 'open' });
    later(500);
    expect(end('failure')).toMatchObject({ state: 'half-open', failureRate: 0 });
    expect(end('success')).toMatchObject({ state: 'half-open' });
    expect(end('success')).toMatchObject({ state: 'half-open' });
    tell(breaker, 'success', 2);
    expect(end('failure')).toMatchObject({ state: 'closed', failureRate: 0 });
    breaker.reset();
    expect(end('failure')).toMatchObject({ state: 'closed', failureRate: 0 });
  });

  test('those of trial calls of an earlier time count nothing either', () => {
    const breaker = new CircuitBreaker({ probes: 2, openFor: 500 });
    breaker.forceOpen(0);
    const [first, second] = [breaker.acquire(), breaker.acquire()];
    first.release('failure');
    later(500);
    const third = breaker.acquire();
    second.release('failure', 60_000);
    expect(breaker.state).toBe('half-open');
    third.release('success');
    second.release('success');
    expect(breaker.state).toBe('half-open');
    tell(breaker, 'success');
    expect(breaker.state).toBe('closed');
  });

  test('are not even read', async () => {
    const classify = vi.fn(() => 'failure' as const);
    const breaker = new CircuitBreaker({ classify });
    const call = held();
    const promise = breaker.execute(call.task);
    breaker.reset();
    call.resolve('value');
    expect(await promise).toBe('value');
    expect(classify).not.toHaveBeenCalled();
  });
});

describe('by hand', () => {
  test('forceOpen lasts for its duration, then trial calls go', () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(700);
    expect(refusalOf(breaker)?.retryAfter).toBe(700);
    later(700);
    expect(breaker.state).toBe('half-open');
    tell(breaker, 'success');
    expect(breaker.state).toBe('closed');
  });

  test('forceOpen without one lasts until reset', () => {
    const breaker = new CircuitBreaker({ name: 'shop' });
    breaker.forceOpen();
    later(1e9);
    expect(refusalOf(breaker)?.message).toBe('`shop` is open until it is reset');
    breaker.reset();
    expect(refusalOf(breaker)).toBeUndefined();
  });

  test('forceOpen of an open one replaces what it had left, and is no second opening', () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen();
    breaker.forceOpen(100);
    expect(refusalOf(breaker)?.retryAfter).toBe(100);
    expect(breaker.getMetrics().timesOpened).toBe(1);
  });

  test('forceOpen while half-open ends the trial', () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(0);
    const trial = breaker.acquire();
    breaker.forceOpen(100);
    trial.release('success');
    expect(breaker.state).toBe('open');
  });

  test('reset forgets the window and the row', () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 3, minCalls: 4 });
    tell(breaker, 'failure', 2);
    breaker.reset();
    tell(breaker, 'failure', 2);
    expect([breaker.state, breaker.getMetrics().timesOpened]).toEqual(['closed', 0]);
  });
});

describe('execute', () => {
  test('starts inside the call, and settles as the task does', async () => {
    const breaker = new CircuitBreaker({ minCalls: 100 });
    const task = vi.fn(() => 'value');
    const promise = breaker.execute(task);
    expect(task).toHaveBeenCalledOnce();
    expect(await promise).toBe('value');
    // biome-ignore lint/suspicious/noThenProperty: a thenable.
    const thenable = { then: (resolve: (value: number) => void) => resolve(7) };
    expect(await breaker.execute(() => thenable as PromiseLike<number>)).toBe(7);
    for (const reason of [new Error('down'), undefined, 0, '', null, Number.NaN]) {
      expect(await rejection(breaker.execute(() => Promise.reject(reason)))).toBe(reason);
      const thrower = () => {
        throw reason;
      };
      expect(await rejection(breaker.execute(thrower))).toBe(reason);
      const { signal } = new AbortController();
      expect(await rejection(breaker.execute(thrower, { signal }))).toBe(reason);
      expect(await rejection(breaker.execute(() => Promise.reject(reason), { signal }))).toBe(reason);
    }
    expect(breaker.getMetrics().calls).toBe(2 + 4 * 6);
  });

  test('counts before its caller has the answer', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
    const state = await breaker.execute(fails).catch(() => breaker.state);
    expect(state).toBe('open');
  });

  test('reads a result by classify, or by the default if that throws or talks nonsense', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const answers = [
      () => 'failure',
      () => 'nonsense',
      () => {
        throw new Error('classify');
      },
    ];
    const states: string[] = [];
    for (const classify of answers) {
      for (const task of [works, fails]) {
        const breaker = new CircuitBreaker({ consecutiveFailures: 1, classify: classify as never });
        await breaker.execute<unknown>(task).catch(() => {});
        states.push(breaker.state);
      }
    }
    expect(states).toEqual(['open', 'open', 'closed', 'open', 'closed', 'open']);
    expect(error).toHaveBeenCalledTimes(2);
  });

  test('by default takes a 404 for a success and a 500 for a failure', async () => {
    for (const [status, state] of [
      [404, 'closed'],
      [500, 'open'],
      [429, 'open'],
    ] as const) {
      for (const task of [
        () => Promise.reject(Object.assign(new Error('HTTP'), { status })),
        () => Promise.resolve({ ok: false, status, headers: new Headers() }),
      ]) {
        const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
        await breaker.execute<unknown>(task).catch(() => {});
        expect(breaker.state).toBe(state);
      }
    }
  });

  test('with a signal that has aborted runs nothing, and rejects with the reason itself', async () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen();
    const task = vi.fn(works);
    for (const reason of [0, undefined, new Error('left')]) {
      const { signal } = abortedWith(reason);
      expect(await rejection(breaker.execute(task, { signal }))).toBe(signal.reason);
      expect(() => breaker.acquire({ signal })).toThrow();
    }
    expect(task).not.toHaveBeenCalled();
    expect(breaker.getMetrics()).toMatchObject({ calls: 0, refused: 0 });
  });

  test('an abort rejects at once, reaches the task, and counts nothing', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
    for (const late of ['resolve', 'reject'] as const) {
      const call = held();
      const controller = new AbortController();
      let reached: unknown;
      const promise = breaker.execute(
        ({ signal }) => {
          signal.addEventListener('abort', () => {
            reached = signal.reason;
          });
          return call.task();
        },
        { signal: controller.signal },
      );
      const outcome = rejection(promise);
      controller.abort('left');
      expect(reached).toBe('left');
      expect(await outcome).toBe('left');
      call[late]();
      await turns();
    }
    expect(breaker.getMetrics()).toMatchObject({ state: 'closed', calls: 2, failureRate: 0 });
  });

  test('a task that aborts its own caller is ignored', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1 });
    const controller = new AbortController();
    const task = () => {
      controller.abort('by itself');
      throw new Error('down');
    };
    expect(await rejection(breaker.execute(task, { signal: controller.signal }))).toBe('by itself');
    expect(breaker.state).toBe('closed');
  });

  test('an aborted trial call makes room at once', async () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(0);
    const controller = new AbortController();
    const outcome = rejection(breaker.execute(held().task, { signal: controller.signal }));
    expect(refusalOf(breaker)).toBeInstanceOf(CircuitOpenError);
    controller.abort('left');
    expect(refusalOf(breaker)).toBeUndefined();
    expect(await outcome).toBe('left');
  });

  test('leaves no listener on a signal, however the call ends', async () => {
    const breaker = new CircuitBreaker({ minCalls: 1_000 });
    const controller = new AbortController();
    const { signal } = controller;
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const calls = Array.from({ length: 100 }, (_, i) => breaker.execute<unknown>(i % 2 ? works : fails, { signal }));
    await Promise.allSettled(calls);
    expect([added.mock.calls.length, removed.mock.calls.length]).toEqual([1, 1]);
  });

  test('gives a task a signal of its own, that no other task has', async () => {
    const breaker = new CircuitBreaker();
    const signals = new Set<AbortSignal>();
    for (let i = 0; i < 3; i++) await breaker.execute(({ signal }) => signals.add(signal));
    expect(signals.size).toBe(3);
  });

  test('is not fooled by a `then` that somebody put on a promise', async () => {
    const breaker = new CircuitBreaker();
    // biome-ignore lint/suspicious/noThenProperty: what is tested.
    const promise = Object.assign(Promise.resolve(1), { then: () => 'never' });
    expect(await breaker.execute(() => promise)).toBe(1);
  });
});

function abortedWith(reason: unknown): AbortController {
  const controller = new AbortController();
  controller.abort(reason);
  return controller;
}

describe('a permit', () => {
  test('counts once, by its first verdict', () => {
    const breaker = new CircuitBreaker({ minCalls: 2 });
    const permit = breaker.acquire();
    permit.started();
    permit.report('success');
    permit.report('failure');
    permit.release('failure');
    permit.release('failure');
    expect(breaker.getMetrics()).toMatchObject({ calls: 1, failureRate: 0 });
  });

  test('given back unused is no call', () => {
    const breaker = new CircuitBreaker();
    breaker.acquire().release();
    breaker.acquire().release('ignore');
    breaker.acquire()[Symbol.dispose]();
    breaker.tryPlace();
    expect(breaker.getMetrics().calls).toBe(0);
  });

  test('refuses an unknown verdict', () => {
    expect(() => new CircuitBreaker().acquire().report('fine' as never)).toThrow(RangeError);
  });
});

describe('onChange', () => {
  test('wakes after each change of state, and when a trial call makes room', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probes: 2 });
    const woken: string[] = [];
    const end = breaker.onChange(() => woken.push(breaker.state));
    const expectWoken = (...states: string[]) => expect(woken.splice(0)).toEqual(states);
    tell(breaker, 'success', 3);
    expectWoken();
    tell(breaker, 'failure');
    expectWoken('open');
    later(500);
    expectWoken();
    expect(breaker.state).toBe('half-open');
    expectWoken('half-open');
    breaker.acquire().release();
    expectWoken('half-open');
    await breaker.execute(works);
    expectWoken('half-open');
    tell(breaker, 'success');
    expectWoken('closed');
    breaker.forceOpen();
    expectWoken('open');
    breaker.reset();
    expectWoken('closed');
    breaker.reset();
    expectWoken();
    end();
    end();
    breaker.forceOpen();
    expectWoken();
  });

  test('a listener that throws, or ends another, disturbs nobody', () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const breaker = new CircuitBreaker();
    const [second, third] = [vi.fn(), vi.fn()];
    breaker.onChange(() => {
      endSecond();
      throw new Error('listener');
    });
    const endSecond = breaker.onChange(second);
    breaker.onChange(third);
    breaker.forceOpen();
    expect([second.mock.calls.length, third.mock.calls.length]).toEqual([0, 1]);
    expect(error).toHaveBeenCalledOnce();
  });

  test('one that takes each place as it comes free meets the same bounds', () => {
    const breaker = new CircuitBreaker({ probes: 3 });
    breaker.forceOpen(0);
    const got: Permit[] = [];
    breaker.onChange(() => {
      const answer = breaker.tryAcquire();
      if (!(answer instanceof CircuitOpenError)) got.push(answer as Permit);
    });
    // The first look makes it half-open, of which the listener is told at once.
    const mine = [breaker.acquire(), breaker.acquire()];
    expect(got.length).toBe(1);
    mine[0]?.release();
    mine[1]?.release();
    expect([got.length, refusalOf(breaker)]).toEqual([3, expect.any(CircuitOpenError)]);
  });
});

test('forceOpen looks first: what was over by then opens anew, and is counted', () => {
  const breaker = new CircuitBreaker({ openFor: 100 });
  breaker.forceOpen(50);
  vi.advanceTimersByTime(50);
  breaker.forceOpen(50);
  expect(breaker.getMetrics()).toMatchObject({ state: 'open', timesOpened: 2 });
});
