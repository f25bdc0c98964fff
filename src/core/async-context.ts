type Resource = Record<symbol, unknown> & {
  runInAsyncScope(fn: (argument: never) => void, self: undefined, argument: unknown): void;
};
type ResourceType = (new (type: string, trigger?: number) => Resource) & { readonly prototype: Resource };
interface ProcessLike {
  readonly getBuiltinModule?: (id: string) => { readonly AsyncResource?: ResourceType } | undefined;
  readonly versions?: { readonly bun?: string; readonly deno?: string };
}

export interface AsyncContextPort {
  /**
   * The context of this moment. Undefined: there is none.
   * @param promise one that was made in it. @param isReused it is to be run in more than once: what one run leaves in it must not reach the next.
   */
  capture(promise: Promise<unknown>, isReused?: boolean): unknown;
  /** Calls `fn(argument)` in a captured context. `fn` must not throw. */
  run<A>(captured: unknown, fn: (argument: A) => void, argument: A): void;
}

const NAME = 'paceline';

/** One resource for each task, or none where there is no such thing. */
function byResource(Type: ResourceType | undefined): AsyncContextPort {
  return {
    capture: () => Type && new Type(NAME),
    run: (captured, fn, argument) =>
      Type ? (captured as Resource).runInAsyncScope(fn, undefined, argument) : fn(argument),
  };
}

/**
 * The way this runtime keeps context. To be asked for when the first task has to wait: constructing an owner touches nothing.
 * Node's own symbols are found by what they are called; if they ever are called otherwise, the plain way is taken.
 */
export function chooseAsyncContext(): AsyncContextPort {
  const { process } = globalThis as { process?: ProcessLike };
  const Type = process?.getBuiltinModule?.('node:async_hooks')?.AsyncResource;
  if (Type === undefined) return byResource(Type);
  const probe = new Type(NAME);
  const symbols = Object.getOwnPropertySymbols(probe);
  const [id, trigger, frame] = ['async_id_symbol', 'trigger_async_id_symbol', 'context_frame'].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  const isOther = process?.versions?.bun ?? process?.versions?.deno;
  if (!id || !trigger || isOther) return byResource(Type);

  // Node: by the promise's own id (20, 22) and by frame (24), whichever is in force.
  return {
    capture: (promise, isReused) =>
      (frame && new Type(NAME, 0)[frame]) ??
      // Without an id, running "in" a promise would corrupt Node's stack of hooks, which ends the process.
      (typeof (promise as unknown as Resource)[id] === 'number' ? (isReused ? { ...promise } : promise) : undefined),
    run(captured, fn, argument) {
      let resource = captured;
      if (captured === undefined) {
        // New each time: what a task enters with `enterWith` stays on its resource.
        resource = { [id]: probe[id], [trigger]: 0 };
      } else if (typeof (captured as Resource)[id] === 'number') {
        if (!(captured instanceof Promise)) resource = { ...captured };
      } else {
        // The probe takes each frame in turn: `runInAsyncScope` reads it at entry and never again.
        probe[frame as symbol] = captured;
        resource = probe;
      }
      probe.runInAsyncScope.call(resource, fn, undefined, argument);
    },
  };
}
