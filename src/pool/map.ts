import { markHandled } from '../core/deferred.js';
import { type ItemsOptions, runItems } from './items.js';

/** One call of `map`. */
export function runMap<I, R>(options: ItemsOptions<I, R>): Promise<R[]> {
  const results: R[] = [];
  let finish!: (results: R[]) => void;
  let failed!: (reason: unknown) => void;
  const promise = new Promise<R[]>((resolve, reject) => {
    finish = resolve;
    failed = reject;
  });
  runItems(options, {
    promise,
    keep: (index, result) => {
      results[index] = result;
    },
    wantsMore: () => true,
    isBusy: () => true,
    finished: () => finish(results),
    failed,
    // That nobody looks at it then is no unhandled rejection.
    shuttingDown: () => markHandled(promise),
  }).begin();
  return promise;
}
