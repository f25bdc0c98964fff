import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type AsyncContextPort, chooseAsyncContext } from '../../src/core/async-context.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Made while nothing in this process uses a store: on Node 20 and 22 it has no id. */
const early = new Promise<never>(() => {});

/** What a pool does: makes the promise of a task that has to wait, captures, and starts the task from somewhere else. */
function submit(port: AsyncContextPort): unknown {
  return port.capture(new Promise(() => {}));
}

describe('on this runtime', () => {
  test("keeps each submitter's store, twelve of them and one without", () => {
    const storage = new AsyncLocalStorage<number>();
    const port = chooseAsyncContext();
    const captured = Array.from({ length: 12 }, (_, i) => storage.run(i, submit, port));
    captured.push(submit(port));
    const seen: unknown[] = [];
    const look = () => seen.push(storage.getStore());
    for (const each of captured) port.run(each, look, undefined);
    // And from within the context of a stranger.
    storage.run(99, () => {
      for (const each of captured) port.run(each, look, undefined);
      look();
    });
    const expected = [...Array.from({ length: 12 }, (_, i) => i), undefined];
    expect(seen).toEqual([...expected, ...expected, 99]);
  });

  test('a task submitted in no context sees none, also if the first one to wait was in one', () => {
    const storage = new AsyncLocalStorage<string>();
    const port = storage.run('first', chooseAsyncContext);
    const captured = submit(port);
    let seen: unknown = 'not run';
    storage.run('stranger', () => {
      port.run(
        captured,
        () => {
          seen = storage.getStore();
        },
        undefined,
      );
    });
    expect(seen).toBe(undefined);
  });

  test('nor does one whose promise was made before any store was in use, though the port was made inside one', () => {
    const storage = new AsyncLocalStorage<string>();
    const port = storage.run('first', chooseAsyncContext);
    const captured = port.capture(early);
    let seen: unknown = 'not run';
    const look = () => {
      seen = storage.getStore();
    };
    storage.run('stranger', () => port.run(captured, look, undefined));
    expect(seen).toBe(undefined);
  });

  test('keeps several stores at once, and through awaits', async () => {
    const [a, b] = [new AsyncLocalStorage<string>(), new AsyncLocalStorage<string>()];
    const port = chooseAsyncContext();
    const captured = a.run('a', () => b.run('b', submit, port));
    const seen: unknown[] = [];
    await new Promise<void>((done) => {
      port.run(
        captured,
        (argument) => {
          void (async () => {
            seen.push(a.getStore(), b.getStore(), argument);
            await Promise.resolve();
            seen.push(a.getStore(), b.getStore());
            done();
          })();
        },
        'argument',
      );
    });
    expect(seen).toEqual(['a', 'b', 'argument', 'a', 'b']);
    expect([a.getStore(), b.getStore()]).toEqual([undefined, undefined]);
  });

  test('nests, and comes back to where it was', () => {
    const storage = new AsyncLocalStorage<string>();
    const port = chooseAsyncContext();
    const [outer, inner, none] = [storage.run('outer', submit, port), storage.run('inner', submit, port), submit(port)];
    const seen: unknown[] = [];
    const look = () => seen.push(storage.getStore());
    storage.run('here', () => {
      port.run(
        outer,
        () => {
          port.run(inner, look, undefined);
          look();
          port.run(none, look, undefined);
          look();
        },
        undefined,
      );
      look();
    });
    expect(seen).toEqual(['inner', 'outer', undefined, 'outer', 'here']);
  });

  test('a thousand turns of one port, in mixed order', () => {
    const storage = new AsyncLocalStorage<number>();
    const port = chooseAsyncContext();
    const captured = Array.from({ length: 1_000 }, (_, i) =>
      i % 7 === 0 ? submit(port) : storage.run(i, submit, port),
    );
    const order = captured.map((_, i) => (i * 389) % 1_000);
    for (const i of order) {
      let seen: unknown = 'not run';
      port.run(
        captured[i],
        () => {
          seen = storage.getStore();
        },
        undefined,
      );
      expect(seen).toBe(i % 7 === 0 ? undefined : i);
    }
  });
});

/** Other runtimes, as far as the port can see them. Each task's context is whatever `current` is when it is captured. */
function simulate(versions: object | undefined, symbols: { id?: symbol; trigger?: symbol; frame?: symbol }) {
  let current: unknown;
  let made = 0;
  class AsyncResource {
    [key: symbol]: unknown;
    readonly #frame: unknown;

    constructor(_type: string, _trigger?: number) {
      made++;
      this.#frame = current;
      if (symbols.id !== undefined) this[symbols.id] = made;
      if (symbols.trigger !== undefined) this[symbols.trigger] = 0;
      if (symbols.frame !== undefined) this[symbols.frame] = current;
    }

    runInAsyncScope<A, R>(fn: (argument: A) => R, _self: undefined, argument: A): R {
      const before = current;
      current = symbols.frame === undefined ? this.#frame : this[symbols.frame];
      try {
        return fn(argument);
      } finally {
        current = before;
      }
    }
  }
  vi.stubGlobal('process', {
    versions,
    getBuiltinModule: (id: string) => (id === 'node:async_hooks' ? { AsyncResource } : undefined),
  });
  return {
    port: chooseAsyncContext(),
    made: () => made,
    inContext<T>(context: unknown, fn: () => T): T {
      const before = current;
      current = context;
      try {
        return fn();
      } finally {
        current = before;
      }
    },
    seenBy(captured: unknown, port: AsyncContextPort): unknown {
      let seen: unknown = 'not run';
      port.run(
        captured,
        () => {
          seen = current;
        },
        undefined,
      );
      return seen;
    },
  };
}

const id = Symbol('async_id_symbol');
const trigger = Symbol('trigger_async_id_symbol');
const frame = Symbol('context_frame');

describe('on other runtimes', () => {
  test.each([
    ['Bun', { bun: '1.3.0', node: '24.0.0' }, {}],
    ['Deno', { deno: '2.5.0', node: '24.0.0' }, { id, trigger }],
    ['workerd, and any that calls its symbols otherwise', { node: '22.0.0' }, {}],
    ['one that tells no versions', undefined, {}],
  ])('%s: one resource for each task that waits', (_name, versions, symbols) => {
    const { port, made, inContext, seenBy } = simulate(versions, symbols);
    const before = made();
    const captured = ['a', 'b'].map((context) => inContext(context, () => submit(port)));
    const none = submit(port);
    expect(made() - before).toBe(3);
    inContext('stranger', () => {
      expect([...captured, none].map((each) => seenBy(each, port))).toEqual(['a', 'b', undefined]);
    });
  });

  test('Node 24: only the frame is kept, and one carrier takes each in turn', () => {
    const { port, inContext, seenBy } = simulate({ node: '24.0.0' }, { id, trigger, frame });
    const [a, b] = [{ frame: 'a' }, { frame: 'b' }];
    const captured = [a, b, a].map((context) => inContext(context, () => submit(port)));
    expect(captured).toEqual([a, b, a]);
    const none = submit(port);
    expect(none).toBe(undefined);
    inContext({ frame: 'stranger' }, () => {
      expect([...captured, none].map((each) => seenBy(each, port))).toEqual([a, b, a, undefined]);
    });
  });

  test('Node 24: the port of a pool that was first used inside a context still has a way to none', () => {
    const outer = { frame: 'first' };
    const simulated = simulate({ node: '24.0.0' }, { id, trigger, frame });
    const port = simulated.inContext(outer, chooseAsyncContext);
    expect(simulated.seenBy(undefined, port)).toBe(undefined);
  });

  test.each([
    ['no process at all', undefined],
    ['a process without built-in modules', {}],
    ['a process whose modules are others', { getBuiltinModule: () => undefined }],
    ['a module without the class', { getBuiltinModule: () => ({}) }],
  ])('%s: there is no context to keep, and tasks run all the same', (_name, process) => {
    vi.stubGlobal('process', process);
    const port = chooseAsyncContext();
    const fn = vi.fn();
    port.run(submit(port), fn, 'argument');
    expect(fn.mock.calls).toEqual([['argument']]);
  });
});
