import { describe, expectTypeOf, test } from 'vitest';
import {
  type BackgroundContext,
  type BackgroundMetrics,
  type BackgroundTaskOptions,
  BackgroundTasks,
  type CloseReport,
  fireAndForget,
  type QueueFullError,
  type RefusedError,
  type TaskHandle,
  type TaskOutcome,
} from '../../src/index.js';

declare function saveAnswer(text: string): Promise<{ id: string }>;
declare const logger: { error(message: string, data?: unknown): void };
declare const controller: AbortController;

describe('fireAndForget', () => {
  test('takes any function of its context, and gives a handle', () => {
    expectTypeOf(fireAndForget(() => saveAnswer('x'))).toEqualTypeOf<TaskHandle>();
    expectTypeOf(fireAndForget(async () => {}, { name: 'save', retry: {} })).toEqualTypeOf<TaskHandle>();
    fireAndForget((context) => expectTypeOf(context).toEqualTypeOf<BackgroundContext>());
    fireAndForget(({ signal, attempt, name }) => {
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(name).toEqualTypeOf<string>();
    });
  });

  test('tells a handler of the error and the task', () => {
    fireAndForget(() => 1, {
      onError: (error, task) => {
        expectTypeOf(error).toEqualTypeOf<unknown>();
        expectTypeOf(task).toEqualTypeOf<{ readonly name: string; readonly attempts: number }>();
        logger.error('failed', { error, task });
      },
    });
  });

  test('takes what an app has: a context with waitUntil, a function, options that may be missing', () => {
    const ctx = { waitUntil: (_promise: Promise<unknown>) => {}, passThroughOnException: () => {} };
    fireAndForget(() => 1, { waitUntil: ctx });
    fireAndForget(() => 1, { waitUntil: (promise) => void promise });
    const load = (options?: { signal?: AbortSignal; timeout?: number }) =>
      fireAndForget(() => 1, { signal: options?.signal, timeout: options?.timeout });
    load({ signal: controller.signal });
    const shared: BackgroundTaskOptions = {
      retry: { maxAttempts: 5, shouldRetry: async (_error, { byDefault }) => byDefault },
    };
    fireAndForget(() => 1, { ...shared, name: 'x' });
  });

  test('refuses what people get wrong', () => {
    // @ts-expect-error a promise has already started: it can be neither queued nor timed nor repeated
    fireAndForget(saveAnswer('x'));
    // @ts-expect-error a handle is no promise
    fireAndForget(() => 1).catch(() => {});
    // @ts-expect-error pass ctx, or a function
    fireAndForget(() => 1, { waitUntil: true });
    // @ts-expect-error a number of repeats is not the rules
    fireAndForget(() => 1, { retry: 3 });
    // @ts-expect-error the signal of the task is not one of its rules
    fireAndForget(() => 1, { retry: { signal: controller.signal } });
    // @ts-expect-error `timeout` is that of an attempt already
    fireAndForget(() => 1, { retry: { attemptTimeout: 5 } });
    // @ts-expect-error a typo
    fireAndForget(() => 1, { timeOut: 5 });
    // @ts-expect-error a function that wants arguments
    fireAndForget((id: string) => saveAnswer(id));
  });
});

describe('TaskHandle', () => {
  test('tells the outcome, each kind with its own fields', async () => {
    const handle = fireAndForget(() => 1);
    expectTypeOf(handle.done).toEqualTypeOf<Promise<TaskOutcome>>();
    const outcome = await handle.done;
    expectTypeOf(outcome.attempts).toEqualTypeOf<number>();
    if (outcome.status === 'refused') {
      expectTypeOf(outcome.reason).toEqualTypeOf<RefusedError>();
      expectTypeOf(outcome.attempts).toEqualTypeOf<0>();
    } else if (outcome.status !== 'fulfilled') {
      expectTypeOf(outcome.reason).toEqualTypeOf<unknown>();
    } else {
      // @ts-expect-error the result of detached work is dropped
      void outcome.value;
    }
  });

  test('cancels with or without a reason, also destructured', () => {
    const { cancel } = fireAndForget(() => 1);
    expectTypeOf(cancel).toEqualTypeOf<(reason?: unknown) => void>();
    cancel();
  });
});

describe('BackgroundTasks', () => {
  test('takes its options, each of which may be missing', () => {
    const group = new BackgroundTasks({
      name: 'analysis',
      concurrency: 4,
      maxQueue: 1_000,
      overflow: 'drop-oldest',
      onError: (error, { name }) => logger.error(name, error),
      hooks: {
        onStart: ({ task }) => logger.error(task),
        onSettle: ({ outcome, runMs }) => logger.error(outcome.status, runMs),
      },
    });
    new BackgroundTasks();
    new BackgroundTasks({ concurrency: undefined, onError: undefined, hooks: undefined });
    expectTypeOf(group.getMetrics()).toEqualTypeOf<BackgroundMetrics>();
    expectTypeOf(group.drain({ timeout: 5, signal: undefined })).toEqualTypeOf<Promise<CloseReport>>();
    expectTypeOf(group.close({ grace: 5, reason: 'x' })).toEqualTypeOf<Promise<CloseReport>>();
    expectTypeOf(group.subscribe({})).toEqualTypeOf<() => void>();
    expectTypeOf(group).toExtend<AsyncDisposable>();
    BackgroundTasks.shared = group;
    expectTypeOf(BackgroundTasks.shared).toEqualTypeOf<BackgroundTasks>();
  });

  test('refuses what people get wrong', () => {
    // @ts-expect-error not a policy of a full queue
    new BackgroundTasks({ overflow: 'throw' });
    // @ts-expect-error a numeric string, as from the environment
    new BackgroundTasks({ concurrency: process.env.CONCURRENCY });
    // @ts-expect-error p-limit's constructor
    new BackgroundTasks(5);
    const group = new BackgroundTasks();
    // @ts-expect-error read only
    group.running = 0;
    // @ts-expect-error frozen
    group.getMetrics().failed = 0;
    // @ts-expect-error a group is no group of another kind
    BackgroundTasks.shared = { run: () => {} };
    // @ts-expect-error `drain` has no grace
    void group.drain({ grace: 5 });
  });

  test('its refusals are told apart by their class', () => {
    expectTypeOf<QueueFullError>().toExtend<RefusedError>();
  });
});
