/*
 * Keeps the async context (AsyncLocalStorage and what is built on it) of whoever submitted a task that has to wait.
 *
 * A queued task is started from the reaction of another task, hence in that one's context: tracing, logging and request
 * stores would belong to a stranger. A task that starts inside `execute` needs nothing of this.
 *
 * Never per task: `AsyncLocalStorage.snapshot()` (5 to 12 µs). Never at all: activating an AsyncLocalStorage or a hook of our
 * own, which on Node 20 and 22 slows every `await` of the process. What is left, by runtime:
 *
 * - Node 20 and 22 hang the stores on async resources, and every promise made while some store is in use is one. The promise
 *   that `execute` returns was made in the submitter's context, so it is the capture, at no cost. It has an id only then.
 * - Node 24 keeps one immutable frame in V8. An AsyncResource made now tells us the frame; only that reference is kept.
 * - Bun, Deno, workerd (with `nodejs_compat`): one AsyncResource for each waiting task.
 * - Where there is no `node:async_hooks` there is no context to keep.
 */

interface ProcessLike {
  readonly getBuiltinModule?: (id: string) => { readonly AsyncResource?: ResourceType } | undefined;
  readonly versions?: { readonly bun?: string; readonly deno?: string };
}
interface Resource {
  runInAsyncScope<A, R>(fn: (argument: A) => R, self: undefined, argument: A): R;
}
type ResourceType = (new (
  type: string,
  trigger?: number,
) => Resource & Record<symbol, unknown>) & { readonly prototype: Resource };

export interface AsyncContextPort {
  /** The context of this moment. @param promise one that was made in it. Undefined: there is none. */
  capture(promise: Promise<unknown>): unknown;
  /** Calls `fn(argument)` in a captured context. `fn` must not throw. */
  run<A>(captured: unknown, fn: (argument: A) => void, argument: A): void;
}

const NAME = 'paceline';

const noContext: AsyncContextPort = {
  capture: () => undefined,
  run: (_captured, fn, argument) => fn(argument),
};

function byResource(Type: ResourceType): AsyncContextPort {
  return {
    capture: () => new Type(NAME),
    run: (captured, fn, argument) => (captured as Resource).runInAsyncScope(fn, undefined, argument),
  };
}

/** Node: by the promise's own id (20, 22) and by frame (24), whichever is in force. */
function byNode(Type: ResourceType, id: symbol, trigger: symbol, frame: symbol | undefined): AsyncContextPort {
  const { runInAsyncScope } = Type.prototype;
  const emptyId = (new Type(NAME) as unknown as Record<symbol, number>)[id];
  // One resource takes each frame in turn: `runInAsyncScope` reads it at entry and never again.
  const carrier = new Type(NAME);

  return {
    capture(promise) {
      if (frame !== undefined) {
        const current = new Type(NAME, 0)[frame];
        if (current !== undefined) return current;
      }
      // Without an id, running "in" a promise would corrupt Node's stack of hooks, which ends the process.
      return typeof (promise as unknown as Record<symbol, unknown>)[id] === 'number' ? promise : undefined;
    },
    run(captured, fn, argument) {
      if (captured === undefined) {
        // New each time: what a task enters with `enterWith` stays on its resource.
        const empty = { [id]: emptyId, [trigger]: 0 } as unknown as Resource;
        runInAsyncScope.call(empty, fn as (a: unknown) => void, undefined, argument);
      } else if (captured instanceof Promise) {
        runInAsyncScope.call(captured as unknown as Resource, fn as (a: unknown) => void, undefined, argument);
      } else {
        (carrier as Record<symbol, unknown>)[frame as symbol] = captured;
        carrier.runInAsyncScope(fn, undefined, argument);
      }
    },
  };
}

/**
 * The way this runtime keeps context. To be asked for when the first task has to wait: constructing an owner touches nothing.
 * Node's own symbols are found by what they are called; if they ever are called otherwise, the plain way is taken.
 */
export function chooseAsyncContext(): AsyncContextPort {
  const { process } = globalThis as { process?: ProcessLike };
  const Type = process?.getBuiltinModule?.('node:async_hooks')?.AsyncResource;
  if (Type === undefined) return noContext;
  const symbols = Object.getOwnPropertySymbols(new Type(NAME));
  const find = (name: string) => symbols.find((symbol) => symbol.description === name);
  const id = find('async_id_symbol');
  const trigger = find('trigger_async_id_symbol');
  const { bun, deno } = process?.versions ?? {};
  if (id === undefined || trigger === undefined || bun !== undefined || deno !== undefined) return byResource(Type);
  return byNode(Type, id, trigger, find('context_frame'));
}
