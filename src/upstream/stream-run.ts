import { asObject, closeIterator, iterate } from '../coalescer/upstream-iterator.js';
import { AbortSubscription } from '../core/abort.js';
import { NEVER, Timer } from '../core/clock.js';
import type { Deadline, Deadlines } from '../core/deadlines.js';
import { ignore, observe } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import type { Place } from '../core/gate.js';
import { LazyContext } from '../core/task-context.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { waitIn } from '../limits/reading.js';
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

type Chunk<T> = IteratorResult<T, unknown>;

/**
 * One stream in its slot, from the opening to the end: it ends by itself, by a wait that is too long, by its call's abort, with its
 * attempt (until the first chunk), or with its slot. Whatever ends it is reported at once; the slot is free when the upstream's
 * iterator has really ended, or did not for another `timeout`.
 */
export class StreamRun<T> {
  readonly #call: Call;
  readonly #slot: HeldSlot;
  readonly #rules: StreamRules;
  readonly #context = new LazyContext();
  readonly #subscriptions: AbortSubscription[] = [];
  #iterator: AsyncIterator<T, unknown> | undefined;
  /** What was asked of the upstream and is not answered. */
  #asked: Promise<unknown> | undefined;
  /** Who waits for it. */
  #reject: ((reason: unknown) => void) | undefined;
  #deadline: Deadline | undefined;
  /** The first chunk is there: it is not repeated any more. */
  #hasBegun = false;
  #isOver = false;
  /** Why, if it did not end by itself. In an object: it may be undefined. */
  #cutBy: { readonly reason: unknown } | undefined;
  #isReleased = false;
  #onRelease: (() => void) | undefined;

  /** @param attempt aborts with the attempt that this is. */
  constructor(call: Call, slot: HeldSlot, rules: StreamRules, attempt: AbortSignal) {
    this.#call = call;
    this.#slot = slot;
    this.#rules = rules;
    call.entered();
    slot.started();
    for (const signal of new Set([call.asSignal, attempt, slot.signal])) {
      if (signal.aborted) this.#cut('ignore', signal.reason);
      else
        this.#subscriptions.push(new AbortSubscription(signal, { onAbort: (reason) => this.#cut('ignore', reason) }));
    }
  }

  /** Opens the stream and waits for its first chunk. */
  first(open: UpstreamOpen<T>, attempt: AttemptContext | undefined): Promise<Chunk<T>> {
    return this.#ask(async () => {
      const iterator = iterate(await open(new UpstreamContext(this.#context, attempt)));
      if (this.#isOver) {
        await closeIterator(iterator);
        return { done: true, value: undefined };
      }
      this.#iterator = iterator;
      return iterator.next();
    });
  }

  next(): Promise<Chunk<T>> {
    return this.#ask(() => (this.#iterator as AsyncIterator<T, unknown>).next());
  }

  /** The reader leaves. Over when the slot is free, or at once if the upstream is busy or the run was cut. */
  leave(): Promise<void> {
    const isIdle = this.#asked === undefined && this.#cutBy === undefined;
    this.#end('ignore', undefined);
    if (!isIdle || this.#isReleased) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onRelease = resolve;
    });
  }

  #ask(work: () => Promise<Chunk<T>>): Promise<Chunk<T>> {
    if (this.#cutBy !== undefined) return Promise.reject(this.#cutBy.reason);
    const { name, timeout, deadlines } = this.#rules;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (timeout !== NEVER) {
        this.#deadline = deadlines.add(timeout, () =>
          this.#cut('overload', new TimeoutError({ source: name, timeout, option: 'timeout' })),
        );
      }
      const asked = (async () => asObject('next()', await work()))();
      this.#asked = asked;
      observe(asked, (chunk) => this.#answered(chunk, resolve), this.#failed);
    });
  }

  #answered(chunk: Chunk<T>, resolve: (chunk: Chunk<T>) => void): void {
    if (this.#isOver) return;
    this.#rest();
    this.#hasBegun = true;
    if (chunk.done === true) {
      this.#iterator = undefined;
      this.#end('success', undefined);
    }
    resolve(chunk);
  }

  readonly #failed = (reason: unknown): void => {
    if (this.#isOver) return;
    const reject = this.#reject;
    this.#rest();
    // It has ended by itself: there is nothing to close.
    this.#iterator = undefined;
    this.#end(this.#rules.verdictOf({ status: 'rejected', reason }), reason);
    reject?.(reason);
  };

  /** Nothing is asked any more. */
  #rest(): void {
    this.#asked = undefined;
    this.#reject = undefined;
    this.#endDeadline();
  }

  #endDeadline(): void {
    if (this.#deadline !== undefined) this.#rules.deadlines.cancel(this.#deadline);
    this.#deadline = undefined;
  }

  #cut(verdict: Verdict, reason: unknown): void {
    if (this.#isOver) return;
    this.#cutBy = { reason };
    this.#end(verdict, reason);
    this.#reject?.(reason);
  }

  /** Reports at once, releases when nothing of it runs any more. */
  #end(verdict: Verdict, reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#endDeadline();
    for (const subscription of this.#subscriptions) subscription.end();
    // Its reader may not ask again for a long time.
    if (this.#hasBegun || this.#call.aborted) this.#call.settled();
    this.#slot.report(verdict, verdict === 'success' ? undefined : waitIn({ status: 'rejected', reason }, verdict));
    if (verdict !== 'success') LazyContext.abort(this.#context, reason);
    if (this.#iterator === undefined && this.#asked === undefined) this.#release();
    else void this.#releaseLater(this.#rules.timeout);
  }

  /** When what was asked has been answered and the iterator has closed, at most `grace` ms later. */
  async #releaseLater(grace: Milliseconds): Promise<void> {
    const timer = grace === NEVER ? undefined : new Timer(() => this.#release(), grace);
    if (this.#iterator !== undefined) await closeIterator(this.#iterator);
    await this.#asked?.catch(ignore);
    timer?.cancel();
    this.#release();
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#slot.release('ignore');
    this.#call.exited();
    this.#onRelease?.();
  }
}
