import { AbortSubscription } from '../core/abort.js';
import { ignore, observe } from '../core/deferred.js';
import { mapKey } from '../core/keys.js';
import { wrongType } from '../core/options.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { PoolEngine, Waiting } from './engine.js';
import { type ItemOwner, ItemRun } from './item-run.js';
import type { Group, Level } from './lanes.js';
import type { Slot } from './slot.js';
import type { ItemWork } from './types.js';
import { Watch } from './watch.js';

export interface ItemsRunOptions<I, R> {
  readonly engine: PoolEngine;
  readonly source: Iterator<I> | AsyncIterator<I>;
  readonly isAsync: boolean;
  /** Where it can be told without asking for the next item: how many there are. */
  readonly size: (() => number) | undefined;
  readonly work: ItemWork<I, R>;
  readonly concurrency: number;
  readonly timeout: Milliseconds;
  readonly level: Level;
  readonly group: Key | ((item: I) => Key) | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * The items of one `map` or `stream`: a single entry in the lanes that waits for a slot and pulls an item into it. When an item ends it
 * queues up again, behind whatever waits by then; where nothing waits it thereby keeps its slot. Slots that stay free are offered to it, so
 * it grows with the limit and into what others leave.
 *
 * No slot is held while an asynchronous source makes us wait; the item that arrives queues like anybody.
 *
 *   open ──► done                    the source is at its end and all items have ended
 *    ├─────► failing ──► closed      first error: siblings are aborted and waited for, the source is closed, then it fails
 *    └─────► closed                  the caller's abort or the pool's end: it fails at once
 *
 * Subclasses say where results go and whether more is wanted.
 */
export abstract class ItemsRun<I, R> implements Waiting, ItemOwner<I, R> {
  readonly work: ItemWork<I, R>;
  protected readonly engine: PoolEngine;

  readonly #options: ItemsRunOptions<I, R>;
  readonly #captured: unknown;
  readonly #subscription: AbortSubscription | undefined;
  #state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  #error: unknown;
  #nextIndex = 0;
  /** Those that have not left their slots; order without meaning. */
  readonly #items: ItemRun<I, R>[] = [];
  /** It stands in the lanes, under this group. */
  #waitsIn: Group<Waiting> | undefined;
  #isPulling = false;
  #isExhausted = false;
  /** Pulled, and not in a slot yet. */
  #pulled: { readonly item: I; readonly group: Key | undefined } | undefined;

  /** @param promise one that was made in the async context in which source and items are to run. */
  constructor(options: ItemsRunOptions<I, R>, promise: Promise<unknown>) {
    this.#options = options;
    this.engine = options.engine;
    this.work = options.work;
    this.#captured = this.engine.asyncContext.capture(promise);
    this.#subscription =
      options.signal && new AbortSubscription(options.signal, { onAbort: (reason) => this.abort(reason) });
  }

  /** Where an item's result goes. */
  abstract keep(index: number, result: R): void;
  /** May one more item be pulled? */
  protected abstract get wantsMore(): boolean;
  /** All items are done. */
  protected abstract finished(): void;
  /** It has failed. After an error of its own nothing of it runs any more. */
  protected abstract failed(reason: unknown): void;

  /** The pool's end. */
  abstract shutDown(reason: unknown): void;

  /** Does the pool have to wait for it? */
  get isBusy(): boolean {
    return true;
  }

  /** Items that were pulled. */
  protected get pulled(): number {
    return this.#nextIndex + (this.#pulled === undefined ? 0 : 1);
  }

  protected get inFlight(): number {
    return this.#items.length;
  }

  protected begin(): void {
    this.engine.maps.add(this);
    this.goOn();
    this.#settleIfDone();
  }

  /** More may be wanted now. */
  protected goOn(): void {
    this.engine.hungry.add(this);
    this.#ask();
    this.engine.pump();
  }

  get isDead(): boolean {
    return this.#state !== 'open';
  }

  enter(engine: PoolEngine, slot: Slot, time: Milliseconds | undefined): boolean {
    const group = this.#waitsIn as Group<Waiting>;
    this.#waitsIn = undefined;
    engine.asyncContext.run(this.#captured, this.#step, { slot, group, time });
    return slot.run !== undefined;
  }

  /** An item has left its slot. */
  left(item: ItemRun<I, R>, hasEnded: boolean): void {
    const last = this.#items.pop() as ItemRun<I, R>;
    if (last !== item) {
      this.#items[item.place] = last;
      last.place = item.place;
    }
    if (hasEnded && this.#mayGoOnAtOnce) this.#goOnAtOnce();
    else this.#ask();
    if (this.#state === 'open') this.engine.hungry.add(this);
    this.#settleIfDone();
  }

  /** Would it get the next slot anyway, in the async context of this moment? */
  get #mayGoOnAtOnce(): boolean {
    const { lanes } = this.engine;
    return (
      lanes.length === 0 &&
      this.engine.hasFreeSlot &&
      this.#mayAsk &&
      lanes.mayStart(lanes.ungrouped) &&
      this.#options.group === undefined
    );
  }

  /** What queueing up and being chosen comes to where nobody waits: at a third of the cost. */
  #goOnAtOnce(): void {
    const { lanes } = this.engine;
    lanes.enter(lanes.ungrouped);
    const slot = this.engine.takeSlot();
    this.#step({ slot, group: lanes.ungrouped, time: undefined });
    if (slot.run === undefined) this.engine.giveBack(slot);
  }

  /** First error: from an item, the source, or the options' own functions. */
  fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'failing';
    this.#error = error;
    this.#leaveLanes();
    this.#cutItems(error);
    this.#settleIfDone();
  }

  abort(reason: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#leaveLanes();
    this.failed(reason);
    this.#cutItems(reason);
    void this.closeSource();
    this.#end();
  }

  /** A slot is free and nobody waits for it: queues up for one more. Answers whether it did. */
  askForMore(): boolean {
    return this.#ask();
  }

  /** Queues up for the next item, unless it does already, may not, or there is none. */
  #ask(): boolean {
    if (!this.#mayAsk) return false;
    try {
      const { group, level } = this.#options;
      const isUndecided = typeof group === 'function' && this.#pulled === undefined;
      this.#waitsIn = isUndecided ? this.engine.lanes.undecided : this.#groupOfNext();
      this.engine.lanes.push(this, level, this.#waitsIn);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** Nothing is left to pull. Another source than an array has to be asked, which takes a free slot. */
  get #isAtEnd(): boolean {
    if (this.#pulled !== undefined) return false;
    const { size } = this.#options;
    return this.#isExhausted || (size !== undefined && this.#nextIndex >= size());
  }

  get #mayAsk(): boolean {
    if (this.#state !== 'open' || this.#waitsIn !== undefined || this.#isPulling || this.#isAtEnd) return false;
    return this.#items.length < this.#options.concurrency && (this.#pulled !== undefined || this.wantsMore);
  }

  /** The group of the item in hand, or of all of them. */
  #groupOfNext(): Group<Waiting> {
    const { lanes } = this.engine;
    const { group } = this.#options;
    const id = typeof group === 'function' ? this.#pulled?.group : group;
    return id === undefined ? lanes.ungrouped : lanes.group(id, mapKey('group', id));
  }

  /** It has a slot: with an item in hand the item starts, else one is pulled. Runs in the async context of `map`'s caller. */
  readonly #step = ({
    slot,
    group,
    time,
  }: {
    slot: Slot;
    group: Group<Waiting>;
    time: Milliseconds | undefined;
  }): void => {
    const { lanes } = this.engine;
    try {
      if (this.#pulled === undefined) this.#pull();
      const actual = this.#pulled === undefined || this.#state !== 'open' ? undefined : this.#groupOfNext();
      // The source and the options' functions are the user's: they may have taken the slot, or paused the pool.
      if (actual !== undefined && !this.engine.hasFreeSlot) {
        lanes.leave(group);
        this.#ask();
        return;
      }
      if (actual === group) {
        this.#start(slot, group, time);
        return;
      }
      lanes.leave(group);
      if (actual === undefined) {
        this.#settleIfDone();
      } else if (lanes.mayStart(actual)) {
        lanes.enter(actual);
        this.#start(slot, actual, time);
      } else {
        this.#ask();
      }
    } catch (error) {
      lanes.leave(group);
      this.fail(error);
    }
  };

  #start(slot: Slot, group: Group<Waiting>, time: Milliseconds | undefined): void {
    const { item } = this.#pulled as { item: I };
    this.#pulled = undefined;
    const run = new ItemRun(this, slot, this.#nextIndex++, item, group);
    run.place = this.#items.push(run) - 1;
    const { timeout } = this.#options;
    if (timeout !== Number.POSITIVE_INFINITY) run.watch = new Watch(this.engine, run, undefined, timeout);
    this.engine.counters.calls++;
    this.engine.time(run);
    this.engine.occupy(slot, run, run.timing?.queuedAt ?? time);
    this.engine.hungry.add(this);
    this.engine.enterFunction(slot);
  }

  #pull(): void {
    const { source, isAsync } = this.#options;
    let result: IteratorResult<I> | Promise<IteratorResult<I>>;
    try {
      result = source.next();
    } catch (error) {
      // A source that throws is at its end: it is not closed again.
      this.#isExhausted = true;
      throw error;
    }
    if (!isAsync) {
      this.#take(result as IteratorResult<I>);
      return;
    }
    this.#isPulling = true;
    observe(
      Promise.resolve(result),
      (arrived) => this.#arrived(arrived),
      (error) => {
        this.#isPulling = false;
        this.#isExhausted = true;
        this.fail(error);
      },
    );
  }

  #arrived(result: IteratorResult<I>): void {
    this.#isPulling = false;
    if (this.#state !== 'open') return;
    this.engine.hungry.add(this);
    try {
      this.#take(result);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#ask();
    this.#settleIfDone();
    this.engine.pump();
  }

  #take(result: IteratorResult<I>): void {
    if (typeof result !== 'object' || result === null) throw wrongType('items.next()', 'an iterator result', result);
    if (result.done === true) this.#isExhausted = true;
    else this.#pulled = { item: result.value, group: this.#groupOf(result.value) };
  }

  /** Asked once for each item: the function is the user's. */
  #groupOf(item: I): Key | undefined {
    const { group } = this.#options;
    return typeof group === 'function' ? group(item) : group;
  }

  #cutItems(reason: unknown): void {
    for (const { slot, state } of [...this.#items]) if (state === 'running') this.engine.cut(slot, 'aborted', reason);
  }

  #leaveLanes(): void {
    const group = this.#waitsIn;
    if (group === undefined) return;
    this.#waitsIn = undefined;
    this.engine.lanes.bury(group);
  }

  #settleIfDone(): void {
    if (this.#items.length > 0) return;
    if (this.#state === 'open' && this.#isAtEnd) {
      this.#state = 'closed';
      this.finished();
      this.#end();
    } else if (this.#state === 'failing') {
      this.#state = 'closing';
      observe(this.closeSource(), () => this.#fail(), ignore);
    }
  }

  #fail(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.failed(this.#error);
    this.#end();
  }

  /**
   * Calls `return()` once. The promise never rejects: whatever goes wrong while closing, the error that made us close is the one to
   * tell. It is over when the source is closed, or at once if the source is still busy with a `next()`.
   */
  protected async closeSource(): Promise<void> {
    if (this.#isExhausted) return;
    this.#isExhausted = true;
    try {
      const closing = this.#options.source.return?.();
      const closed = Promise.resolve(closing).then(ignore, ignore);
      if (!this.#isPulling) await closed;
    } catch {}
  }

  #end(): void {
    this.#subscription?.end();
    this.engine.maps.delete(this);
    this.engine.hungry.delete(this);
    this.engine.onQuiet?.();
  }
}
