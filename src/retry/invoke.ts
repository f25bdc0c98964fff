import type { Awaitable } from '../core/types.js';

/** Turns a throw, a thenable or a plain value into a promise. A plain promise is taken as it is: to adopt it would cost three ticks. */
export function invoke<A, T>(fn: (argument: A) => Awaitable<T>, argument: A): Promise<T> {
  try {
    return Promise.resolve(fn(argument)) as Promise<T>;
  } catch (error) {
    return Promise.reject(error);
  }
}
