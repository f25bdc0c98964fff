import { afterEach, beforeEach, describe, expect, expectTypeOf, type MockInstance, test, vi } from 'vitest';
import { HookSet, type Listeners, reportError } from '../../src/metrics/hooks.js';

interface Hooks {
  onA?: ((event: { readonly a: number }) => void) | undefined;
  onB?: ((event: { readonly b: string }) => void) | undefined;
}

const make = (hooks?: Hooks) => new HookSet<Hooks>('mine', ['onA', 'onB'], hooks);
const tellA = (set: HookSet<Hooks>, a: number) => {
  const { onA } = set.listeners;
  if (onA !== undefined) set.tell(onA, { a });
};
const flush = () => new Promise((resolve) => setImmediate(resolve));

let reporter: MockInstance<typeof console.error>;
beforeEach(() => {
  reporter = vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a set of hooks', () => {
  test('without listeners there is nothing to tell, so no event need be made', () => {
    const set = make();
    expect([set.listeners.onA, set.listeners.onB]).toEqual([undefined, undefined]);
    const end = set.subscribe({ onA: () => {} });
    expect([set.listeners.onA?.length, set.listeners.onB]).toEqual([1, undefined]);
    end();
    expect(set.listeners.onA).toBe(undefined);
  });

  test('explicit undefined is no listener', () => {
    const set = make({ onA: undefined });
    expect(set.listeners.onA).toBe(undefined);
  });

  test('tells all of them in the order of subscription, with the event as it is', () => {
    const told: unknown[] = [];
    const set = make({ onA: (event) => told.push(['first', event]) });
    set.subscribe({ onA: (event) => told.push(['second', event]), onB: () => told.push('b') });
    const event = { a: 1 };
    set.tell(set.listeners.onA as Listeners<{ a: number }>, event);
    expect(told).toEqual([
      ['first', event],
      ['second', event],
    ]);
  });

  test('calls a hook as a method of its object', () => {
    class Counter {
      count = 0;
      onA() {
        this.count++;
      }
    }
    const counter = new Counter();
    const set = make(counter);
    tellA(set, 1);
    tellA(set, 2);
    expect(counter.count).toBe(2);
    expect(reporter).not.toHaveBeenCalled();
  });

  test('one object subscribed twice is told twice, and each end ends one', () => {
    const onA = vi.fn();
    const hooks = { onA };
    const set = make();
    const ends = [set.subscribe(hooks), set.subscribe(hooks)];
    tellA(set, 1);
    expect(onA).toHaveBeenCalledTimes(2);
    ends[0]?.();
    ends[0]?.();
    tellA(set, 2);
    expect(onA).toHaveBeenCalledTimes(3);
    ends[1]?.();
    tellA(set, 3);
    expect(onA).toHaveBeenCalledTimes(3);
  });

  test('hooks may leave and come inside a hook; the event under way goes to those who were there', () => {
    const told: string[] = [];
    const set = make();
    const endFirst = set.subscribe({
      onA: () => {
        told.push('first');
        endFirst();
        endSecond();
        set.subscribe({ onA: () => told.push('born') });
      },
    });
    const endSecond = set.subscribe({ onA: () => told.push('second') });
    tellA(set, 1);
    expect(told).toEqual(['first', 'second']);
    tellA(set, 2);
    expect(told).toEqual(['first', 'second', 'born']);
  });

  test('a hook may cause another event', () => {
    const told: number[] = [];
    const set: HookSet<Hooks> = make({
      onA: ({ a }) => {
        if (a < 3) tellA(set, a + 1);
        told.push(a);
      },
    });
    tellA(set, 1);
    expect(told).toEqual([3, 2, 1]);
  });

  // MET-01, MET-02, MET-04, POOL-49: throwing listeners that reject the call, kill the process or end all others.
  test.each([new Error('hook'), undefined, 0, ''])(
    'a hook that throws %o is contained, the others are told, and it is reported once',
    (fault) => {
      const after = vi.fn();
      const set = make({
        onA: () => {
          throw fault;
        },
      });
      set.subscribe({ onA: after });
      for (let i = 0; i < 5; i++) tellA(set, i);
      expect(after).toHaveBeenCalledTimes(5);
      expect(reporter.mock.calls).toEqual([
        ['[paceline] A hook of `mine` failed; further failures of it are not shown.', fault],
      ]);
    },
  );

  test('a hook that rejects is contained and reported once, also by a thenable', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const fault = new Error('async');
    const set = make({ onA: (() => Promise.reject(fault)) as () => void });
    // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
    const thenable = { then: (_yes: unknown, no: (error: unknown) => void) => no('thenable') };
    set.subscribe({ onA: (() => thenable) as unknown as () => void });
    for (let i = 0; i < 5; i++) tellA(set, i);
    await flush();
    process.off('unhandledRejection', unhandled);
    expect(reporter.mock.calls.map(([, error]) => error)).toEqual([fault, 'thenable']);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('each broken hook is reported, but only once, over all events and subscriptions of it', () => {
    const broken = () => {
      throw new Error('x');
    };
    const other = () => {
      throw new Error('y');
    };
    const set = make({ onA: broken, onB: broken });
    set.subscribe({ onA: broken });
    set.subscribe({ onA: other });
    tellA(set, 1);
    const { onB } = set.listeners;
    if (onB !== undefined) set.tell(onB, { b: '' });
    expect(reporter).toHaveBeenCalledTimes(2);
  });

  test('what a hook returns is dropped, whatever it is', async () => {
    const values = [
      null,
      0,
      'x',
      {},
      Promise.resolve(),
      {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
        get then() {
          throw new Error('getter');
        },
      },
    ];
    for (const value of values) tellA(make({ onA: (() => value) as () => void }), 1);
    await flush();
    // Only the one whose `then` throws has failed.
    expect(reporter).toHaveBeenCalledTimes(1);
  });

  test.each([
    [5, /^Expected `hooks` to be an object of functions, got `5`$/],
    [null, /`hooks`.*got `null`/],
    [() => {}, /`hooks`.*got `a function`/],
    [{ onA: 5 }, /^Expected `hooks.onA` to be a function, got `5`$/],
    [{ onB: null }, /`hooks.onB`.*got `null`/],
  ])('refuses %o at once, and takes nothing of it', (hooks, message) => {
    expect(() => make(hooks as unknown as Hooks)).toThrow(message);
    const set = make();
    expect(() => set.subscribe(hooks as unknown as Hooks)).toThrow(TypeError);
    expect(set.listeners.onA).toBe(undefined);
  });

  test('a hook that is added to the object later is not seen: subscribe again', () => {
    const hooks: Hooks = {};
    const set = make(hooks);
    hooks.onA = vi.fn();
    tellA(set, 1);
    expect(hooks.onA).not.toHaveBeenCalled();
  });

  test('knows the event of each hook', () => {
    expectTypeOf<NonNullable<HookSet<Hooks>['listeners']['onA']>>().toEqualTypeOf<Listeners<{ readonly a: number }>>();
  });
});

describe('reportError', () => {
  test('writes to the console of the moment, with a prefix', () => {
    reportError('message', 'error');
    expect(reporter.mock.calls).toEqual([['[paceline] message', 'error']]);
  });

  test('does without a console, or with one that throws', () => {
    reporter.mockImplementation(() => {
      throw new Error('broken pipe');
    });
    reportError('message', 'error');
    vi.stubGlobal('console', undefined);
    reportError('message', 'error');
    vi.unstubAllGlobals();
    expect(reporter).toHaveBeenCalledTimes(1);
  });
});
