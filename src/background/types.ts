import type { RefusedError } from '../core/errors.js';
import type { Milliseconds, TaskContext, WaitUntil } from '../core/types.js';
import type { DurationSummary } from '../metrics/histogram.js';
import type { RetryPolicy, RetryRules } from '../retry/index.js';

export interface BackgroundContext extends TaskContext {
  readonly name: string;
  /** From 1. */
  readonly attempt: number;
}

export interface BackgroundTaskOptions {
  /** For reports and metrics: few, fixed names. Default: the function's name, else 'task'. */
  name?: string | undefined;
  /**
   * Longest run of an attempt, ms, >= 0: then its signal aborts, and a `TimeoutError` is its failure. Default Infinity.
   * Work that does not listen runs on and holds its place; where `retry` says so, the next attempt begins all the same.
   */
  timeout?: Milliseconds | undefined;
  /**
   * Repeats failed attempts. The task keeps its place while it waits for the next one. Default: no repeats. A `RetryPolicy` brings
   * its budget, hooks, counters and timeouts; its `attemptTimeout` is the default of `timeout`.
   */
  retry?: RetryRules | RetryPolicy | undefined;
  /** Cancels the task, as `TaskHandle.cancel` does. */
  signal?: AbortSignal | undefined;
  /**
   * Told of the final failure, and of a refusal. Default: the group's, else `console.error`. One that throws or rejects is
   * contained; that, and the failure it was told of, go to the console.
   */
  onError?: ((error: unknown, task: { readonly name: string; readonly attempts: number }) => void) | undefined;
  /**
   * Keeps the task alive after the response: Cloudflare's `ctx`, Next's `after`. Registered inside the call, before the task
   * starts, until the work has really ended. Where registering fails, the task never runs, and that error is its outcome.
   */
  waitUntil?: WaitUntil | undefined;
}

/** `attempts` counts those that were begun: 0 if the task never ran. */
export type TaskOutcome =
  | { readonly status: 'fulfilled'; readonly attempts: number }
  | { readonly status: 'rejected'; readonly reason: unknown; readonly attempts: number }
  /** By its handle, its signal or `close`. No failure: `onError` is not told. */
  | { readonly status: 'cancelled'; readonly reason: unknown; readonly attempts: number }
  /** It never ran: queue full, or closed. */
  | { readonly status: 'refused'; readonly reason: RefusedError; readonly attempts: 0 };

/** Not a promise: there is nothing to await, and nothing to forget to catch. Its method may be destructured. */
export interface TaskHandle {
  readonly name: string;
  /** Never rejects. */
  readonly done: Promise<TaskOutcome>;
  /**
   * Before the start: the task never runs. After it: its signal aborts, `done` settles at once, and the work holds its place
   * until it ends. Does nothing once the outcome is known.
   * @param reason reaches the task as `signal.reason`. Default an AbortError.
   */
  cancel(reason?: unknown): void;
}

export interface BackgroundTasksOptions {
  /** Default 'background'. */
  name?: string | undefined;
  /** For tasks without one of their own. Default: `console.error`, where refusals are shown once per name of a task and counted after that. */
  onError?: BackgroundTaskOptions['onError'];
  /** Most tasks at once: integer >= 1 or Infinity. Default Infinity. */
  concurrency?: number | undefined;
  /** Most tasks that wait: integer >= 0 or Infinity. Default Infinity: set it in servers. Needs a `concurrency`: else nothing waits. */
  maxQueue?: number | undefined;
  /**
   * Who goes when the queue is full: the new task (default) or the oldest that waits. Its outcome is `refused`, and `onError` is
   * told. Where nothing may wait (`maxQueue: 0`), it is the new one. Needs a `maxQueue`.
   */
  overflow?: 'reject' | 'drop-oldest' | undefined;
  hooks?: BackgroundHooks | undefined;
}

export interface BackgroundHooks {
  /** A task is about to be entered. Once per task, however many attempts it takes. */
  onStart?: ((event: { readonly name: string; readonly task: string }) => void) | undefined;
  /** A task's outcome is known, refusals included. Work that was cancelled or timed out may still run. */
  onSettle?: ((event: BackgroundSettleEvent) => void) | undefined;
}

export interface BackgroundSettleEvent {
  readonly name: string;
  readonly task: string;
  readonly outcome: TaskOutcome;
  /** From the entry to the outcome, waits between attempts included; 0 if it never ran. */
  readonly runMs: Milliseconds;
}

/** Counters count from construction, gauges tell now. */
export interface BackgroundMetrics {
  readonly kind: 'background';
  readonly name: string;
  /** Holding a place, those included whose outcome is known but whose work goes on. */
  readonly running: number;
  readonly queued: number;
  /** Taken in, to run at once or to wait. */
  readonly accepted: number;
  readonly fulfilled: number;
  /** Bad arguments of `run` included, though these are not accepted. */
  readonly failed: number;
  readonly cancelled: number;
  /** Turned away at once, or taken in and dropped or closed before the start. */
  readonly refused: number;
  /** failed / (fulfilled + failed), 0..1; 0 while empty. */
  readonly failureRate: number;
  /** Of tasks that fulfilled or failed. */
  readonly runMs: DurationSummary;
}
