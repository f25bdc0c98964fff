import { AbortSubscription } from '../core/abort.js';
import type { Outcome, UpstreamCounters } from './metrics.js';

interface Refusal {
  readonly reason: unknown;
  readonly outcome: Outcome;
}

/** One reader's stream, counted as a call from its first `next()` to its end. */
export class UpstreamReader<T> implements AsyncGenerator<T, void, undefined> {
  readonly #reader: AsyncGenerator<T, void, undefined>;
  readonly #counters: UpstreamCounters;
  readonly #signal: AbortSignal | undefined;
  readonly #refusal: () => Refusal | undefined;
  readonly #outcomeOf: (error: unknown) => Outcome;
  /** A reader may go away between two chunks. */
  #subscription: AbortSubscription | undefined;
  #state: 'new' | 'open' | 'over' = 'new';
  #startedAt = Number.NaN;

  constructor(
    reader: AsyncGenerator<T, void, undefined>,
    counters: UpstreamCounters,
    signal: AbortSignal | undefined,
    refusal: () => Refusal | undefined,
    outcomeOf: (error: unknown) => Outcome,
  ) {
    this.#reader = reader;
    this.#counters = counters;
    this.#signal = signal;
    this.#refusal = refusal;
    this.#outcomeOf = outcomeOf;
  }

  async next(): Promise<IteratorResult<T, void>> {
    if (this.#state === 'new') this.#begin();
    try {
      const result = await this.#reader.next();
      if (result.done === true) this.#end('fulfilled');
      return result;
    } catch (error) {
      this.#end(this.#outcomeOf(error));
      throw error;
    }
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#end('aborted');
    return this.#reader.return();
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#end('aborted');
    return this.#reader.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** @throws why nothing begins any more. */
  #begin(): void {
    this.#state = 'open';
    this.#startedAt = this.#counters.begin();
    const refusal = this.#refusal();
    if (refusal === undefined) {
      if (this.#signal !== undefined) {
        this.#subscription = new AbortSubscription(this.#signal, { onAbort: () => this.#end('aborted') });
      }
      return;
    }
    this.#end(refusal.outcome);
    // The reader below was never asked, and is not to be.
    void this.#reader.return();
    throw refusal.reason;
  }

  #end(outcome: Outcome): void {
    if (this.#state === 'open') this.#counters.end(outcome, this.#startedAt);
    this.#state = 'over';
    this.#subscription?.end();
  }
}
