import { asObject, closeIterator, iterate } from '../coalescer/upstream-iterator.js';
import { AbortSubscription } from '../core/abort.js';
import { NEVER, Timer } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { ignore } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import type { Place } from '../core/gate.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { retryAfter } from '../limits/index.js';
import { bounded } from '../retry/bounded.js';
import type { AttemptContext } from '../retry/index.js';
import type { Call } from './call.js';
import { UpstreamContext } from './context.js';
import type { UpstreamOpen } from './types.js';

/** A slot that is held by hand. */
export type HeldSlot = Place & { readonly signal: AbortSignal };

export interface StreamRules {
  readonly name: string;
  /** Longest wait for a chunk, ms. */
  readonly timeout: Milliseconds;
  readonly deadlines: Deadlines;
  readonly verdictOf: (result: Settled<unknown>) => Verdict;
}

/**
 * One stream that is open in a slot. Each wait for a chunk is bounded. The slot is reported when the reader has its answer, and released when
 * the upstream's iterator has really ended, or did not for another `timeout`.
 */
export class StreamRun<T> {
  readonly #call: Call;
  readonly #slot: HeldSlot;
  readonly #rules: StreamRules;
  readonly #context = new LazyContext();
  readonly #loss: AbortSubscription | undefined;
  #iterator: AsyncIterator<T, unknown> | undefined;
  /** What was asked of the upstream and is not answered. */
  #pending: Promise<unknown> | undefined;
  #isOver = false;
  #isReleased = false;

  constructor(call: Call, slot: HeldSlot, rules: StreamRules) {
    this.#call = call;
    this.#slot = slot;
    this.#rules = rules;
    call.entered();
    slot.started();
    if (slot.signal.aborted) call.abort(slot.signal.reason);
    else this.#loss = new AbortSubscription(slot.signal, { onAbort: (reason) => call.abort(reason) });
  }

  /** Opens the stream and waits for its first chunk. */
  first(open: UpstreamOpen<T>, attempt: AttemptContext | undefined): Promise<IteratorResult<T, unknown>> {
    return this.#within(async () => {
      const iterable = await open(new UpstreamContext(this.#context, attempt));
      this.#iterator = iterate(iterable);
      // It may have been given up while it opened.
      if (this.#isOver) await closeIterator(this.#iterator);
      return this.#isOver ? { done: true, value: undefined } : this.#iterator.next();
    });
  }

  next(): Promise<IteratorResult<T, unknown>> {
    return this.#within(() => (this.#iterator as AsyncIterator<T, unknown>).next());
  }

  /** The reader leaves. Over when the upstream has closed, unless that is busy. */
  async leave(): Promise<void> {
    const isIdle = this.#pending === undefined;
    const closed = this.#end('ignore', undefined);
    if (isIdle) await closed;
  }

  async #within(ask: () => PromiseLike<IteratorResult<T, unknown>>): Promise<IteratorResult<T, unknown>> {
    const { name, timeout, deadlines, verdictOf } = this.#rules;
    let error: unknown;
    const work = async (): Promise<IteratorResult<T, unknown>> => asObject('next()', await ask());
    const cut = (by: 'aborted' | 'overdue'): void => {
      error = by === 'aborted' ? this.#call.reason : new TimeoutError({ source: name, timeout, option: 'timeout' });
      void this.#end(by === 'aborted' ? 'ignore' : 'overload', error);
    };
    const bounds = { signal: this.#call.asSignal, limit: timeout, deadlines };
    const pending = (): Promise<IteratorResult<T, unknown>> => {
      const asked = work();
      this.#pending = asked;
      return asked;
    };
    const result = this.#call.aborted ? 'aborted' : await bounded(pending, bounds, cut);
    if (typeof result === 'string') {
      if (this.#call.aborted && !this.#isOver) cut('aborted');
      throw error;
    }
    this.#pending = undefined;
    if (result.status === 'rejected') {
      const { reason } = result;
      // It has ended by itself: there is nothing to close.
      this.#iterator = undefined;
      void this.#end(verdictOf(result), reason);
      throw reason;
    }
    if (result.value.done === true) {
      this.#iterator = undefined;
      void this.#end('success', undefined);
    }
    return result.value;
  }

  /** Reports at once, releases when nothing of it runs any more. */
  async #end(verdict: Verdict, error: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#loss?.end();
    const bad = verdict === 'failure' || verdict === 'overload';
    this.#slot.report(verdict, bad ? retryAfter(error) : undefined);
    if (verdict !== 'success') LazyContext.abort(this.#context, error);
    if (this.#iterator === undefined && this.#pending === undefined) this.#release();
    else await this.#releaseLater(this.#rules.timeout);
  }

  /** When what was asked has been answered and the iterator has closed, at most `grace` ms later. */
  async #releaseLater(grace: Milliseconds): Promise<void> {
    const timer = grace === NEVER ? undefined : new Timer(() => this.#release(), grace);
    if (this.#iterator !== undefined) await closeIterator(this.#iterator);
    await this.#pending?.catch(ignore);
    timer?.cancel();
    this.#release();
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#slot.release('ignore');
    this.#call.exited();
  }
}
