import { now } from '../core/clock.js';
import type { Deadline, Deadlines } from '../core/deadlines.js';
import { observe } from '../core/deferred.js';
import { TimeoutError } from '../core/errors.js';
import type { MapKey } from '../core/keys.js';
import { LazyContext } from '../core/task-context.js';
import type { Key, Milliseconds } from '../core/types.js';
import { abortError } from './abort-error.js';
import { type Chunk, Chunks } from './chunks.js';
import { OpenContext } from './open-context.js';
import type { Open, StreamEnd } from './stream-types.js';
import { asObject, closeIterator, iterate } from './upstream-iterator.js';

/** The coalescer, as its streams see it. */
export interface StreamOwner<C, K extends Key> {
  readonly rules: StreamLimits;
  readonly deadlines: Deadlines;
  /** The last reader left. */
  onOrphan(): void;
  /** It has more chunks than are kept: nobody can begin at the first any more. Told at each chunk from then on. */
  onOverflow(stream: SharedStream<C, K>): void;
  /** It ended: to be written down before `stream.tell(end)` tells the readers. */
  onEnd(stream: SharedStream<C, K>, end: StreamEnd): void;
  /** Nothing of its upstream runs any more. */
  onLanding(stream: SharedStream<C, K>): void;
}

interface StreamLimits {
  readonly name: string;
  readonly maxBuffer: number;
  readonly idleTimeout: Milliseconds;
  readonly whenOrphaned: 'abort' | 'finish';
}

/** A reader at the front. */
interface Waiting {
  /** To be called when something has come. Does it wait again? Runs no user's code. */
  serve(): boolean;
}

/**
 * One upstream shared by readers, from `open` until it ends, falls silent, is aborted, or its last reader left. Whatever comes
 * first ends it, once; what the upstream does afterwards is not looked at.
 *
 * It is asked for a chunk only while a reader wants one that nobody has yet, and for one at a time.
 */
export class SharedStream<C, K extends Key> {
  readonly id: MapKey;
  readonly context: OpenContext<K>;
  readonly chunks: Chunks<C>;
  readonly startedAt = now();
  readonly #owner: StreamOwner<C, K>;
  readonly #waiting = new Set<Waiting>();
  #iterator: AsyncIterator<C, unknown> | undefined;
  /** Starts the pump again. */
  #wake: (() => void) | undefined;
  #isEnded = false;
  #isOrphan = false;
  /** Reads on by itself while nobody reads. */
  #isHeld = false;
  #isPulling = false;
  #pulls = 0;
  #pulledAt: Milliseconds = Number.NaN;
  #deadline: Deadline | undefined;
  #closing: Promise<void> | undefined;

  constructor(owner: StreamOwner<C, K>, id: MapKey, key: K) {
    this.#owner = owner;
    this.id = id;
    this.context = new OpenContext(key);
    this.chunks = new Chunks(owner.rules.maxBuffer);
  }

  /** To be called once, after it was entered in the table and joined: `open` may call the coalescer, abort, or throw. */
  run(open: Open<C, K>): void {
    if (this.#isEnded) this.#owner.onLanding(this);
    else void this.#pump(open);
  }

  /** A reader is at the front and wants what comes next. */
  want(reader: Waiting): void {
    this.#waiting.add(reader);
    this.#wake?.();
  }

  /** A reader leaves. The promise is over when an upstream that was closed for it has closed, if that is worth waiting for. */
  leave(reader: Waiting, place: Chunk<C>, reason: unknown): Promise<void> | undefined {
    this.#waiting.delete(reader);
    this.chunks.leave(place);
    return this.#isEnded || this.chunks.readers > 0 ? undefined : this.#orphan(reason);
  }

  abort(reason: unknown): void {
    if (!this.#isEnded) this.#end({ status: 'aborted', reason });
  }

  /** Tells the readers, then the upstream if it is not wanted any more. */
  tell(end: StreamEnd): void {
    this.chunks.end = end;
    if (end.status === 'aborted') this.chunks.cut();
    for (const reader of this.#waiting) reader.serve();
    this.#waiting.clear();
    this.#wake?.();
    if (end.status === 'fulfilled' || end.status === 'rejected') return;
    LazyContext.abort(this.context, end.reason);
    this.#close();
  }

  /**
   * An async function, so that the upstream runs in the async context of the reader that opened it, whoever asks for a chunk.
   * Never rejects.
   */
  async #pump(open: Open<C, K>): Promise<void> {
    try {
      this.#beginPull();
      // What it throws at once comes later too: whoever joins meanwhile is told of it.
      const iterator = iterate(await new Promise<AsyncIterable<C>>((resolve) => resolve(open(this.context))));
      this.#iterator = iterator;
      while (!this.#isEnded) {
        const result = asObject('next()', await iterator.next());
        this.#isPulling = false;
        if (this.#isEnded) break;
        if (result.done) this.#end({ status: 'fulfilled' });
        else this.#deliver(result.value as C);
        while (!this.#isEnded && !this.#isWanted) await new Promise<void>(this.#sleep);
        if (!this.#isEnded) this.#beginPull();
      }
    } catch (reason) {
      if (!this.#isEnded) this.#end({ status: 'rejected', reason });
    }
    // Who was not there yet when it was to be closed.
    if (this.#isUnwanted) this.#close();
    await this.#closing;
    this.#owner.onLanding(this);
  }

  readonly #sleep = (wake: () => void): void => {
    this.#wake = wake;
  };

  get #isWanted(): boolean {
    return this.#waiting.size > 0 || (this.#isHeld && this.chunks.readers === 0);
  }

  #deliver(value: C): void {
    const { chunks } = this;
    chunks.push(value);
    if (chunks.overflowed) this.#owner.onOverflow(this);
    for (const reader of this.#waiting) if (!reader.serve()) this.#waiting.delete(reader);
    // Also if all that are left are too far behind.
    if (chunks.readers === 0) void this.#orphan(undefined);
  }

  #orphan(reason: unknown): Promise<void> | undefined {
    if (!this.#isOrphan) this.#owner.onOrphan();
    this.#isOrphan = true;
    this.#isHeld = this.#owner.rules.whenOrphaned === 'finish' && !this.chunks.overflowed;
    if (this.#isHeld) {
      this.#wake?.();
      return undefined;
    }
    const isBusy = this.#isPulling;
    this.abort(reason === undefined ? abortError() : reason);
    return isBusy ? undefined : this.#closed();
  }

  /** A silence begins. The deadline of an earlier one is looked at when it comes: one for each chunk would cost more than the rest. */
  #beginPull(): void {
    this.#isPulling = true;
    this.#pulls++;
    this.#pulledAt = now();
    if (this.#deadline === undefined) this.#armFor(this.#owner.rules.idleTimeout);
  }

  #armFor(delay: Milliseconds): void {
    if (delay === Number.POSITIVE_INFINITY) return;
    const pull = this.#pulls;
    this.#deadline = this.#owner.deadlines.add(delay, () => {
      const { name, idleTimeout } = this.#owner.rules;
      this.#deadline = undefined;
      if (!this.#isPulling) return;
      if (this.#pulls !== pull) return this.#armFor(Math.max(0, this.#pulledAt + idleTimeout - now()));
      const reason = new TimeoutError({ source: name, timeout: idleTimeout, option: 'idleTimeout' });
      this.#end({ status: 'timeout', reason });
    });
  }

  #end(end: StreamEnd): void {
    this.#isEnded = true;
    if (this.#deadline !== undefined) this.#owner.deadlines.cancel(this.#deadline);
    this.#owner.onEnd(this, end);
  }

  get #isUnwanted(): boolean {
    const status = this.chunks.end?.status;
    return status === 'timeout' || status === 'aborted';
  }

  /** Once. */
  #close(): void {
    if (this.#iterator !== undefined) this.#closing ??= closeIterator(this.#iterator);
  }

  /** That the upstream has closed, but no longer than it may be silent. */
  #closed(): Promise<void> | undefined {
    const { deadlines, rules } = this.#owner;
    const closing = this.#closing;
    if (closing === undefined || rules.idleTimeout === Number.POSITIVE_INFINITY) return closing;
    return new Promise((resolve) => {
      const deadline = deadlines.add(rules.idleTimeout, resolve);
      const settle = () => {
        deadlines.cancel(deadline);
        resolve();
      };
      observe(closing, settle, settle);
    });
  }
}
