import { ignore, observe } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import { Items, type ItemsOptions } from './items.js';

interface StreamItemsOptions<I, R> extends ItemsOptions<I, R> {
  readonly order: 'input' | 'completion';
  /** Undefined: as many as may run. */
  readonly buffer: number | undefined;
}

/** A `next()` that waits. */
interface Request<R> {
  readonly resolve: (result: IteratorResult<R, void>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * One call of `stream`. Results wait here until they are read, and are part of the bound: what was pulled and not read yet never exceeds
 * `max(concurrency, buffer)`. Written as an object, not as an async generator: that one would let `return()` wait behind a `next()`.
 */
export class StreamItems<I, R> extends Items<I, R> implements AsyncGenerator<R, void, undefined> {
  readonly #concurrency: number;
  readonly #buffer: number | undefined;
  readonly #inOrder: boolean;
  /** Results that were not read, by the place in which they will be. */
  readonly #ready = new Map<number, R>();
  readonly #requests = new Fifo<Request<R>>();
  #kept = 0;
  #read = 0;
  /** The reader has these by its own count too. */
  #delivered = 0;
  #state: 'new' | 'open' | 'over' = 'new';
  #failure: { readonly reason: unknown } | undefined;

  constructor(options: StreamItemsOptions<I, R>) {
    super(options, new Promise(ignore));
    this.#concurrency = options.concurrency;
    this.#buffer = options.buffer;
    this.#inOrder = options.order === 'input';
  }

  next(): Promise<IteratorResult<R, void>> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ resolve, reject });
      if (this.#state === 'new') this.#open();
      this.#serve();
    });
  }

  /** Leaves: what runs is aborted, the source is closed and waited for, unless it is busy with a `next()`. */
  async return(): Promise<IteratorResult<R, void>> {
    await this.#leave(undefined);
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<R, void>> {
    await this.#leave(error);
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  shutDown(reason: unknown): void {
    this.abort(reason);
  }

  keep(index: number, result: R): void {
    this.#ready.set(this.#inOrder ? index : this.#kept, result);
    this.#kept++;
    this.#serve();
  }

  override get isBusy(): boolean {
    return this.#requests.length > 0 || super.isBusy;
  }

  protected wantsMore(pulled: number): boolean {
    const concurrency = Math.min(this.#concurrency, this.engine.admission.limit);
    return pulled - this.#delivered < Math.max(concurrency, this.#buffer ?? concurrency);
  }

  protected finished(): void {
    this.#state = 'over';
    this.#serve();
  }

  protected failed(reason: unknown): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#failure = { reason };
    this.#serve();
  }

  #open(): void {
    this.#state = 'open';
    if (this.engine.isClosing) this.abort(new ClosedError({ source: this.engine.name }));
    else this.inContext(() => this.begin());
  }

  /** Answers those who wait, in turn: with a result, with the failure once, with the end. */
  #serve(): void {
    const readBefore = this.#read;
    while (this.#requests.length > 0) {
      const request = this.#requests.peek() as Request<R>;
      if (this.#ready.has(this.#read)) {
        const value = this.#ready.get(this.#read) as R;
        this.#ready.delete(this.#read++);
        request.resolve({ done: false, value });
      } else if (this.#state !== 'over') {
        break;
      } else if (this.#failure !== undefined) {
        request.reject(this.#failure.reason);
        this.#failure = undefined;
      } else {
        request.resolve({ done: true, value: undefined });
      }
      this.#requests.shift();
    }
    // Two microtasks later the reader has got hold of what it was given, also if that was there when it asked.
    if (this.#read > readBefore) observe(Promise.resolve().then(ignore), this.#deliver, ignore);
  }

  readonly #deliver = (): void => {
    this.#delivered = this.#read;
    if (this.#state === 'open') this.inContext(() => this.goOn());
  };

  async #leave(reason: unknown): Promise<void> {
    this.#state = 'over';
    this.#ready.clear();
    const closing = this.closeSource();
    this.abort(reason);
    this.#serve();
    await closing;
  }
}
