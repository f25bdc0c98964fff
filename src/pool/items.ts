import { AbortSubscription } from '../core/abort.js';
import { NEVER } from '../core/clock.js';
import { ignore, observe } from '../core/deferred.js';
import type { AcquireRequest } from '../core/gate.js';
import { mapKey } from '../core/keys.js';
import { wrongType } from '../core/options.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { MapInProgress, Waiting } from './admission.js';
import { checkCost } from './check-options.js';
import type { PoolEngine } from './engine.js';
import { ItemRun } from './item-run.js';
import type { Group, Level } from './lanes.js';
import type { Slot } from './slot.js';
import { Standing } from './standing.js';
import type { ItemContext, ItemWork } from './types.js';
import { Watch } from './watch.js';

export interface ItemsOptions<I, R> {
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
  readonly cost: number | ((item: I) => number) | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * The items of one `map` or `stream`. Where nothing waits, an item that ends is followed by the next in its slot at once; else all of them
 * are a single entry in the lanes, behind whatever waits by then, that pulls an item into the slot that it gets. Slots that stay free are
 * offered to it, so it grows with the limit and into what others leave.
 *
 * No slot is held while an asynchronous source makes us wait; the item that arrives queues like anybody.
 *
 *   open ──► closed                            the source is at its end and all items have ended
 *    ├─────► failing ──► closing ──► closed    first error: siblings are aborted and waited for, the source is closed, then it fails
 *    └─────► closed                            the caller's abort or the pool's end: it fails at once
 *
 * Subclasses say where results go and whether more is wanted.
 */
export abstract class Items<I, R> implements MapInProgress {
  protected readonly engine: PoolEngine;
  readonly #options: ItemsOptions<I, R>;
  readonly #captured: unknown;
  #subscription: AbortSubscription | undefined;
  #state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  #error: unknown;
  #nextIndex = 0;
  /** Those that have not left their slots; order without meaning. */
  readonly #items: ItemRun[] = [];
  /** Its place in the lanes. */
  #standing: Standing | undefined;
  #isPulling = false;
  #isExhausted = false;
  /** Pulled, and not in a slot yet. */
  #hasItem = false;
  #item: I | undefined;
  #itemGroup: Key | undefined;
  #itemCost: number | undefined;
  #isHungry = false;

  /** @param promise one that was made in the async context in which source and items are to run. */
  constructor(options: ItemsOptions<I, R>, promise: Promise<unknown>) {
    this.#options = options;
    this.engine = options.engine;
    this.#captured = this.engine.asyncContext.capture(promise, true);
  }

  /** Where an item's result goes. */
  abstract keep(index: number, result: R): void;
  /** May one more item be pulled? */
  protected abstract wantsMore(pulled: number): boolean;
  /** All items are done. */
  protected abstract finished(): void;
  /** It has failed. After an error of its own nothing of it runs any more. */
  protected abstract failed(reason: unknown): void;

  /** The pool's end. */
  abstract shutDown(reason: unknown): void;

  /** Does the pool have to wait for it? */
  get isBusy(): boolean {
    return this.#items.length > 0;
  }

  /** In the caller's async context, as `goOn`. */
  begin(): void {
    const { signal } = this.#options;
    if (signal?.aborted === true) {
      this.abort(signal.reason);
      return;
    }
    this.#subscription = signal && new AbortSubscription(signal, { onAbort: (reason) => this.abort(reason) });
    this.engine.admission.maps.add(this);
    this.goOn();
  }

  /** More may be wanted now. */
  protected goOn(): void {
    const { engine } = this;
    if (!this.#mayGoOnAtOnce() && this.#ask()) engine.admission.pump();
    while (this.#mayGoOnAtOnce()) {
      const slot = engine.slots.take();
      if (!this.#goOnAtOnce(slot)) engine.slots.giveBack(slot);
    }
    this.#hunger();
    this.#settleIfDone();
  }

  /** Its turn has come. */
  enter(slot: Slot, counted: Group<Waiting>, time: Milliseconds | undefined): boolean {
    this.#standing = undefined;
    let isTaken = false;
    this.inContext(() => {
      isTaken = this.#step(slot, counted, time);
    });
    this.#hunger();
    return isTaken;
  }

  /** With an item in hand, and in the lanes under the item's own group, it stays there and says what it would start. */
  request(group: Group<Waiting>): AcquireRequest | undefined {
    if (!this.#hasItem) {
      this.inContext(() => {
        try {
          this.#pull();
        } catch (error) {
          this.fail(error);
        }
      });
    }
    if (this.#standing === undefined) return undefined;
    if (this.#hasItem && this.#groupOfNext() === group) return { cost: this.#itemCost, group: group.id };
    this.#leaveLanes();
    this.#ask();
    this.#settleIfDone();
    return undefined;
  }

  askForMore(): boolean {
    this.#isHungry = false;
    return this.#ask();
  }

  call(item: unknown, context: ItemContext): unknown {
    return this.#options.work(item as I, context);
  }

  /** An item has left its slot. */
  left(run: ItemRun, hasEnded: boolean): void {
    const last = this.#items.pop() as ItemRun;
    if (last !== run) {
      this.#items[run.place] = last;
      last.place = run.place;
    }
    if (hasEnded && this.#mayGoOnAtOnce()) this.#goOnAtOnce(run.slot);
    else this.#ask();
    this.#hunger();
    this.#settleIfDone();
  }

  /** First error: from an item, the source, or the options' own functions. */
  fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'failing';
    this.#error = error;
    this.#leaveLanes();
    this.#cutItems(error);
    this.#settleIfDone();
    this.#letOthersGo();
  }

  abort(reason: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#leaveLanes();
    this.failed(reason);
    this.#cutItems(reason);
    void this.closeSource();
    this.#end();
    this.#letOthersGo();
  }

  /**
   * Calls the source's `return()` once. Never rejects: whatever goes wrong while closing, the error that made us close is the one to
   * tell. Over when the source is closed, or at once if the source is still busy with a `next()`.
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

  /** Nothing is left to pull. Another source than an array has to be asked, which takes a free slot. */
  #isAtEnd(): boolean {
    if (this.#hasItem) return false;
    const { size } = this.#options;
    return this.#isExhausted || (size !== undefined && this.#nextIndex >= size());
  }

  #mayAsk(): boolean {
    if (this.#state !== 'open' || this.#standing !== undefined || this.#isPulling) return false;
    if (this.#items.length >= this.#options.concurrency) return false;
    return this.#hasItem || (!this.#isAtEnd() && this.wantsMore(this.#nextIndex));
  }

  /** Would it get the next slot anyway? */
  #mayGoOnAtOnce(): boolean {
    const { admission } = this.engine;
    const { lanes } = admission;
    if (lanes.length > 0 || this.#options.group !== undefined || admission.turnstile !== undefined) return false;
    return admission.mayStartNow(lanes.ungrouped) && this.#mayAsk();
  }

  /** What queueing up and being chosen comes to where nobody waits, at a third of the cost. */
  #goOnAtOnce(slot: Slot): boolean {
    const { lanes } = this.engine.admission;
    lanes.enter(lanes.ungrouped);
    return this.#step(slot, lanes.ungrouped, undefined);
  }

  /** Queues up for the next item, unless it does already, may not, or there is none. Answers whether it did. */
  #ask(): boolean {
    if (!this.#mayAsk()) return false;
    try {
      const { group, level } = this.#options;
      const { lanes } = this.engine.admission;
      const waitsIn = typeof group === 'function' && !this.#hasItem ? lanes.undecided : this.#groupOfNext();
      this.#standing = new Standing(this, waitsIn);
      lanes.push(this.#standing, level, waitsIn);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** Slots that nobody wants are to be offered to it. */
  #hunger(): void {
    if (this.#isHungry || !this.#mayAsk()) return;
    this.#isHungry = true;
    this.engine.admission.hungry.add(this);
  }

  /** The group of the item in hand, or of all of them. */
  #groupOfNext(): Group<Waiting> {
    const { lanes } = this.engine.admission;
    const { group } = this.#options;
    const id = typeof group === 'function' ? this.#itemGroup : group;
    return id === undefined ? lanes.ungrouped : lanes.group(id, mapKey('group', id));
  }

  /**
   * It has a slot, and counts in `counted`: with an item in hand the item starts, else one is pulled. In the caller's async context.
   * Answers whether the slot is taken.
   */
  #step(slot: Slot, counted: Group<Waiting>, time: Milliseconds | undefined): boolean {
    const { admission } = this.engine;
    const { lanes } = admission;
    try {
      if (!this.#hasItem) this.#pull();
      const { signal } = this.#options;
      // Others are told of an abort first, perhaps, and may have freed the slot.
      if (signal?.aborted === true) this.abort(signal.reason);
      const actual = this.#hasItem && this.#state === 'open' ? this.#groupOfNext() : undefined;
      // The source and the options' functions are the user's: they may have taken the slot, or paused the pool.
      if (actual !== undefined && admission.hasFreeSlot && (actual === counted || lanes.mayStart(actual))) {
        // In this order, as the record of a group that is left by its last is forgotten.
        lanes.enter(actual);
        lanes.leave(counted);
        this.#start(slot, actual, time);
        return true;
      }
    } catch (error) {
      this.fail(error);
    }
    lanes.leave(counted);
    this.#ask();
    this.#settleIfDone();
    return false;
  }

  #start(slot: Slot, group: Group<Waiting>, time: Milliseconds | undefined): void {
    const { engine } = this;
    slot.item ??= new ItemRun(slot, group);
    const run = slot.item;
    run.owner = this;
    run.group = group;
    run.index = this.#nextIndex++;
    run.item = this.#item;
    run.place = this.#items.push(run) - 1;
    const { timeout } = this.#options;
    const cost = this.#itemCost;
    run.state = 'waiting';
    run.watch = timeout === NEVER && cost === undefined ? undefined : new Watch(engine, run, undefined, timeout);
    if (run.watch !== undefined) run.watch.cost = cost;
    this.#hasItem = false;
    this.#item = undefined;
    engine.counters.calls++;
    engine.time(run);
    if (engine.gatehouse.sendsOn(slot, run, NEVER)) return;
    engine.occupy(slot, run, run.watch?.isTimed === true ? run.watch.queuedAt : time);
    engine.enterFunction(slot);
  }

  #pull(): void {
    const { source, isAsync } = this.#options;
    // Also while a synchronous one runs: it may come back to this pool.
    this.#isPulling = true;
    let hasAnswered = false;
    try {
      const result = source.next();
      hasAnswered = true;
      if (isAsync) {
        observe(Promise.resolve(result), this.#arrived, this.#notArrived);
        return;
      }
      this.#take(result as IteratorResult<I>);
    } catch (error) {
      // A source that throws is at its end: it is not closed again.
      if (!hasAnswered) this.#isExhausted = true;
      this.#isPulling = false;
      throw error;
    }
    this.#isPulling = false;
  }

  readonly #arrived = (result: IteratorResult<I>): void => {
    if (this.#state === 'open') {
      try {
        this.#take(result);
      } catch (error) {
        this.#isPulling = false;
        this.fail(error);
        return;
      }
    }
    this.#isPulling = false;
    if (this.#state === 'open') this.goOn();
  };

  readonly #notArrived = (error: unknown): void => {
    this.#isPulling = false;
    this.#isExhausted = true;
    this.fail(error);
  };

  #take(result: IteratorResult<I>): void {
    if (typeof result !== 'object' || result === null) throw wrongType('items.next()', 'an iterator result', result);
    this.#isExhausted = result.done === true;
    if (this.#isExhausted) return;
    const { group, cost } = this.#options;
    // Asked once for each item: the functions are the user's.
    this.#itemGroup = typeof group === 'function' ? group(result.value) : group;
    this.#itemCost = typeof cost === 'function' ? cost(result.value) : cost;
    checkCost(this.engine.admission, this.#itemCost, this.#itemGroup);
    this.#item = result.value;
    this.#hasItem = true;
  }

  protected inContext(work: () => void): void {
    this.engine.asyncContext.run(this.#captured, work, undefined);
  }

  #cutItems(reason: unknown): void {
    for (const run of [...this.#items]) {
      // Its slot may be another's by now.
      if (run.owner !== this) continue;
      if (run.state === 'running') this.engine.cut(run.slot, 'aborted', reason);
      else if (run.watch?.approach !== undefined) this.engine.refuseWaiting(run, reason, 'aborted');
    }
  }

  #leaveLanes(): void {
    const standing = this.#standing;
    if (standing === undefined) return;
    this.#standing = undefined;
    standing.isDead = true;
    this.engine.admission.buried(standing.group);
  }

  /** Its item may have been the one that all others waited behind. */
  #letOthersGo(): void {
    const { admission } = this.engine;
    if (admission.turnstile !== undefined) admission.pump();
  }

  #settleIfDone(): void {
    if (this.#items.length > 0) return;
    if (this.#state === 'open' && this.#isAtEnd()) {
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

  #end(): void {
    const { admission, onQuiet } = this.engine;
    this.#subscription?.end();
    admission.maps.delete(this);
    admission.hungry.delete(this);
    onQuiet?.();
  }
}
