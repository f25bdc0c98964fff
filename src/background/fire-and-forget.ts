import { BackgroundTasks } from './background-tasks.js';
import type { BackgroundContext, BackgroundTaskOptions, TaskHandle } from './types.js';

/**
 * Starts `task` in `BackgroundTasks.shared`, in a microtask, and returns at once. A failure is reported, never swallowed, and never
 * crashes the process. Never throws.
 *
 * For what a response should not wait for: analytics, logs, warming a cache. Not durable: what must survive a crash goes to a
 * job queue, and a platform's `waitUntil` (say Cloudflare's, up to 30 s after the response) does not make it one.
 *
 * @example
 * fireAndForget(({ signal }) => analytics.track('chat', { signal }), { name: 'analytics', timeout: 5_000, waitUntil: ctx });
 */
export function fireAndForget(
  task: (context: BackgroundContext) => unknown,
  options?: BackgroundTaskOptions,
): TaskHandle {
  return BackgroundTasks.shared.run(task, options);
}
