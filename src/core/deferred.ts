import type { Awaitable } from './types.js';

/** Settles a promise from outside. Rejecting is resolving with a rejected promise: see `PromiseMaker`. */
export type Resolve<T> = (value: Awaitable<T>) => void;

/**
 * Makes promises that are settled from outside, without a closure for each and without keeping `reject`: of the 224 bytes
 * that a pending promise and its two functions take on Node, the latter are 64, and a queue holds one per waiting task. To
 * reject, call `resolve(Promise.reject(error))`; the rejection arrives two microtasks later, by identity.
 */
export class PromiseMaker {
  #resolve: Resolve<unknown> | undefined;
  readonly #executor = (resolve: Resolve<unknown>): void => {
    this.#resolve = resolve;
  };

  make<T>(): Promise<T> {
    return new Promise<T>(this.#executor as (resolve: Resolve<T>) => void);
  }

  /** The `resolve` of the promise made last. To be taken once, at once. */
  takeResolve<T>(): Resolve<T> {
    const resolve = this.#resolve as Resolve<T>;
    this.#resolve = undefined;
    return resolve;
  }
}

const { then } = Promise.prototype;

/**
 * Calls exactly one of the two, exactly once, in a later microtask, whatever `then` somebody put on the promise itself.
 * Neither may throw.
 */
export function observe<T>(
  promise: Promise<T>,
  fulfilled: (value: T) => void,
  rejected: (reason: unknown) => void,
): void {
  void then.call(promise, fulfilled as (value: unknown) => void, rejected);
}

/** A promise of its own with the same outcome, or with what `fulfilled` makes of the value, or `rejected` of the reason. */
export function derive<T>(
  promise: Promise<T>,
  fulfilled?: (value: T) => Awaitable<T>,
  rejected?: (reason: unknown) => Awaitable<T>,
): Promise<T> {
  return then.call(promise, fulfilled as (value: unknown) => unknown, rejected) as Promise<T>;
}

export function ignore(): void {}

/** Marks a promise as handled: if it rejects and nobody looks, that is no "unhandled rejection". */
export function markHandled(promise: Promise<unknown>): void {
  observe(promise, ignore, ignore);
}
