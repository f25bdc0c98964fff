import { AbortSubscription } from '../core/abort.js';
import { observe } from '../core/deferred.js';
import { LazyContext } from '../core/task-context.js';
import type { Settled, Task } from '../core/types.js';
import type { Pass } from './pass.js';

const { then } = Promise.prototype;

function enter<T>(task: Task<T>, context: LazyContext): Promise<T> {
  try {
    return Promise.resolve(task(context));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Runs a task that was let in. Its result is counted before its caller has it. */
export function guarded<T>(task: Task<T>, pass: Pass): Promise<T> {
  // Not the promise's own `then`: somebody may have put another one there.
  return then.call(enter(task, new LazyContext()), pass.fulfilled, pass.rejected) as Promise<T>;
}

/** The same for a caller who may leave: then nothing is counted, and what the work does later is swallowed. */
export function guardedUntil<T>(task: Task<T>, pass: Pass, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const context = new LazyContext();
    let isOver = false;
    // Before the task is entered: it may abort the signal itself.
    const subscription = new AbortSubscription(signal, {
      onAbort(reason) {
        isOver = true;
        pass.left();
        reject(reason);
        LazyContext.abort(context, reason);
      },
    });
    const settle = (result: Settled<T>): void => {
      if (isOver) return;
      subscription.end();
      pass.settled(result);
      if (result.status === 'fulfilled') resolve(result.value);
      else reject(result.reason);
    };
    observe(
      enter(task, context),
      (value) => settle({ status: 'fulfilled', value }),
      (reason) => settle({ status: 'rejected', reason }),
    );
  });
}
