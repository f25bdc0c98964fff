import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { ClosedError } from '../../src/core/errors.js';
import type { CloseReport } from '../../src/core/types.js';
import { property } from '../support/runs.js';
import { never, outcomeOf, settle, silenceConsole } from './helpers.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Work that takes `ms` and stops at once when asked to. */
const polite =
  (ms: number) =>
  ({ signal }: { readonly signal: AbortSignal }) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });

/** Work that takes `ms`, whatever it is told. */
const deaf = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The report, if it is there by now. */
function watch(promise: Promise<CloseReport>) {
  const seen: { report: CloseReport | undefined; rejected: boolean } = { report: undefined, rejected: false };
  promise.then(
    (report) => {
      seen.report = report;
    },
    () => {
      seen.rejected = true;
    },
  );
  return seen;
}

const CLEAN = { clean: true, aborted: 0, refused: 0, left: [] };

describe('drain', () => {
  test('of an idle group resolves at once and counts from the call', async () => {
    const group = new BackgroundTasks();
    await group.run(() => {}).done;
    expect(await group.drain()).toEqual({ ...CLEAN, finished: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('waits for what runs, what waits and what is born meanwhile, and takes new tasks', async () => {
    silenceConsole();
    const group = new BackgroundTasks({ concurrency: 1 });
    group.run(async () => {
      await deaf(100)();
      group.run(deaf(100));
    });
    group.run(() => Promise.reject(new Error('counts as finished')));
    const seen = watch(group.drain());
    await vi.advanceTimersByTimeAsync(150);
    group.run(deaf(100));
    await vi.advanceTimersByTimeAsync(149);
    expect(seen.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.report).toEqual({ ...CLEAN, finished: 4 });
  });

  test('goes on while whoever awaited the last task starts another', async () => {
    const group = new BackgroundTasks();
    const chain = async () => {
      for (let i = 0; i < 5; i++) await group.run(deaf(10)).done;
    };
    const seen = watch(group.drain());
    void chain();
    const drained = watch(group.drain());
    await vi.advanceTimersByTimeAsync(45);
    expect([seen.report?.finished, drained.report]).toEqual([0, undefined]);
    await vi.advanceTimersByTimeAsync(5);
    expect(drained.report).toEqual({ ...CLEAN, finished: 5 });
  });

  test.each([1, 2, 3, 8])('sees a task that is born %i reactions after the end of the last', async (reactions) => {
    const group = new BackgroundTasks();
    let births = 2;
    const bear = (): void => {
      if (births-- === 0) return;
      let end: Promise<unknown> = group.run(deaf(10)).done;
      for (let i = 1; i < reactions; i++) end = end.then((value) => value);
      void end.then(bear);
    };
    bear();
    const drained = watch(group.drain());
    await vi.advanceTimersByTimeAsync(10);
    expect(drained.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(10);
    expect(drained.report).toEqual({ ...CLEAN, finished: 2 });
  });

  test.each([false, true])(
    'sees it also where the tasks before took no time, cancelled at once: %s',
    async (cancels) => {
      const group = new BackgroundTasks();
      void group.run(() => {}).done.then(() => bear(5));
      const drained = group.drain();
      function bear(births: number): void {
        const last = group.run(() => {});
        // It has ended before anybody looks.
        if (cancels && births > 1) last.cancel();
        let end: Promise<unknown> = last.done;
        for (let i = 0; i < 5; i++) end = end.then((value) => value);
        if (births > 1) void end.then(() => bear(births - 1));
      }
      const { finished, refused } = await drained;
      expect([finished, refused]).toEqual(cancels ? [2, 4] : [6, 0]);
    },
  );

  test('gives up after its timeout and names what runs and what waits', async () => {
    const group = new BackgroundTasks({ concurrency: 1 });
    group.run(deaf(1_000), { name: 'slow' });
    group.run(deaf(1_000), { name: 'next' });
    const cancelled = group.run(never, { name: 'cancelled' });
    group.run(never, { name: 'last' });
    const seen = watch(group.drain({ timeout: 100 }));
    cancelled.cancel();
    await vi.advanceTimersByTimeAsync(99);
    expect(seen.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.report).toEqual({ clean: false, finished: 0, aborted: 0, refused: 1, left: ['slow', 'next', 'last'] });
    expect(await group.drain({ timeout: 0 })).toMatchObject({ left: ['slow', 'next', 'last'] });
  });

  test('waits for work whose outcome is known but which still runs', async () => {
    const group = new BackgroundTasks();
    const handle = group.run(deaf(100), { name: 'deaf' });
    await settle();
    handle.cancel();
    await handle.done;
    const seen = watch(group.drain());
    await vi.advanceTimersByTimeAsync(99);
    expect(seen.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.report).toEqual({ ...CLEAN, finished: 0 });
  });

  test('rejects with the reason of its signal, and leaves neither a timer nor a listener', async () => {
    const group = new BackgroundTasks();
    group.run(never);
    for (const reason of [new Error('stop'), 0, undefined]) {
      const controller = new AbortController();
      const drained = group.drain({ signal: controller.signal, timeout: 60_000 });
      const rejection = drained.then(
        () => 'resolved',
        (error: unknown) => ({ error }),
      );
      expect([vi.getTimerCount(), getEventListeners(controller.signal, 'abort').length]).toEqual([1, 1]);
      controller.abort(reason);
      expect(await rejection).toEqual({ error: controller.signal.reason });
      expect([vi.getTimerCount(), getEventListeners(controller.signal, 'abort').length]).toEqual([0, 0]);
      await expect(group.drain({ signal: controller.signal })).rejects.toBe(controller.signal.reason);
    }
  });

  test('leaves neither a timer nor a listener when it resolves', async () => {
    const group = new BackgroundTasks();
    group.run(deaf(10));
    const { signal } = new AbortController();
    const drained = group.drain({ signal, timeout: 60_000 });
    await vi.advanceTimersByTimeAsync(10);
    expect(await drained).toEqual({ ...CLEAN, finished: 1 });
    expect([vi.getTimerCount(), getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
  });

  test.each([[{ timeout: Number.NaN }], [{ timeout: -1 }], [{ timeout: '5' }], [{ signal: {} }], [5], [null]])(
    'rejects %o, never throws',
    async (options) => {
      const drained = new BackgroundTasks().drain(options as object);
      await expect(drained).rejects.toThrow(/^Expected `/);
    },
  );
});

describe('close', () => {
  test('takes nothing new from the call on, and lets accepted work finish', async () => {
    const told = vi.fn();
    const group = new BackgroundTasks({ concurrency: 1, onError: told });
    const handles = [group.run(deaf(100)), group.run(deaf(100))];
    const closed = group.close();
    const late = group.run(never);
    expect(told).toHaveBeenCalledTimes(1);
    expect(await late.done).toMatchObject({ status: 'refused', reason: { code: 'CLOSED' } });
    await vi.advanceTimersByTimeAsync(200);
    expect(await closed).toEqual({ ...CLEAN, finished: 2 });
    expect(await Promise.all(handles.map(outcomeOf))).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('after the grace refuses what waits, aborts what runs, and names what does not react', async () => {
    const told: [string, unknown][] = [];
    const group = new BackgroundTasks({
      name: 'mail',
      concurrency: 2,
      onError: (error, { name }) => told.push([name, error]),
    });
    const quick = group.run(polite(10), { name: 'quick' });
    const listens = group.run(polite(10_000), { name: 'listens' });
    const ignores = group.run(deaf(10_000), { name: 'ignores' });
    const waits = group.run(polite(1), { name: 'waits' });
    const seen = watch(group.close({ grace: 1_000, abortGrace: 500 }));

    await vi.advanceTimersByTimeAsync(999);
    expect([group.running, group.queued]).toEqual([2, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcomeOf(quick)).toMatchObject({ status: 'fulfilled' });
    expect(await outcomeOf(waits)).toMatchObject({ status: 'refused', attempts: 0, reason: { source: 'mail' } });
    for (const handle of [listens, ignores]) {
      expect(await outcomeOf(handle)).toMatchObject({ status: 'cancelled', attempts: 1, reason: { code: 'CLOSED' } });
    }
    expect([group.running, group.queued]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(499);
    expect(seen.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.report).toEqual({ clean: false, finished: 1, aborted: 2, refused: 1, left: ['ignores'] });
    expect(told.map(([name]) => name)).toEqual(['waits']);
    expect(told[0]?.[1]).toBeInstanceOf(ClosedError);
  });

  test('resolves as soon as aborted work has ended, and leaves no timer', async () => {
    const group = new BackgroundTasks();
    group.run(polite(10_000));
    await settle();
    const closed = group.close({ grace: 0, abortGrace: 60_000 });
    expect(await closed).toEqual({ clean: false, finished: 0, aborted: 1, refused: 0, left: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('with a grace of 0 aborts inside the call: what was about to begin never runs', async () => {
    const group = new BackgroundTasks({ onError: () => {} });
    let signal: AbortSignal | undefined;
    group.run((context) => {
      ({ signal } = context);
      return never();
    });
    await settle();
    const task = vi.fn();
    const starting = group.run(task);
    const reason = new Error('SIGTERM');
    const closed = group.close({ grace: 0, abortGrace: 0, reason });
    expect(signal?.reason).toBe(reason);
    expect(await starting.done).toMatchObject({ status: 'refused', reason: { code: 'CLOSED' } });
    expect(await closed).toEqual({ clean: false, finished: 0, aborted: 1, refused: 1, left: ['task'] });
    expect(task).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([0, '', null, false])('passes the reason %o to the tasks as it is', async (reason) => {
    const group = new BackgroundTasks();
    let signal: AbortSignal | undefined;
    const handle = group.run((context) => {
      ({ signal } = context);
      return never();
    });
    await settle();
    void group.close({ grace: 0, abortGrace: 0, reason });
    expect(await handle.done).toEqual({ status: 'cancelled', reason, attempts: 1 });
    expect(signal?.reason).toBe(reason);
  });

  test('is idempotent: every call gets the one report; the first reason holds', async () => {
    const group = new BackgroundTasks();
    const handle = group.run(never);
    await settle();
    const first = group.close({ reason: 'first' });
    const second = group.close({ grace: 0, abortGrace: 0, reason: 'second' });
    expect(second).toBe(first);
    expect(await handle.done).toMatchObject({ reason: 'first' });
    const third = group.close();
    expect(await third).toBe(await first);
    await group[Symbol.asyncDispose]();
  });

  test('where the first call gave no reason, that of a later one holds', async () => {
    const group = new BackgroundTasks();
    const handle = group.run(never);
    await settle();
    void group.close();
    void group.close({ grace: 1_000, reason: null });
    void group.close({ grace: 0, abortGrace: 0, reason: 'too late' });
    expect(await handle.done).toMatchObject({ status: 'cancelled', reason: null });
  });

  test('a bad argument is no accepted work: it is neither accepted nor finished, before and after the call', async () => {
    const told = vi.fn();
    const group = new BackgroundTasks({ onError: told });
    group.run(deaf(10));
    const drained = group.drain();
    group.run(() => {}, { timeout: -1 });
    const closed = group.close();
    group.run(() => {}, { timeout: -1 });
    group.run(undefined as unknown as () => void);
    await vi.advanceTimersByTimeAsync(10);
    expect([await drained, await closed]).toEqual([
      { ...CLEAN, finished: 1 },
      { ...CLEAN, finished: 1 },
    ]);
    expect(group.getMetrics()).toMatchObject({ accepted: 1, fulfilled: 1, failed: 3, refused: 0 });
    expect(told).toHaveBeenCalledTimes(3);
  });

  test('a later call may only shorten the grace', async () => {
    const group = new BackgroundTasks();
    group.run(deaf(60_000));
    const closed = group.close({ grace: 1_000, abortGrace: 1_000 });
    const seen = watch(closed);
    void group.close({ grace: 50_000, abortGrace: 50_000 });
    await vi.advanceTimersByTimeAsync(100);
    void group.close({ grace: 200, abortGrace: 300 });
    await vi.advanceTimersByTimeAsync(199);
    expect(group.getMetrics().cancelled).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(group.getMetrics().cancelled).toBe(1);
    await vi.advanceTimersByTimeAsync(299);
    expect(seen.report).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.report).toMatchObject({ left: ['task'] });
  });

  test('a later call shortens the wait after the abort too', async () => {
    const group = new BackgroundTasks();
    group.run(deaf(60_000));
    await settle();
    const seen = watch(group.close({ grace: 0, abortGrace: Number.POSITIVE_INFINITY }));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(seen.report).toBe(undefined);
    void group.close({ abortGrace: 0 });
    await settle();
    expect(seen.report).toMatchObject({ aborted: 1, left: ['task'] });
  });

  test('a call after the end arms no timer', async () => {
    const group = new BackgroundTasks();
    group.run(deaf(10));
    const closed = group.close();
    await vi.advanceTimersByTimeAsync(10);
    await closed;
    await group.close({ grace: 60_000, abortGrace: 60_000 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('called again by a handler that is told of a refusal, there is still one shutdown', async () => {
    const closings = new Set<Promise<CloseReport>>();
    const group = new BackgroundTasks({
      concurrency: 1,
      onError: () => closings.add(group.close({ grace: 0, abortGrace: 0 })),
      hooks: { onSettle: () => closings.add(group.close()) },
    });
    group.run(never, { name: 'a' });
    await settle();
    group.run(never);
    closings.add(group.close({ grace: 0, abortGrace: 100 }));
    expect(closings.size).toBe(1);
    await settle();
    expect(await [...closings][0]).toEqual({ clean: false, finished: 0, aborted: 1, refused: 1, left: ['a'] });
  });

  test('names work that is overdue as well: its outcome was known before, but it runs', async () => {
    const group = new BackgroundTasks({ onError: () => {} });
    group.run(never, { name: 'slow', timeout: 10 });
    await vi.advanceTimersByTimeAsync(10);
    const closed = group.close({ grace: 100, abortGrace: 100 });
    await vi.advanceTimersByTimeAsync(200);
    expect(await closed).toEqual({ clean: false, finished: 0, aborted: 0, refused: 0, left: ['slow'] });
  });

  test('awaited by a task of the group itself ends with the grace: it cannot wait for itself', async () => {
    const group = new BackgroundTasks();
    const reports: CloseReport[] = [];
    const { done } = group.run(
      async () => {
        reports.push(await group.close({ grace: 100, abortGrace: 50 }));
      },
      { name: 'closer' },
    );
    await vi.advanceTimersByTimeAsync(150);
    expect(await done).toMatchObject({ status: 'cancelled' });
    expect(reports).toEqual([{ clean: false, finished: 0, aborted: 1, refused: 0, left: ['closer'] }]);
    expect([group.running, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test('while tasks wait for another attempt: they are cancelled at once', async () => {
    const group = new BackgroundTasks();
    group.run(() => Promise.reject(new Error('down')), { retry: { baseDelay: 10_000, jitter: 'none' } });
    await settle();
    const report = await group.close({ grace: 0 });
    expect(report).toEqual({ clean: false, finished: 0, aborted: 1, refused: 0, left: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an await using block ends when the work has ended', async () => {
    let ended = false;
    const block = (async () => {
      await using group = new BackgroundTasks();
      group.run(async () => {
        await deaf(100)();
        ended = true;
      });
    })();
    await vi.advanceTimersByTimeAsync(100);
    await block;
    expect(ended).toBe(true);
  });

  test('settles a drain that was under way, which tells the same', async () => {
    const group = new BackgroundTasks({ concurrency: 1, onError: () => {} });
    group.run(polite(10_000));
    await settle();
    group.run(never);
    const drained = group.drain();
    const closed = group.close({ grace: 0 });
    const report = { clean: false, finished: 0, aborted: 1, refused: 1, left: [] };
    expect([await drained, await closed]).toEqual([report, report]);
  });

  test.each([[{ grace: Number.NaN }], [{ abortGrace: -1 }], [{ grace: '5' }], [5], [null]])(
    'rejects %o, never throws, and the group stays open',
    async (options) => {
      const group = new BackgroundTasks();
      await expect(group.close(options as object)).rejects.toThrow(/^Expected `/);
      expect(await group.run(() => {}).done).toMatchObject({ status: 'fulfilled' });
    },
  );

  // Tasks end at even times, patience at odd ones: a tie may go either way.
  const even = (min: number, max: number) => fc.integer({ min: min / 2, max: max / 2 }).map((n) => 2 * n);
  const task = fc.record({ ms: even(0, 200), isPolite: fc.boolean(), fails: fc.boolean() });
  property([
    fc.array(task, { maxLength: 12, size: 'max' }),
    fc.integer({ min: 1, max: 3 }),
    even(0, 100),
    even(0, 150).map((n) => n + 1),
    even(2, 150),
  ])(
    'whatever runs and whenever it is called, it ends within both graces, every outcome is known, and the report adds up',
    async (tasks, concurrency, before, grace, abortGrace) => {
      silenceConsole();
      const group = new BackgroundTasks({ concurrency });
      const handles = tasks.map(({ ms, isPolite, fails }) =>
        group.run(async (context) => {
          await (isPolite ? polite(ms)(context) : deaf(ms)());
          if (fails) throw new Error('x');
        }),
      );
      await vi.advanceTimersByTimeAsync(before);
      const { fulfilled, failed } = group.getMetrics();
      const seen = watch(group.close({ grace, abortGrace }));
      await vi.advanceTimersByTimeAsync(grace + abortGrace);
      const { report } = seen;
      if (report === undefined) throw new Error('it never ended');
      const outcomes = await Promise.all(handles.map(({ done }) => done));
      const counted = (status: string) => outcomes.filter((outcome) => outcome.status === status).length;
      expect(report).toEqual({
        clean: report.aborted + report.refused + report.left.length === 0,
        finished: counted('fulfilled') + counted('rejected') - fulfilled - failed,
        aborted: counted('cancelled'),
        refused: counted('refused'),
        left: Array.from({ length: group.running }, () => 'task'),
      });
      await vi.advanceTimersByTimeAsync(1_000);
      expect([group.running, group.queued, vi.getTimerCount()]).toEqual([0, 0, 0]);
    },
  );
});
