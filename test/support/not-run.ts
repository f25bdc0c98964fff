import type { TestContext } from 'vitest';

/**
 * Leaves a test out because a service is not there, and says so: `.ci/run` counts these lines, and fails on a test that
 * was skipped without one.
 */
export function notRun(context: TestContext, reason: string): never {
  console.log(`not run: ${context.task.name}: ${reason}`);
  return context.skip(reason);
}
