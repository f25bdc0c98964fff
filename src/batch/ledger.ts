import type { Milliseconds } from '../core/types.js';
import type { Progress } from './progress.js';
import { perSecond, type Tally } from './tally.js';
import type { BatchFulfilled, BatchRejected, BatchReport, BatchResult } from './types.js';

/** An item that was pulled and is not settled. */
export class Entry<I> {
  readonly item: I;
  readonly index: number;
  /** Calls entered for it. */
  attempts = 0;

  constructor(item: I, index: number) {
    this.item = item;
    this.index = index;
  }
}

/** How a batch ended. */
export interface Ending {
  readonly abort: { readonly reason: unknown } | undefined;
  /** What the source threw. */
  readonly failure: { readonly error: unknown } | undefined;
  readonly durationMs: Milliseconds;
}

/**
 * What became of each item, in input order. A place holds the item's entry until its result replaces it, so what is not
 * settled when the batch ends is known without another list.
 */
export class Ledger<I, R> {
  readonly #places: (Entry<I> | BatchResult<I, R>)[] = [];
  readonly #tally: Tally;
  readonly #progress: Progress | undefined;

  constructor(tally: Tally, progress: Progress | undefined) {
    this.#tally = tally;
    this.#progress = progress;
  }

  /** Items pulled so far: the index of the next. */
  get length(): number {
    return this.#places.length;
  }

  get isSettled(): boolean {
    return this.#tally.settled === this.#places.length;
  }

  add(entry: Entry<I>): void {
    this.#places.push(entry);
  }

  fulfil({ item, index, attempts }: Entry<I>, value: R): void {
    this.#places[index] = { status: 'fulfilled', value, item, index, attempts };
    this.#tally.fulfilled++;
    this.#progress?.tell();
  }

  reject({ item, index, attempts }: Entry<I>, reason: unknown): void {
    this.#places[index] = { status: 'rejected', reason, item, index, attempts };
    this.#tally.rejected++;
    this.#progress?.tell();
  }

  /** The batch ends here: what is not settled never will be. @param rest items that were not even pulled. */
  skip(reason: unknown, rest: readonly I[]): void {
    const places = this.#places;
    for (const item of rest) places.push(new Entry(item, places.length));
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      if (!(place instanceof Entry)) continue;
      const { item, index, attempts } = place;
      places[i] = { status: 'skipped', reason, item, index, attempts };
    }
  }

  /** To be asked when every place holds a result. */
  report({ abort, failure, durationMs }: Ending): BatchReport<I, R> {
    const aborted = abort !== undefined;
    const results = this.#places as readonly BatchResult<I, R>[];
    const values = results.filter(isFulfilled).map(({ value }) => value);
    const errors = results.filter(isRejected);
    const ok = values.length === results.length && !aborted && failure === undefined;

    const { fulfilled, rejected, settled, calls, retries, splits, peakInFlight, abandoned } = this.#tally;
    const total = results.length;
    return {
      ok,
      results,
      values,
      errors,
      stats: {
        total,
        fulfilled,
        rejected,
        skipped: total - settled,
        calls,
        retries,
        splits,
        peakInFlight,
        abandoned,
        durationMs,
        perSecond: perSecond(settled, durationMs),
        failureRate: settled === 0 ? 0 : rejected / settled,
      },
      aborted,
      ...(failure === undefined ? {} : { inputError: failure.error }),
      unwrap(): readonly R[] {
        if (ok) return values;
        const reasons = errors.map(({ reason }) => reason);
        if (abort !== undefined) reasons.push(abort.reason);
        if (failure !== undefined) reasons.push(failure.error);
        const also = `${aborted ? '; aborted' : ''}${failure === undefined ? '' : '; the source failed'}`;
        throw new AggregateError(reasons, `${rejected} of ${total} items failed${also}`);
      },
    };
  }
}

function isFulfilled<I, R>(result: BatchResult<I, R>): result is BatchFulfilled<I, R> {
  return result.status === 'fulfilled';
}

function isRejected<I, R>(result: BatchResult<I, R>): result is BatchRejected<I> {
  return result.status === 'rejected';
}
