import { type Ending, Entry, type Outlet } from './outlet.js';
import { perSecond } from './tally.js';
import type { BatchRejected, BatchReport, BatchResult } from './types.js';

/**
 * What became of each item, in input order. A place holds the item's entry until its result replaces it, so what is not
 * settled when the batch ends is known without another list.
 */
export class Ledger<I, R> implements Outlet<I, R> {
  readonly #places: (Entry<I> | BatchResult<I, R>)[] = [];
  readonly #resolve: (report: BatchReport<I, R>) => void;

  constructor(resolve: (report: BatchReport<I, R>) => void) {
    this.#resolve = resolve;
  }

  wantsMore(): boolean {
    return true;
  }

  add(entry: Entry<I>): void {
    this.#places.push(entry);
  }

  keep(result: BatchResult<I, R>): void {
    this.#places[result.index] = result;
  }

  skip(reason: unknown, rest: readonly I[]): void {
    const places = this.#places;
    for (const item of rest) places.push(new Entry(item, places.length, undefined));
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      if (!(place instanceof Entry)) continue;
      const { item, index, attempts } = place;
      places[i] = { status: 'skipped', reason, item, index, attempts };
    }
  }

  end(ending: Ending): void {
    // Every place holds a result by now.
    this.#resolve(report(this.#places as readonly BatchResult<I, R>[], ending));
  }
}

function report<I, R>(
  results: readonly BatchResult<I, R>[],
  { abort, failure, tally, durationMs }: Ending,
): BatchReport<I, R> {
  const values: R[] = [];
  const errors: BatchRejected<I>[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') values.push(result.value);
    else if (result.status === 'rejected') errors.push(result);
  }
  const aborted = abort !== undefined;
  const ok = values.length === results.length && !aborted && failure === undefined;

  const { fulfilled, rejected, settled, calls, retries, splits, peakInFlight, abandoned } = tally;
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
