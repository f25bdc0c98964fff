import type { AcquireRequest, Gate } from '../core/gate.js';
import type { Permit } from '../core/permit.js';

/** One call of `acquire` and what came of it. The gate may have answered at once or later, thrown or rejected: here that is one. */
export class Ask {
  #state: 'waiting' | 'granted' | 'rejected' = 'waiting';
  #answer: unknown;
  #isDiscarded = false;

  constructor(gate: Gate, request: AcquireRequest | undefined) {
    new Promise<Permit>((resolve) => resolve(gate.acquire(request))).then(
      (permit) => this.#settle('granted', permit),
      (reason: unknown) => this.#settle('rejected', reason),
    );
  }

  get isSettled(): boolean {
    return this.#state !== 'waiting';
  }

  get permit(): Permit | undefined {
    return this.#state === 'granted' && isPermit(this.#answer) ? this.#answer : undefined;
  }

  /** The reason itself, and whether there is one: it may be `undefined`. */
  get rejection(): { readonly reason: unknown } | undefined {
    return this.#state === 'rejected' ? { reason: this.#answer } : undefined;
  }

  isRejectedWith(reason: unknown): boolean {
    return this.#state === 'rejected' && Object.is(this.#answer, reason);
  }

  /** Its permit is not wanted: given back now, or when it comes. */
  discard(): void {
    this.#isDiscarded = true;
    if (this.permit) giveBack(this.permit);
  }

  /** For messages. */
  toString(): string {
    if (this.#state === 'waiting') return 'no answer';
    if (this.permit) return 'a permit';
    return `${this.#state === 'granted' ? 'no permit but' : 'a rejection with'} ${shown(this.#answer)}`;
  }

  #settle(state: 'granted' | 'rejected', answer: unknown): void {
    this.#state = state;
    this.#answer = answer;
    if (this.#isDiscarded) this.discard();
  }
}

export function isPermit(value: unknown): value is Permit {
  return typeof (value as Partial<Permit> | null | undefined)?.release === 'function';
}

/** After the verdict of a law: a permit that fails now changes nothing about it. */
export function giveBack(permit: Permit): void {
  try {
    permit.release('ignore');
  } catch {}
}

/** A value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const { name, message, then } = value as { name?: unknown; message?: unknown; then?: unknown };
  if (typeof message === 'string') return `${String(name)}: ${message}`;
  return typeof then === 'function' ? 'a promise' : 'an object';
}
