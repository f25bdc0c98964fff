import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type BackgroundContext, BackgroundTasks, type TaskHandle } from '../../src/background/index.js';
import { ClosedError } from '../../src/core/errors.js';
import { QueueFullError } from '../../src/pool/errors.js';
import { deferred, never, outcomeOf, settle, silenceConsole } from './helpers.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('run', () => {
  test('starts a task in a microtask, never inside the call', async () => {
    const group = new BackgroundTasks();
    let started = false;
    group.run(() => {
      started = true;
    });
    expect(started).toBe(false);
    expect(group.running).toBe(1);
    await Promise.resolve();
    expect(started).toBe(true);
  });

  test('gives the task its name, the number of its attempt and a signal that is made on first read', async () => {
    const group = new BackgroundTasks();
    let context: BackgroundContext | undefined;
    const { name } = group.run(
      (given) => {
        context = given;
      },
      { name: 'mine' },
    );
    await settle();
    expect(name).toBe('mine');
    expect(context?.name).toBe('mine');
    expect(context?.attempt).toBe(1);
    expect(context?.signal.aborted).toBe(false);
    expect(context?.signal).toBe(context?.signal);
  });

  test('names a task after its function, else "task"', () => {
    const group = new BackgroundTasks();
    function sendMail(): void {}
    const odd = Object.defineProperty(() => {}, 'name', { value: 5 });
    expect(group.run(sendMail).name).toBe('sendMail');
    expect(group.run(() => {}).name).toBe('task');
    expect(group.run(odd as () => void).name).toBe('task');
    expect(group.run(sendMail, { name: 'mail' }).name).toBe('mail');
  });

  test('runs as many as allowed, then first in, first out', async () => {
    const group = new BackgroundTasks({ concurrency: 2 });
    const works = Array.from({ length: 5 }, () => deferred());
    const entered: number[] = [];
    works.forEach((work, i) => {
      group.run(() => {
        entered.push(i);
        return work.promise;
      });
    });
    await settle();
    expect([entered, group.running, group.queued]).toEqual([[0, 1], 2, 3]);
    works[1]?.resolve(undefined);
    await settle();
    expect(entered).toEqual([0, 1, 2]);
    works[0]?.reject(undefined);
    silenceConsole();
    await settle();
    expect(entered).toEqual([0, 1, 2, 3]);
  });

  test('a full queue refuses the new task; its error names the group and the limit', async () => {
    const told: unknown[] = [];
    const group = new BackgroundTasks({
      name: 'mail',
      concurrency: 1,
      maxQueue: 1,
      onError: (error) => told.push(error),
    });
    group.run(never);
    const waiting = group.run(never);
    const refused = group.run(never, { name: 'third' });
    const outcome = await refused.done;
    expect(outcome).toMatchObject({ status: 'refused', attempts: 0, reason: { source: 'mail', maxQueue: 1 } });
    expect(told).toEqual([(outcome as { reason: unknown }).reason]);
    expect(told[0]).toBeInstanceOf(QueueFullError);
    expect(await outcomeOf(waiting)).toBe('pending');
  });

  test('drop-oldest lets the oldest that waits go, never one that runs', async () => {
    const told: string[] = [];
    const group = new BackgroundTasks({
      concurrency: 1,
      maxQueue: 2,
      overflow: 'drop-oldest',
      onError: (_error, { name }) => told.push(name),
    });
    const handles = ['running', 'a', 'b', 'c', 'd'].map((name) => group.run(never, { name }));
    await settle();
    expect(told).toEqual(['a', 'b']);
    const statuses = await Promise.all(handles.map(outcomeOf));
    expect(statuses.map((outcome) => (outcome === 'pending' ? outcome : outcome.status))).toEqual([
      'pending',
      'refused',
      'refused',
      'pending',
      'pending',
    ]);
    expect(group.queued).toBe(2);
  });

  test('drop-oldest does not drop what was cancelled, and with no queue refuses the new one', async () => {
    const told: string[] = [];
    const onError = (_error: unknown, { name }: { readonly name: string }) => told.push(name);
    const group = new BackgroundTasks({ concurrency: 1, maxQueue: 2, overflow: 'drop-oldest', onError });
    group.run(never);
    const first = group.run(never, { name: 'first' });
    group.run(never, { name: 'second' });
    first.cancel();
    group.run(never, { name: 'third' });
    expect(told).toEqual([]);
    group.run(never, { name: 'fourth' });
    expect(told).toEqual(['second']);

    const none = new BackgroundTasks({ concurrency: 1, maxQueue: 0, overflow: 'drop-oldest', onError });
    none.run(never);
    none.run(never, { name: 'new' });
    expect(told).toEqual(['second', 'new']);
  });

  test('an onError that submits again when something is dropped neither loses a task nor exceeds the queue', async () => {
    const again: TaskHandle[] = [];
    let tries = 0;
    const group = new BackgroundTasks({
      concurrency: 1,
      maxQueue: 1,
      overflow: 'drop-oldest',
      onError: (_error, { name }) => {
        expect(group.queued).toBe(1);
        if (tries++ < 5) again.push(group.run(never, { name: `again-${name}` }));
      },
    });
    group.run(never);
    const a = group.run(never, { name: 'a' });
    const b = group.run(never, { name: 'b' });
    expect(group.queued).toBe(1);
    expect(await outcomeOf(a)).toMatchObject({ status: 'refused' });
    expect(await outcomeOf(b)).toMatchObject({ status: 'refused' });
    // The innermost call came last, and returned first.
    const outcomes = await Promise.all(again.map(outcomeOf));
    expect(outcomes.map((outcome) => (outcome === 'pending' ? outcome : outcome.status))).toEqual([
      'pending',
      'refused',
      'refused',
      'refused',
      'refused',
    ]);
  });

  test.each<[string, unknown, unknown, RegExp]>([
    ['a promise', Promise.resolve(), undefined, /Expected `task` to be a function, got a promise/],
    ['no function', 5, undefined, /Expected `task` to be a function, got `5`/],
    ['options of another type', () => {}, 5, /Expected `options` to be an object/],
    ['null for options', () => {}, null, /Expected `options` to be an object/],
    ['a name that is no text', () => {}, { name: 5 }, /Expected `name` to be a string/],
    ['NaN for a timeout', () => {}, { timeout: Number.NaN }, /Expected `timeout` to be a number >= 0 or Infinity/],
    ['a negative timeout', () => {}, { timeout: -1 }, /Expected `timeout`/],
    ['no rules', () => {}, { retry: 3 }, /Expected `retry` to be an object/],
    ['null for rules', () => {}, { retry: null }, /Expected `retry` to be an object/],
    ['no signal', () => {}, { signal: {} }, /Expected `signal` to be an AbortSignal/],
    ['no waitUntil', () => {}, { waitUntil: true }, /Expected `waitUntil` to be a function or an object/],
    ['no handler', () => {}, { onError: 'log' }, /Expected `onError` to be a function/],
  ])('%s is an outcome and is told, never thrown', async (_what, task, options, message) => {
    const told: unknown[] = [];
    const group = new BackgroundTasks({ onError: (error) => told.push(error) });
    const outcome = await group.run(task as () => void, options as object).done;
    expect(outcome).toMatchObject({
      status: 'rejected',
      attempts: 0,
      reason: { message: expect.stringMatching(message) },
    });
    expect(told).toEqual([(outcome as { reason: unknown }).reason]);
    expect([group.running, group.queued]).toEqual([0, 0]);
  });

  test('options whose getters throw are an outcome too, told to the handler that could be read', async () => {
    const own: unknown[] = [];
    const fault = new Error('getter');
    const group = new BackgroundTasks();
    const options = {
      name: 'odd',
      onError: (error: unknown) => own.push(error),
      get timeout(): number {
        throw fault;
      },
    };
    const handle = group.run(() => {}, options);
    expect(await handle.done).toEqual({ status: 'rejected', reason: fault, attempts: 0 });
    expect([handle.name, own]).toEqual(['odd', [fault]]);
  });

  test('explicit undefined means the default', async () => {
    const group = new BackgroundTasks({
      name: undefined,
      onError: undefined,
      concurrency: undefined,
      maxQueue: undefined,
      overflow: undefined,
      hooks: undefined,
    });
    expect(group.name).toBe('background');
    const options = { name: undefined, timeout: undefined, retry: undefined, signal: undefined, onError: undefined };
    const { done } = group.run(() => 1, { ...options, waitUntil: undefined });
    expect(await done).toEqual({ status: 'fulfilled', attempts: 1 });
  });

  test.each<[object, RegExp]>([
    [{ concurrency: Number.NaN }, /Expected `concurrency` to be an integer >= 1 or Infinity, got `NaN`/],
    [{ concurrency: 0 }, /`concurrency`/],
    [{ concurrency: 1.5 }, /`concurrency`/],
    [{ concurrency: '4' }, /`concurrency`/],
    [{ concurrency: null }, /`concurrency`/],
    [{ maxQueue: Number.NaN }, /`maxQueue` to be an integer >= 0 or Infinity/],
    [{ maxQueue: -1 }, /`maxQueue`/],
    [{ overflow: 'throw' }, /`overflow` to be one of 'reject', 'drop-oldest', got `'throw'`/],
    // What has no effect misleads.
    [{ maxQueue: 100 }, /^`maxQueue` has no effect without `concurrency`$/],
    [{ concurrency: 4, overflow: 'reject' }, /^`overflow` has no effect without `maxQueue`$/],
    [{ overflow: 'drop-oldest' }, /^`overflow` has no effect without `maxQueue`$/],
    [{ onError: {} }, /`onError`/],
    [{ name: 1 }, /`name`/],
    [{ hooks: { onStart: 1 } }, /`hooks.onStart`/],
  ])('the constructor refuses %o at once', (options, message) => {
    expect(() => new BackgroundTasks(options as object)).toThrow(message);
  });

  test('a bound that is computed may be none: Infinity is accepted beside the others', () => {
    const { POSITIVE_INFINITY: none } = Number;
    expect(new BackgroundTasks({ concurrency: none, maxQueue: 5, overflow: 'drop-oldest' }).running).toBe(0);
    expect(new BackgroundTasks({ concurrency: 4, maxQueue: none, overflow: 'reject' }).running).toBe(0);
  });

  // BG-10 (p-queue#200, p-limit#83): the store of another request leaks into queued tasks.
  test('each task sees its own async context, also where it had to wait; one submitted in none sees none', async () => {
    const storage = new AsyncLocalStorage<number>();
    const group = new BackgroundTasks({ concurrency: 3 });
    const seen: [number, number | undefined, number | undefined][] = [];
    const told: [number | undefined, string][] = [];
    const submit = (i: number) =>
      group.run(
        async () => {
          const before = storage.getStore();
          await Promise.resolve();
          seen.push([i, before, storage.getStore()]);
          throw new Error(`${i}`);
        },
        { onError: (error) => told.push([storage.getStore(), (error as Error).message]) },
      );
    const handles = Array.from({ length: 100 }, (_, i) => storage.run(i, submit, i));
    handles.push(submit(-1));
    await Promise.all(handles.map(({ done }) => done));
    for (const [i, before, after] of seen) expect([before, after]).toEqual(i === -1 ? [undefined, undefined] : [i, i]);
    for (const [store, message] of told) expect(`${store ?? -1}`).toBe(message);
    expect([seen.length, told.length]).toEqual([101, 101]);
  });

  // BG-10 again, the hard case: the task was queued before any store was ever in use in this group.
  test('a task submitted outside of any store stays outside when a task inside one hands on its place', async () => {
    const storage = new AsyncLocalStorage<string>();
    const group = new BackgroundTasks({ concurrency: 1 });
    const first = deferred();
    let seen: unknown = 'not run';
    group.run(() => first.promise);
    const { done } = group.run(() => {
      seen = storage.getStore();
    });
    await settle();
    storage.run('stranger', () => first.resolve(undefined));
    await done;
    expect(seen).toBe(undefined);
  });

  // BG-07 (cpython#117379): the loop holds tasks weakly, and they vanish. BG-14 (kotlinx#691): one failure ends its siblings.
  test('a failed task leaves its siblings alone, and the group ends up empty', async () => {
    const onError = vi.fn();
    const group = new BackgroundTasks({ concurrency: 10, onError });
    const signals: AbortSignal[] = [];
    const handles = Array.from({ length: 50 }, (_, i) =>
      group.run(async ({ signal }) => {
        signals.push(signal);
        await Promise.resolve();
        if (i % 5 === 0) throw new Error('one');
      }),
    );
    const outcomes = await Promise.all(handles.map(({ done }) => done));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(40);
    expect(signals.some(({ aborted }) => aborted)).toBe(false);
    expect(onError).toHaveBeenCalledTimes(10);
    expect([group.running, group.queued]).toEqual([0, 0]);
  });

  test('after close every task is refused with a ClosedError, and told', async () => {
    const told: unknown[] = [];
    const group = new BackgroundTasks({ name: 'mail', onError: (error) => told.push(error) });
    await group.close();
    const task = vi.fn();
    const outcome = await group.run(task).done;
    expect(outcome).toMatchObject({ status: 'refused', attempts: 0, reason: { source: 'mail' } });
    expect(told[0]).toBeInstanceOf(ClosedError);
    await settle();
    expect(task).not.toHaveBeenCalled();
  });
});
