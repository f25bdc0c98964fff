import { ignore } from '../core/deferred.js';
import { callable, object } from '../core/options.js';

type Hook<E> = (event: E) => unknown;

/** The functions that listen to one kind of event. */
interface Listener<E> {
  readonly hook: Hook<E>;
  readonly owner: object;
}

export type Listeners<E> = readonly Listener<E>[];

/** For each hook of `H`, who listens: undefined while nobody does, so that the event need not even be made. */
export type ListenersOf<H> = { [N in keyof H]?: Listeners<H[N] extends Hook<infer E> | undefined ? E : never> };

/**
 * The observers of one primitive. They never change an outcome: a hook that throws or rejects is contained and reported on the
 * console, once per hook. State changes first, hooks are told second.
 *
 * A caller reads `listeners.onX` and, if there are any, makes the event and hands both to `tell`.
 */
export class HookSet<H extends object> {
  readonly #source: string;
  readonly #names: readonly (keyof H & string)[];
  readonly #subscriptions = new Set<{ readonly hooks: H }>();
  readonly #reported = new WeakSet<object>();
  listeners: ListenersOf<H> = {};

  constructor(source: string, names: readonly (keyof H & string)[], hooks?: H | undefined) {
    this.#source = source;
    this.#names = names;
    if (hooks !== undefined) this.subscribe(hooks);
  }

  get isEmpty(): boolean {
    return this.#subscriptions.size === 0;
  }

  /** Returns the function that ends it. @throws {TypeError} not an object of functions. */
  subscribe(hooks: H): () => void {
    object('hooks', hooks, 'an object of functions');
    for (const name of this.#names) if (hooks[name] !== undefined) callable(`hooks.${name}`, hooks[name]);
    // A wrapper of its own, so that one object can be subscribed twice and each end ends one.
    const subscription = { hooks };
    this.#subscriptions.add(subscription);
    this.#collect();
    return () => {
      this.#subscriptions.delete(subscription);
      this.#collect();
    };
  }

  tell<E>(listeners: Listeners<E>, event: E): void {
    for (const { hook, owner } of listeners) {
      try {
        const result = hook.call(owner, event) as PromiseLike<unknown> | null | undefined;
        if (result?.then) Promise.resolve(result).then(ignore, (error: unknown) => this.#report(hook, error));
      } catch (error) {
        this.#report(hook, error);
      }
    }
  }

  #collect(): void {
    const collected: Record<string, Listener<unknown>[]> = {};
    for (const { hooks } of this.#subscriptions) {
      for (const name of this.#names) {
        const hook = hooks[name] as Hook<unknown> | undefined;
        if (hook === undefined) continue;
        collected[name] ??= [];
        collected[name].push({ hook, owner: hooks });
      }
    }
    this.listeners = collected as ListenersOf<H>;
  }

  #report(hook: object, error: unknown): void {
    if (this.#reported.has(hook)) return;
    this.#reported.add(hook);
    reportError(`A hook of \`${this.#source}\` failed; further failures of it are not shown.`, error);
  }
}

/** The console is the last resort and may be missing or broken. */
export function reportError(message: string, error: unknown): void {
  try {
    console.error(`[paceline] ${message}`, error);
  } catch {
    // Nobody is left to tell.
  }
}
