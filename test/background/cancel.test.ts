import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { deferred, never, settle, silenceConsole } from './helpers.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('cancel', () => {
  test('before the start: the task never runs, no hook is told of a start, and its place is free at once', async () => {
    const onStart = vi.fn();
    const group = new BackgroundTasks({ concurrency: 1, hooks: { onStart } });
    const task = vi.fn();
    const reason = new Error('enough');
    const { done, cancel } = group.run(task);
    cancel(reason);
    expect(group.running).toBe(0);
    expect(await done).toEqual({ status: 'cancelled', reason, attempts: 0 });
    await settle();
    expect(task).not.toHaveBeenCalled();
    expect(onStart).not.toHaveBeenCalled();
  });

  test('in the queue: the task never runs, and the next one moves up', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const first = deferred();
    const entered: string[] = [];
    group.run(() => first.promise);
    const second = group.run(() => entered.push('second'));
    group.run(() => entered.push('third'));
    second.cancel();
    expect(group.queued).toBe(1);
    first.resolve(undefined);
    await settle();
    expect(entered).toEqual(['third']);
  });

  test('while it runs: done settles at once, and the work holds its place until it ends', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const work = deferred();
    let signal: AbortSignal | undefined;
    const running = group.run((context) => {
      ({ signal } = context);
      return work.promise;
    });
    const next = vi.fn();
    group.run(next);
    await settle();
    const reason = { why: 'deploy' };
    running.cancel(reason);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(reason);
    expect(await running.done).toEqual({ status: 'cancelled', reason, attempts: 1 });
    await settle();
    expect([group.running, group.queued]).toEqual([1, 1]);
    expect(next).not.toHaveBeenCalled();
    work.reject(new Error('late: dropped'));
    await settle();
    expect(next).toHaveBeenCalledTimes(1);
  });

  test('is no failure: nobody is told, neither then nor when the work rejects with the abort', async () => {
    const onError = vi.fn();
    const reporter = silenceConsole();
    const group = new BackgroundTasks({ onError });
    const handle = group.run(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    await settle();
    handle.cancel();
    await settle();
    expect(onError).not.toHaveBeenCalled();
    expect(reporter).not.toHaveBeenCalled();
    expect(group.getMetrics()).toMatchObject({ running: 0, cancelled: 1, failed: 0, failureRate: 0 });
  });

  test('without a reason gives an AbortError; a falsy one passes as it is', async () => {
    const group = new BackgroundTasks();
    const none = group.run(never);
    none.cancel();
    expect(await none.done).toMatchObject({ status: 'cancelled', reason: { name: 'AbortError' } });
    for (const reason of [0, '', false, null]) {
      let signal: AbortSignal | undefined;
      const handle = group.run((context) => {
        ({ signal } = context);
        return never();
      });
      await settle();
      handle.cancel(reason);
      expect(await handle.done).toEqual({ status: 'cancelled', reason, attempts: 1 });
      expect(signal?.reason).toBe(reason);
    }
  });

  test('after the end does nothing, and a second one neither', async () => {
    const onSettle = vi.fn();
    const group = new BackgroundTasks({ hooks: { onSettle } });
    const ended = group.run(() => {});
    const twice = group.run(never);
    await settle();
    ended.cancel();
    twice.cancel('first');
    twice.cancel('second');
    expect(await ended.done).toEqual({ status: 'fulfilled', attempts: 1 });
    expect(await twice.done).toMatchObject({ reason: 'first' });
    expect(onSettle).toHaveBeenCalledTimes(2);
  });

  const works: Record<string, () => unknown> = {
    'a value': () => 1,
    'a sync throw': () => {
      throw undefined;
    },
    'a rejection': () => Promise.reject(0),
    'a thenable': () => ({
      // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
      then: (resolve: (value: unknown) => void) => queueMicrotask(() => resolve(1)),
    }),
    'a sleep': () => new Promise((resolve) => setTimeout(resolve, 5)),
  };
  test.each(Object.entries(works))(
    'at every moment in the life of %s: one outcome, and nothing is left',
    async (_what, work) => {
      const statuses = new Set<string>();
      for (let moment = 0; moment < 30; moment++) {
        let [told, started, settled, entered] = [0, 0, 0, 0];
        const group = new BackgroundTasks({
          concurrency: 1,
          onError: () => told++,
          hooks: { onStart: () => started++, onSettle: () => settled++ },
        });
        const kept: Promise<unknown>[] = [];
        const control = new AbortController();
        const { signal } = control;
        const handle = group.run(
          () => {
            entered++;
            return work();
          },
          { signal, timeout: 1_000, waitUntil: (promise) => void kept.push(promise) },
        );
        const next = group.run(() => {});
        for (let i = 0; i < moment; i++) {
          if (i % 4 === 3) vi.advanceTimersByTime(1);
          else await Promise.resolve();
        }
        if (moment % 2 === 0) handle.cancel();
        else control.abort();
        await vi.advanceTimersByTimeAsync(20);
        const { status, attempts } = await handle.done;
        statuses.add(status);
        expect(attempts).toBe(entered);
        expect([told, started, settled]).toEqual([status === 'rejected' ? 1 : 0, entered + 1, 2]);
        expect(await next.done).toEqual({ status: 'fulfilled', attempts: 1 });
        await Promise.all(kept);
        expect([group.running, vi.getTimerCount(), getEventListeners(signal, 'abort').length]).toEqual([0, 0, 0]);
      }
      // Both before the end and after it, or the moments were too few.
      expect(statuses.size).toBe(2);
    },
  );

  test('by the task itself, in its first statement', async () => {
    const group = new BackgroundTasks();
    const handle = group.run(
      ({ signal }) => {
        handle.cancel('self');
        expect(signal.reason).toBe('self');
      },
      { timeout: 1_000 },
    );
    expect(await handle.done).toEqual({ status: 'cancelled', reason: 'self', attempts: 1 });
    await settle();
    expect([group.running, vi.getTimerCount()]).toEqual([0, 0]);

    const endless = group.run(
      () => {
        endless.cancel('self');
        return never();
      },
      { timeout: 1_000 },
    );
    expect(await endless.done).toMatchObject({ status: 'cancelled' });
    expect([group.running, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test('from the onStart hook: the function is not entered', async () => {
    const task = vi.fn();
    const group = new BackgroundTasks({ hooks: { onStart: () => handle.cancel() } });
    const handle = group.run(task);
    expect(await handle.done).toMatchObject({ status: 'cancelled', attempts: 0 });
    expect(task).not.toHaveBeenCalled();
    expect(group.running).toBe(0);
  });

  test('a signal cancels as the handle does, with its own reason; one aborted before means that the task never runs', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const task = vi.fn();
    const running = group.run(never, { signal });
    const queued = group.run(task, { signal });
    await settle();
    const reason = new Error('gone');
    controller.abort(reason);
    expect(await running.done).toEqual({ status: 'cancelled', reason, attempts: 1 });
    expect(await queued.done).toEqual({ status: 'cancelled', reason, attempts: 0 });
    expect(await group.run(task, { signal }).done).toEqual({ status: 'cancelled', reason, attempts: 0 });
    expect(task).not.toHaveBeenCalled();
    expect(group.getMetrics()).toMatchObject({ accepted: 3, cancelled: 3 });
  });

  test('many tasks on one signal: one listener while any is live, none afterwards, however they end', async () => {
    silenceConsole();
    const group = new BackgroundTasks({ concurrency: 2, maxQueue: 60 });
    const { signal } = new AbortController();
    const works = Array.from({ length: 100 }, () => deferred());
    const handles = works.map((work, i) =>
      group.run(
        () => {
          if (i % 3 === 0) throw new Error('sync');
          return work.promise;
        },
        { signal, ...(i % 4 === 0 && { timeout: 50 }) },
      ),
    );
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    handles[50]?.cancel();
    works.forEach((work, i) => {
      if (i % 5 === 0) work.reject(i);
      else if (i % 4 !== 0) work.resolve(i);
    });
    // A timeout in each place in turn: what is overdue holds it, so it has to end as well.
    for (const work of works) {
      await vi.advanceTimersByTimeAsync(50);
      work.resolve(0);
    }
    await Promise.all(handles.map(({ done }) => done));
    await settle();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
    expect([group.running, group.queued]).toEqual([0, 0]);
  });
});
