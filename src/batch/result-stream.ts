import { AbortSubscription } from '../core/abort.js';
import { chooseAsyncContext } from '../core/async-context.js';
import { ignore, observe } from '../core/deferred.js';
import { Fifo } from '../core/fifo.js';
import { LazyContext } from '../core/task-context.js';
import type { Awaitable } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';
import { ItemWindow } from './item-window.js';
import type { Ending, Entry, Outlet } from './outlet.js';
import { concurrencyOf, type Settings } from './settings.js';
import type { BatchContext, BatchResult } from './types.js';

interface StreamSettings {
  readonly settings: Settings;
  readonly order: 'input' | 'completion';
  /** Undefined: as many as may run. */
  readonly buffer: number | undefined;
}

/** Of an abort: items that were never pulled, and the place of the first. Their results are made when they are read. */
interface Rest<I> {
  readonly reason: unknown;
  readonly items: readonly I[];
  readonly from: number;
}

/**
 * A batch whose results are read one by one. They wait here until then, and are part of the bound: what was pulled and
 * not read yet never exceeds `max(concurrency, buffer)`. Written as an object, not as an async generator: that one
 * would let `return()` wait behind a `next()`.
 *
 *   new ──► open ──► over   every result is here or was read
 *    └───────┴─────► left   by the reader; nothing is handed out any more
 */
export class ResultStream<I, R> implements Outlet<I, R>, AsyncGenerator<BatchResult<I, R>, void, undefined> {
  readonly #window: ItemWindow<I, R>;
  readonly #settings: Settings;
  /** With a pool: its calls must leave the queue when the reader leaves, which the caller's signal does not tell. */
  readonly #stop: LazyContext | undefined;
  #subscription: AbortSubscription | undefined;
  readonly #buffer: number | undefined;
  readonly #inOrder: boolean;
  readonly #context = chooseAsyncContext();
  /** That of the caller: the reader's own must not reach source and work. */
  readonly #captured = this.#context.capture(new Promise(ignore), true);
  /** Pulled and not settled, in input order. */
  readonly #running = new Map<number, Entry<I>>();
  /** Results that were not read, by the place in which they will be. */
  readonly #ready = new Map<number, BatchResult<I, R>>();
  readonly #requests = new Fifo<(result: IteratorResult<BatchResult<I, R>, void>) => void>();
  #state: 'new' | 'open' | 'over' | 'left' = 'new';
  #kept = 0;
  #read = 0;
  /** The reader has these by its own count too. */
  #delivered = 0;
  /** The window would have pulled more than the bound allows. */
  #isHeldBack = false;
  #rest: Rest<I> | undefined;
  #hasEnded = false;
  /** Who waits for the end after leaving. */
  readonly #leaving: (() => void)[] = [];

  /** @throws {TypeError} `items` is not iterable. */
  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    work: (item: I, context: BatchContext) => Awaitable<R>,
    { settings, order, buffer }: StreamSettings,
  ) {
    this.#settings = settings;
    this.#inOrder = order === 'input';
    this.#buffer = buffer;
    this.#stop = settings.pool && new LazyContext();
    const own = this.#stop === undefined ? settings : { ...settings, signal: this.#stop.signal };
    this.#window = new ItemWindow(items, work, own, this);
  }

  next(): Promise<IteratorResult<BatchResult<I, R>, void>> {
    return new Promise((resolve) => {
      this.#requests.push(resolve);
      if (this.#state === 'new') {
        this.#state = 'open';
        this.#follow();
        this.#inContext(() => this.#window.run());
      }
      this.#serve();
    });
  }

  /** Leaves: what runs is aborted, the source closed and waited for (a second at most), unless it is busy with a `next()`. */
  async return(): Promise<IteratorResult<BatchResult<I, R>, void>> {
    await this.#leave(undefined);
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<BatchResult<I, R>, void>> {
    await this.#leave(error);
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  wantsMore(pulled: number): boolean {
    const concurrency = concurrencyOf(this.#settings);
    this.#isHeldBack = pulled - this.#delivered >= Math.max(concurrency, this.#buffer ?? concurrency);
    return !this.#isHeldBack;
  }

  add(entry: Entry<I>): void {
    this.#running.set(entry.index, entry);
  }

  keep(result: BatchResult<I, R>): void {
    this.#running.delete(result.index);
    this.#ready.set(this.#inOrder ? result.index : this.#kept, result);
    this.#kept++;
    this.#serve();
  }

  skip(reason: unknown, rest: readonly I[]): void {
    for (const { item, index, attempts } of [...this.#running.values()]) {
      this.keep({ status: 'skipped', reason, item, index, attempts });
    }
    this.#rest = { reason, items: rest, from: this.#kept };
    this.#serve();
  }

  end({ failure }: Ending): void {
    this.#hasEnded = true;
    this.#subscription?.end();
    if (this.#state === 'open') this.#state = 'over';
    // A report would have it as its `inputError`.
    if (failure !== undefined) reportError('The source of a `streamSettled` failed; the stream ends.', failure.error);
    this.#serve();
    for (const go of this.#leaving) go();
  }

  /** Answers those who wait, in turn. */
  #serve(): void {
    const readBefore = this.#read;
    while (this.#requests.length > 0) {
      const value = this.#takeNext();
      if (value === undefined && this.#state === 'open') break;
      this.#requests.shift()?.(value === undefined ? { done: true, value } : { done: false, value });
    }
    const read = this.#read;
    // Two microtasks later the reader has got hold of what it was given, also if that was there when it asked.
    if (read > readBefore) observe(Promise.resolve().then(ignore), () => this.#deliver(read), ignore);
  }

  #takeNext(): BatchResult<I, R> | undefined {
    if (this.#state === 'left') return undefined;
    const index = this.#read;
    const ready = this.#ready.get(index);
    if (ready !== undefined) {
      this.#ready.delete(index);
      this.#read++;
      return ready;
    }
    const rest = this.#rest;
    if (rest === undefined || index - rest.from >= rest.items.length) return undefined;
    this.#read++;
    const item = rest.items[index - rest.from] as I;
    return { status: 'skipped', reason: rest.reason, item, index, attempts: 0 };
  }

  #deliver(read: number): void {
    this.#delivered = read;
    if (this.#isHeldBack && this.#state === 'open') this.#inContext(() => this.#window.goOn());
  }

  /** The window's own signal aborts with the caller's. */
  #follow(): void {
    const stop = this.#stop;
    const { signal } = this.#settings;
    if (stop === undefined || signal === undefined) return;
    const onAbort = (reason: unknown): void => LazyContext.abort(stop, reason);
    if (signal.aborted) onAbort(signal.reason);
    else this.#subscription = new AbortSubscription(signal, { onAbort });
  }

  async #leave(reason: unknown): Promise<void> {
    const isRunning = this.#state !== 'new' && !this.#hasEnded;
    this.#state = 'left';
    this.#serve();
    const ended = isRunning && new Promise<void>((resolve) => this.#leaving.push(resolve));
    if (isRunning) this.#window.onAbort(reason);
    if (isRunning && this.#stop !== undefined) LazyContext.abort(this.#stop, reason);
    this.#ready.clear();
    this.#rest = undefined;
    await ended;
  }

  #inContext(work: () => void): void {
    this.#context.run(this.#captured, work, undefined);
  }
}
