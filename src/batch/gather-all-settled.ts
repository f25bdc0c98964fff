import { callable, wrongType } from '../core/options.js';
import type { Settled, Task } from '../core/types.js';
import { ItemWindow } from './item-window.js';
import { Ledger } from './ledger.js';
import { checkOptions } from './settings.js';
import type { BatchReport, GatherOptions, GatherReport } from './types.js';

/**
 * `Promise.allSettled` for different tasks with names: what arrived and what failed, each with its type. For pages and
 * prompts that are built from several sources and are worth something without one of them.
 *
 * Resolves always, and rejects only for bad arguments: on an abort, what is not done is rejected with `signal.reason`.
 * Tasks start in the order of their names in the object, all at once unless `concurrency` says otherwise.
 *
 * @param tasks functions by their names: the object's own enumerable string keys.
 * @throws {TypeError | RangeError} as a rejection: `tasks` is a list or holds something else than functions, an option
 *   is out of range.
 *
 * @example
 * ```ts
 * const { values: { history = [], passages = [] }, errors } = await gatherAllSettled({
 *   history: () => db.history(conversation),
 *   passages: ({ signal }) => vectors.search(question, { signal }),
 * }, { timeout: 400 });
 * ```
 */
export async function gatherAllSettled<T extends Record<string, unknown>>(
  tasks: { readonly [N in keyof T]: Task<T[N]> },
  options?: GatherOptions,
): Promise<GatherReport<T>> {
  const named = checkTasks(tasks);
  const settings = checkOptions('gather', options);
  const concurrency = settings.concurrency ?? Number.POSITIVE_INFINITY;
  const own = { ...settings, concurrency, delay: 0, onProgress: undefined };
  const start = ([, task]: NamedTask, context: Parameters<NamedTask[1]>[0]): unknown => task(context);
  const { results } = await new Promise<BatchReport<NamedTask, unknown>>((resolve) => {
    new ItemWindow(named, start, own, new Ledger(resolve)).run();
  });

  const outcomes = results.map((result): [string, Settled<unknown>] => {
    const [name] = result.item;
    if (result.status === 'fulfilled') return [name, { status: 'fulfilled', value: result.value }];
    return [name, { status: 'rejected', reason: result.reason }];
  });
  // `fromEntries` defines properties: "__proto__" is a name like any other.
  const values = Object.fromEntries(
    outcomes.flatMap(([name, outcome]) => (outcome.status === 'fulfilled' ? [[name, outcome.value]] : [])),
  );
  const errors = Object.fromEntries(
    outcomes.flatMap(([name, outcome]) => (outcome.status === 'rejected' ? [[name, outcome.reason]] : [])),
  );
  const failed = Object.keys(errors);
  const ok = failed.length === 0;
  return {
    ok,
    results: Object.fromEntries(outcomes),
    values,
    errors,
    unwrap() {
      if (ok) return values;
      const message = `${failed.length} of ${outcomes.length} tasks failed: ${failed.join(', ')}`;
      throw new AggregateError(Object.values(errors), message);
    },
  } as GatherReport<T>;
}

type NamedTask = readonly [name: string, task: Task<unknown>];

function checkTasks(tasks: Readonly<Record<string, Task<unknown>>>): readonly NamedTask[] {
  if (typeof tasks !== 'object' || tasks === null || Array.isArray(tasks)) {
    throw wrongType('tasks', 'an object of functions by their names', tasks);
  }
  return Object.entries(tasks).map(([name, task]) => [name, callable(`tasks.${name}`, task)]);
}
