import { AbortSubscription } from '../core/abort.js';
import { ignore, observe } from '../core/deferred.js';
import { mapKey } from '../core/keys.js';
import { wrongType } from '../core/options.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { MapInProgress, Waiting } from './admission.js';
import type { PoolEngine } from './engine.js';
import { type ItemOwner, ItemRun } from './item-run.js';
import type { Group, Level } from './lanes.js';
import type { Slot } from './slot.js';
import type { ItemWork } from './types.js';
import { Watch } from './watch.js';

const NEVER = Number.POSITIVE_INFINITY;

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
  readonly signal: AbortSignal | undefined;
}

/** Where results go, and whether more are wanted. */
interface ItemsSink<R> {
  /** One that was made in the async context in which source and items are to run. */
  readonly promise: Promise<unknown>;
  keep(index: number, result: R): void;
  /** May one more item be pulled? */
  wantsMore(pulled: number): boolean;
  /** Does the pool have to wait for it, with so many items in their slots? */
  isBusy(inFlight: number): boolean;
  /** All items are done. */
  finished(): void;
  /** It has failed. After an error of its own nothing of it runs any more. */
  failed(reason: unknown): void;
  /** The pool's end is about to abort it. */
  shuttingDown?(): void;
}

export interface Items {
  /** Both in the caller's async context. */
  begin(): void;
  /** More may be wanted now. */
  goOn(): void;
  abort(reason: unknown): void;
  /**
   * Calls the source's `return()` once. Never rejects: whatever goes wrong while closing, the error that made us close is the one to
   * tell. Over when the source is closed, or at once if the source is still busy with a `next()`.
   */
  closeSource(): Promise<void>;
}

/**
 * The items of one `map` or `stream`. Where nothing waits, an item that ends is followed by the next in its slot at once; else all of them
 * are a single entry in the lanes, behind whatever waits by then, that pulls an item into the slot that it gets. Slots that stay free are
 * offered to it, so it grows with the limit and into what others leave.
 *
 * No slot is held while an asynchronous source makes us wait; the item that arrives queues like anybody.
 *
 *   open ──► closed                     the source is at its end and all items have ended
 *    ├─────► failing ──► closing ──► closed   first error: siblings are aborted and waited for, the source is closed, then it fails
 *    └─────► closed                     the caller's abort or the pool's end: it fails at once
 *
 * Variables of one function, not an object: V8 throws code that is optimised for a class away whenever no object of it is alive.
 */
export function runItems<I, R>(options: ItemsOptions<I, R>, sink: ItemsSink<R>): Items {
  const { engine, source, isAsync, size, work, concurrency, timeout, level, group, signal } = options;
  const { admission, counters } = engine;
  const { lanes } = admission;
  const captured = engine.asyncContext.capture(sink.promise);
  let state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  let failure: unknown;
  let nextIndex = 0;
  /** Those that have not left their slots; order without meaning. */
  const items: ItemRun[] = [];
  /** Under which group it stands in the lanes. */
  let waitsIn: Group<Waiting> | undefined;
  let isPulling = false;
  let isExhausted = false;
  /** Pulled, and not in a slot yet. */
  let hasItem = false;
  let item: I | undefined;
  let itemGroup: Key | undefined;
  let isHungry = false;

  /** Nothing is left to pull. Another source than an array has to be asked, which takes a free slot. */
  const isAtEnd = (): boolean => !hasItem && (isExhausted || (size !== undefined && nextIndex >= size()));

  const mayAsk = (): boolean => {
    if (state !== 'open' || waitsIn !== undefined || isPulling || items.length >= concurrency) return false;
    return hasItem || (!isAtEnd() && sink.wantsMore(nextIndex));
  };

  /** Would it get the next slot anyway? */
  const mayGoOnAtOnce = (): boolean =>
    group === undefined && lanes.length === 0 && admission.mayStartNow(lanes.ungrouped) && mayAsk();

  /** The group of the item in hand, or of all of them. */
  const groupOfNext = (): Group<Waiting> => {
    const id = typeof group === 'function' ? itemGroup : group;
    return id === undefined ? lanes.ungrouped : lanes.group(id, mapKey('group', id));
  };

  /** Queues up for the next item, unless it does already, may not, or there is none. Answers whether it did. */
  const ask = (): boolean => {
    if (!mayAsk()) return false;
    try {
      waitsIn = typeof group === 'function' && !hasItem ? lanes.undecided : groupOfNext();
      lanes.push(entry, level, waitsIn);
      return true;
    } catch (error) {
      fail(error);
      return false;
    }
  };

  const take = (result: IteratorResult<I>): void => {
    if (typeof result !== 'object' || result === null) throw wrongType('items.next()', 'an iterator result', result);
    if (result.done === true) {
      isExhausted = true;
      return;
    }
    // Asked once for each item: the function is the user's.
    itemGroup = typeof group === 'function' ? group(result.value) : undefined;
    item = result.value;
    hasItem = true;
  };

  const pull = (): void => {
    let result: IteratorResult<I> | Promise<IteratorResult<I>>;
    try {
      result = source.next();
    } catch (error) {
      // A source that throws is at its end: it is not closed again.
      isExhausted = true;
      throw error;
    }
    if (!isAsync) {
      take(result as IteratorResult<I>);
      return;
    }
    isPulling = true;
    observe(Promise.resolve(result), arrived, notArrived);
  };

  const arrived = (result: IteratorResult<I>): void => {
    isPulling = false;
    if (state !== 'open') return;
    try {
      take(result);
    } catch (error) {
      fail(error);
      return;
    }
    goOn();
  };

  const notArrived = (error: unknown): void => {
    isPulling = false;
    isExhausted = true;
    fail(error);
  };

  /**
   * It has a slot, and counts in `counted`: with an item in hand the item starts, else one is pulled. In the caller's async context.
   * Answers whether the slot is taken.
   */
  const step = (slot: Slot, counted: Group<Waiting>, time: Milliseconds | undefined): boolean => {
    try {
      if (!hasItem) pull();
      if (hasItem && state === 'open') {
        const actual = groupOfNext();
        // The source and the options' functions are the user's: they may have taken the slot, or paused the pool.
        if (admission.hasFreeSlot && (actual === counted || lanes.mayStart(actual))) {
          // In this order, as the record of a group that is left by the last is forgotten.
          lanes.enter(actual);
          lanes.leave(counted);
          start(slot, actual, time);
          return true;
        }
      }
      lanes.leave(counted);
      ask();
      settleIfDone();
    } catch (error) {
      lanes.leave(counted);
      fail(error);
    }
    return false;
  };

  const start = (slot: Slot, inGroup: Group<Waiting>, time: Milliseconds | undefined): void => {
    slot.item ??= new ItemRun(slot, inGroup);
    const run = slot.item;
    run.owner = owner;
    run.group = inGroup;
    run.index = nextIndex++;
    run.item = item;
    run.place = items.push(run) - 1;
    run.watch = timeout === NEVER ? undefined : new Watch(engine, run, undefined, timeout);
    hasItem = false;
    item = undefined;
    counters.calls++;
    engine.time(run);
    engine.occupy(slot, run, run.watch?.isTimed === true ? run.watch.queuedAt : time);
    engine.enterFunction(slot);
  };

  /** What queueing up and being chosen comes to where nobody waits, at a third of the cost. Answers whether the slot is taken. */
  const goOnAtOnce = (slot: Slot): boolean => {
    lanes.enter(lanes.ungrouped);
    return step(slot, lanes.ungrouped, undefined);
  };

  const begin = (): void => {
    admission.maps.add(entry);
    goOn();
  };

  const goOn = (): void => {
    if (!mayGoOnAtOnce() && ask()) admission.pump();
    while (mayGoOnAtOnce()) {
      const slot = engine.takeSlot();
      if (!goOnAtOnce(slot)) engine.giveBack(slot);
    }
    hunger();
    settleIfDone();
  };

  /** Slots that nobody wants are to be offered to it. */
  const hunger = (): void => {
    if (isHungry || !mayAsk()) return;
    isHungry = true;
    admission.hungry.add(entry);
  };

  /** First error: from an item, the source, or the options' own functions. */
  const fail = (error: unknown): void => {
    if (state !== 'open') return;
    state = 'failing';
    failure = error;
    leaveLanes();
    cutItems(error);
    settleIfDone();
  };

  const abort = (reason: unknown): void => {
    if (state === 'closed') return;
    state = 'closed';
    leaveLanes();
    sink.failed(reason);
    cutItems(reason);
    void closeSource();
    end();
  };

  const cutItems = (reason: unknown): void => {
    for (const { slot, state } of [...items]) if (state === 'running') engine.cut(slot, 'aborted', reason);
  };

  const leaveLanes = (): void => {
    if (waitsIn !== undefined) lanes.bury(waitsIn);
    waitsIn = undefined;
  };

  const settleIfDone = (): void => {
    if (items.length > 0) return;
    if (state === 'open' && isAtEnd()) {
      state = 'closed';
      sink.finished();
      end();
    } else if (state === 'failing') {
      state = 'closing';
      observe(closeSource(), failed, ignore);
    }
  };

  const failed = (): void => {
    if (state === 'closed') return;
    state = 'closed';
    sink.failed(failure);
    end();
  };

  const closeSource = async (): Promise<void> => {
    if (isExhausted) return;
    isExhausted = true;
    try {
      const closing = source.return?.();
      const closed = Promise.resolve(closing).then(ignore, ignore);
      if (!isPulling) await closed;
    } catch {}
  };

  const end = (): void => {
    subscription?.end();
    admission.maps.delete(entry);
    admission.hungry.delete(entry);
    engine.onQuiet?.();
  };

  const entry: Waiting & MapInProgress = {
    get isDead() {
      return state !== 'open';
    },
    get isBusy() {
      return sink.isBusy(items.length);
    },
    enter(_engine, slot, time) {
      const counted = waitsIn as Group<Waiting>;
      waitsIn = undefined;
      let isTaken = false;
      engine.asyncContext.run(
        captured,
        () => {
          isTaken = step(slot, counted, time);
        },
        undefined,
      );
      hunger();
      return isTaken;
    },
    askForMore() {
      isHungry = false;
      return ask();
    },
    shutDown(reason) {
      sink.shuttingDown?.();
      abort(reason);
    },
  };

  const owner: ItemOwner = {
    work: work as ItemOwner['work'],
    keep: sink.keep as ItemOwner['keep'],
    fail,
    /** An item has left its slot. */
    left(run, hasEnded) {
      const last = items.pop() as ItemRun;
      if (last !== run) {
        items[run.place] = last;
        last.place = run.place;
      }
      if (hasEnded && mayGoOnAtOnce()) goOnAtOnce(run.slot);
      else ask();
      hunger();
      settleIfDone();
    },
  };

  const subscription = signal && new AbortSubscription(signal, { onAbort: abort });
  return { begin, goOn, abort, closeSource };
}
