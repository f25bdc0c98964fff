/** Errors that were stopped in one call. Objects are held weakly: one that is stopped and not thrown is nobody's any more. */
export class Finals {
  readonly #objects = new WeakSet<object>();
  #primitives: Set<unknown> | undefined;

  add(error: unknown): void {
    if (isObject(error)) this.#objects.add(error);
    else {
      this.#primitives ??= new Set();
      this.#primitives.add(error);
    }
  }

  has(error: unknown): boolean {
    return isObject(error) ? this.#objects.has(error) : this.#primitives?.has(error) === true;
  }
}

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
