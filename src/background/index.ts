export { BackgroundTasks } from './background-tasks.js';
export { fireAndForget } from './fire-and-forget.js';
export type {
  BackgroundContext,
  BackgroundHooks,
  BackgroundMetrics,
  BackgroundSettleEvent,
  BackgroundTaskOptions,
  BackgroundTasksOptions,
  TaskHandle,
  TaskOutcome,
} from './types.js';
