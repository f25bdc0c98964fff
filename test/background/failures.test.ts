import { afterEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { ClosedError } from '../../src/core/errors.js';
import { never, settle, silenceConsole, watchUnhandled } from './helpers.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** All that reached the console, errors by identity. */
const shown = (reporter: ReturnType<typeof silenceConsole>) =>
  reporter.mock.calls.map(([text, error]) => ({ text, error }));

// BG-02 (spinnaker/keel#958, and every `.catch(() => {})`): errors that nobody hears of.
describe('a failure', () => {
  test('goes to the handler of the task, else to that of the group, else to the console', async () => {
    const reporter = silenceConsole();
    const error = new Error('x');
    const fail = () => Promise.reject(error);
    const [own, groups] = [vi.fn(), vi.fn()];
    const group = new BackgroundTasks({ name: 'mail', onError: groups });
    await group.run(fail, { name: 'a', onError: own }).done;
    expect(own.mock.calls).toEqual([[error, { name: 'a', attempts: 1 }]]);
    expect(groups).not.toHaveBeenCalled();
    await group.run(fail, { name: 'b' }).done;
    expect(groups.mock.calls).toEqual([[error, { name: 'b', attempts: 1 }]]);
    expect(reporter).not.toHaveBeenCalled();
    await new BackgroundTasks({ name: 'mail' }).run(fail, { name: 'c' }).done;
    expect(shown(reporter)).toEqual([{ text: '[paceline] Task `c` of `mail` failed', error }]);
    expect(own).toHaveBeenCalledTimes(1);
    expect(groups).toHaveBeenCalledTimes(1);
  });

  test.each([undefined, null, 0, '', false, Number.NaN])(
    'of a task that rejects or throws %o is told like any other',
    async (reason) => {
      const told: unknown[] = [];
      const group = new BackgroundTasks({ onError: (error) => told.push(error) });
      expect(await group.run(() => Promise.reject(reason)).done).toEqual({ status: 'rejected', reason, attempts: 1 });
      await group.run(() => {
        throw reason;
      }).done;
      expect(told).toEqual([reason, reason]);
    },
  );

  test('is known by done before the handler is told, and the handler before the hook', async () => {
    const order: string[] = [];
    const group = new BackgroundTasks({
      onError: () => {
        order.push(`error failed=${group.getMetrics().failed}`);
        // The promise was settled before: its reactions come as soon as the stack is empty.
        queueMicrotask(() => order.push('after'));
      },
      hooks: { onSettle: () => order.push('hook') },
    });
    const { done } = group.run(() => Promise.reject(new Error('x')));
    void done.then(() => order.push('done'));
    await settle();
    expect(order).toEqual(['error failed=1', 'hook', 'done', 'after']);
  });

  test('is not lost when the handler throws or rejects: both go to the console, the handler once', async () => {
    const unhandled = watchUnhandled();
    const reporter = silenceConsole();
    const fault = new Error('handler');
    const throwing = vi.fn(() => {
      throw fault;
    });
    const rejecting = vi.fn(() => Promise.reject(fault));
    for (const onError of [throwing, rejecting as unknown as () => void]) {
      reporter.mockClear();
      const group = new BackgroundTasks({ name: 'mail', onError });
      const errors = [new Error('one'), new Error('two')];
      for (const error of errors) {
        const outcome = await group.run(() => Promise.reject(error)).done;
        expect(outcome).toEqual({ status: 'rejected', reason: error, attempts: 1 });
      }
      await settle();
      expect(shown(reporter)).toEqual([
        { text: expect.stringMatching(/`onError` of `mail` failed/), error: fault },
        { text: expect.stringMatching(/failed$/), error: errors[0] },
        { text: expect.stringMatching(/failed$/), error: errors[1] },
      ]);
      expect(onError).toHaveBeenCalledTimes(2);
      expect(group.running).toBe(0);
    }
    expect(await unhandled()).toEqual([]);
  });

  test('a console that throws changes nothing', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {
      throw new Error('broken pipe');
    });
    const group = new BackgroundTasks({ concurrency: 1 });
    const handles = [1, 2, 3].map((reason) => group.run(() => Promise.reject(reason)));
    expect(await Promise.all(handles.map(({ done }) => done))).toHaveLength(3);
    expect(group.running).toBe(0);
  });
});

describe('a refusal', () => {
  test('reaches every handler, but the console only once per name of a task in a group', async () => {
    const reporter = silenceConsole();
    const told = vi.fn();
    const group = new BackgroundTasks({ name: 'mail', concurrency: 1, maxQueue: 0 });
    group.run(never);
    await settle();
    for (let i = 0; i < 5; i++) group.run(never, { name: 'late' });
    for (let i = 0; i < 5; i++) group.run(never, { onError: told });
    const closed = group.close({ grace: 0, abortGrace: 0 });
    group.run(never, { name: 'later' });
    group.run(never, { name: 'late' });
    await closed;
    expect(shown(reporter)).toEqual(
      ['late', 'later'].map((name) => ({
        text: `[paceline] \`mail\` refused task \`${name}\`; more of that name are counted, not shown.`,
        error: expect.any(Error),
      })),
    );
    expect(told).toHaveBeenCalledTimes(5);
    expect(group.getMetrics().refused).toBe(12);
    // Another group has its own line.
    const other = new BackgroundTasks();
    await other.close();
    other.run(never);
    expect(reporter).toHaveBeenCalledTimes(3);
  });

  test('of names without number is shown a hundred times, and nothing more is kept', async () => {
    const reporter = silenceConsole();
    const group = new BackgroundTasks();
    await group.close();
    for (let i = 0; i < 1_000; i++) group.run(never, { name: `id-${i}` });
    expect(reporter).toHaveBeenCalledTimes(100);
    expect(group.getMetrics().refused).toBe(1_000);
  });

  test('that a task itself was answered with is its failure, and shown each time', async () => {
    const reporter = silenceConsole();
    const group = new BackgroundTasks();
    const refusal = new ClosedError({ source: 'pool' });
    await group.run(() => Promise.reject(refusal)).done;
    const second = await group.run(() => Promise.reject(refusal)).done;
    expect(second).toEqual({ status: 'rejected', reason: refusal, attempts: 1 });
    expect(reporter).toHaveBeenCalledTimes(2);
  });
});
