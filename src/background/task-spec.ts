import { abortSignal, callable, duration, optionalCallable, options, text } from '../core/options.js';
import type { Milliseconds, WaitUntil } from '../core/types.js';
import { checkWaitUntil } from '../core/wait-until.js';
import { isPolicy, type RetryPolicy, type RetryRules } from '../retry/index.js';
import type { ErrorHandler } from './failures.js';
import type { BackgroundContext, BackgroundTaskOptions } from './types.js';

/** What a caller of `run` asked for, checked. */
export interface TaskSpec {
  readonly fn: (context: BackgroundContext) => unknown;
  readonly name: string;
  readonly timeout: Milliseconds;
  readonly retry: RetryRules | RetryPolicy | undefined;
  readonly signal: AbortSignal | undefined;
  readonly waitUntil: WaitUntil | undefined;
  readonly onError: ErrorHandler | undefined;
  /** Why it cannot run. What was read until then is kept, so that the right handler hears of it. */
  readonly fault: { readonly error: unknown } | undefined;
}

/** Never throws: what is wrong with the arguments is the failure of the task. */
export function readSpec(fn: (context: BackgroundContext) => unknown, given?: BackgroundTaskOptions): TaskSpec {
  let onError: ErrorHandler | undefined;
  let name = 'task';
  let fault: TaskSpec['fault'];
  try {
    const asked = options('options', given);
    onError = optionalCallable('onError', asked.onError);
    name = text('name', asked.name, nameOf(fn));
    const { retry } = asked;
    const policy = isPolicy(retry) ? retry : undefined;
    return {
      fn: callable('task', fn),
      name,
      timeout: duration('timeout', asked.timeout, policy?.plan.attemptTimeout ?? Number.POSITIVE_INFINITY),
      // `null` and `false` are not "none".
      retry: retry === undefined || isPolicy(retry) ? retry : { ...options('retry', retry) },
      signal: abortSignal('signal', asked.signal),
      waitUntil: checkWaitUntil(asked.waitUntil),
      onError,
      fault,
    };
  } catch (error) {
    fault = { error };
  }
  return { fn, name, timeout: 0, retry: undefined, signal: undefined, waitUntil: undefined, onError, fault };
}

/** A static method or property may shadow a function's own name. */
function nameOf(fn: unknown): string {
  const name: unknown = typeof fn === 'function' ? fn.name : undefined;
  return typeof name === 'string' && name !== '' ? name : 'task';
}
