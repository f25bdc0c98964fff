import { duration, flag, options } from '../core/options.js';
import type { Milliseconds } from '../core/types.js';

const itemFailure: unique symbol = Symbol('paceline.itemFailure');

/** Marks one failed item in a chunk's answer. Made by `context.fail`. */
export interface ItemFailure {
  readonly [itemFailure]: unknown;
}

export interface FailOptions {
  /**
   * `false`: it is not sent again. `true`: it is, even if the rules would not, but within their `maxAttempts`. Default:
   * the rules decide by the reason. Without the option `retry` nothing is sent again.
   */
  retry?: boolean | undefined;
  /** Least wait before it is sent again, ms. >= 0 or Infinity. Default: what the reason tells, if anything. */
  retryAfter?: Milliseconds | undefined;
}

/** What `context.fail` makes. Only this marks a failure: an Error in an answer is a value like any other. */
export class Failure implements ItemFailure {
  readonly [itemFailure]: unknown;
  /** Undefined: the rules decide. */
  readonly #retry: boolean | undefined;
  readonly #retryAfter: Milliseconds | undefined;

  constructor(reason: unknown, failOptions?: FailOptions) {
    const { retry, retryAfter } = options('options', failOptions);
    this[itemFailure] = reason;
    this.#retry = retry === undefined ? undefined : flag('retry', retry, true);
    this.#retryAfter = retryAfter === undefined ? undefined : duration('retryAfter', retryAfter, 0);
  }

  get reason(): unknown {
    return this[itemFailure];
  }

  get retry(): boolean | undefined {
    return this.#retry;
  }

  get retryAfter(): Milliseconds | undefined {
    return this.#retryAfter;
  }

  /** Runs no code of the value's own: it may be a proxy. */
  static is(value: unknown): value is Failure {
    return typeof value === 'object' && value !== null && #retry in value;
  }
}
