import { afterEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { deferred, never, outcomeOf, settle, silenceConsole, watchUnhandled } from './helpers.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** As Cloudflare's: methods refuse to work on anything else. */
class ExecutionContext {
  readonly #promises: Promise<unknown>[] = [];

  waitUntil(promise: Promise<unknown>): void {
    if (!(#promises in this)) throw new TypeError('Illegal invocation');
    this.#promises.push(promise);
  }

  get promises(): readonly Promise<unknown>[] {
    return this.#promises;
  }
}

async function isPending(promise: Promise<unknown> | undefined): Promise<boolean> {
  let pending = true;
  void promise?.then(() => {
    pending = false;
  });
  await settle();
  return pending;
}

describe('waitUntil', () => {
  // BG-04 (workerd#5884): work that is not registered before the response is cancelled with the request.
  test('every accepted task is registered inside the call, before it starts, queued ones too', async () => {
    const ctx = new ExecutionContext();
    const group = new BackgroundTasks({ concurrency: 1 });
    const task = vi.fn(never);
    for (let i = 0; i < 3; i++) {
      group.run(task, { waitUntil: ctx });
      expect(ctx.promises).toHaveLength(i + 1);
    }
    expect(task).not.toHaveBeenCalled();
  });

  test('what never will run is not registered: refused, invalid, aborted before', async () => {
    const waitUntil = vi.fn();
    const group = new BackgroundTasks({ concurrency: 1, maxQueue: 0, onError: () => {} });
    group.run(never);
    group.run(never, { waitUntil });
    group.run(never, { waitUntil, signal: AbortSignal.abort() });
    group.run(5 as unknown as () => void, { waitUntil });
    void group.close({ grace: 0, abortGrace: 0 });
    group.run(never, { waitUntil });
    expect(waitUntil).not.toHaveBeenCalled();
  });

  test('the promise fulfils when the work has really ended, however it went', async () => {
    const ctx = new ExecutionContext();
    const group = new BackgroundTasks({ onError: () => {} });
    const works = [deferred(), deferred(), deferred()];
    const handles = works.map(({ promise }) => group.run(() => promise, { waitUntil: ctx }));
    await settle();
    handles[2]?.cancel();
    works[0]?.resolve('secret');
    works[1]?.reject(new Error('x'));
    expect(await ctx.promises[0]).toBe(undefined);
    expect(await ctx.promises[1]).toBe(undefined);
    // Cancelled, yet its clean-up may go on: it needs the platform for that.
    expect(await isPending(ctx.promises[2])).toBe(true);
    works[2]?.resolve(undefined);
    expect(await ctx.promises[2]).toBe(undefined);
  });

  test('the promise of a task that never ran fulfils too', async () => {
    const ctx = new ExecutionContext();
    const group = new BackgroundTasks({ concurrency: 1, maxQueue: 1, overflow: 'drop-oldest', onError: () => {} });
    group.run(never);
    const options = { waitUntil: ctx };
    group.run(never, options);
    group.run(never, options).cancel();
    group.run(never, options);
    void group.close({ grace: 0, abortGrace: 0 });
    await Promise.all(ctx.promises);
    expect(ctx.promises).toHaveLength(3);
  });

  test('a function is called on its own', async () => {
    const calls: unknown[] = [];
    const group = new BackgroundTasks();
    function waitUntil(this: unknown, promise: Promise<unknown>): void {
      calls.push(this, promise);
    }
    await group.run(() => {}, { waitUntil }).done;
    expect(calls).toEqual([undefined, expect.any(Promise)]);
  });

  // BG-05 (cachified#103): `const { waitUntil } = ctx` is an "Illegal invocation" on workerd.
  test('a detached one is a TypeError that says what to pass: the outcome, never thrown; the task does not run', async () => {
    const { waitUntil } = new ExecutionContext();
    const told: unknown[] = [];
    const task = vi.fn();
    const group = new BackgroundTasks({ concurrency: 1, onError: (error) => told.push(error) });
    const outcome = await group.run(task, { waitUntil }).done;
    expect(outcome).toMatchObject({ status: 'rejected', attempts: 0 });
    const { reason } = outcome as { reason: TypeError };
    expect(reason).toBeInstanceOf(TypeError);
    expect(reason.message).toMatch(/pass `ctx` itself, not `ctx\.waitUntil`/);
    expect((reason.cause as Error).message).toMatch(/Cannot|Illegal/);
    expect(told).toEqual([reason]);
    await settle();
    expect(task).not.toHaveBeenCalled();
    expect(group.running).toBe(0);
  });

  test('the same while the task has to wait in the queue', async () => {
    const { waitUntil } = new ExecutionContext();
    const group = new BackgroundTasks({ concurrency: 1, onError: () => {} });
    const first = deferred();
    group.run(() => first.promise);
    const task = vi.fn();
    const queued = group.run(task, { waitUntil });
    expect(await queued.done).toMatchObject({ status: 'rejected', attempts: 0 });
    expect(group.queued).toBe(0);
    first.resolve(undefined);
    await settle();
    expect(task).not.toHaveBeenCalled();
  });

  test('what else a platform throws is the outcome itself', async () => {
    const fault = new Error('`after` was called outside a request scope');
    const group = new BackgroundTasks({ onError: () => {} });
    const after = () => {
      throw fault;
    };
    expect(await group.run(never, { waitUntil: after }).done).toEqual({
      status: 'rejected',
      reason: fault,
      attempts: 0,
    });
    const ctx = { waitUntil: after };
    expect(await group.run(never, { waitUntil: ctx }).done).toEqual({ status: 'rejected', reason: fault, attempts: 0 });
  });

  test('one that rejects is the outcome if the task has not started, else it is reported and changes nothing', async () => {
    const unhandled = watchUnhandled();
    const reporter = silenceConsole();
    const fault = new Error('async');
    const task = vi.fn();
    const group = new BackgroundTasks({ onError: () => {} });
    const atOnce = (() => Promise.reject(fault)) as unknown as () => void;
    expect(await group.run(task, { waitUntil: atOnce }).done).toEqual({
      status: 'rejected',
      reason: fault,
      attempts: 0,
    });
    expect(task).not.toHaveBeenCalled();
    expect(reporter).not.toHaveBeenCalled();

    const answer = deferred();
    const later = (() => answer.promise) as unknown as () => void;
    const handle = group.run(() => answer.reject(fault), { waitUntil: later });
    expect(await handle.done).toEqual({ status: 'fulfilled', attempts: 1 });
    await settle();
    expect(reporter.mock.calls).toEqual([['[paceline] A `waitUntil` rejected', fault]]);
    expect(await unhandled()).toEqual([]);
  });

  test('one that closes the group, or runs another task, does no harm', async () => {
    const group = new BackgroundTasks({ concurrency: 1, maxQueue: 1, onError: () => {} });
    const inner: unknown[] = [];
    const waitUntil = () => {
      inner.push(group.run(never).name);
    };
    const first = group.run(() => {}, { waitUntil });
    expect([group.running, group.queued]).toEqual([1, 1]);
    expect(await outcomeOf(first)).toMatchObject({ status: 'fulfilled' });

    const other = new BackgroundTasks({ onError: () => {} });
    const task = vi.fn();
    const handle = other.run(task, { waitUntil: () => void other.close({ grace: 0 }) });
    expect(await handle.done).toMatchObject({ status: 'refused' });
    expect(task).not.toHaveBeenCalled();
    expect(await other.close()).toMatchObject({ refused: 1, left: [] });
  });
});
