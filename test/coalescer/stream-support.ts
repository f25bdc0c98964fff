import { expect } from 'vitest';
import type { StreamCoalescer, StreamContext } from '../../src/coalescer/index.js';

/** One opened stream whose every chunk waits for the test. */
export class ManualStream<C> implements AsyncIterator<C, void> {
  readonly context: StreamContext;
  readonly signal: AbortSignal;
  pulls = 0;
  returns = 0;
  #answer: { resolve(result: IteratorResult<C, void>): void; reject(reason: unknown): void } | undefined;
  /** What `return()` answers with. */
  onReturn: () => Promise<unknown> = async () => undefined;

  constructor(context: StreamContext) {
    this.context = context;
    this.signal = context.signal;
  }

  get isAsked(): boolean {
    return this.#answer !== undefined;
  }

  next(): Promise<IteratorResult<C, void>> {
    expect(this.isAsked, 'one next() at a time').toBe(false);
    this.pulls++;
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<C, void>> {
    this.returns++;
    await this.onReturn();
    return { done: true, value: undefined };
  }

  push(value: C): void {
    this.#take()?.resolve({ done: false, value });
  }

  end(): void {
    this.#take()?.resolve({ done: true, value: undefined });
  }

  fail(reason: unknown): void {
    this.#take()?.reject(reason);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take() {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }
}

/** An upstream whose streams the test drives by hand. */
export function manualStreams<C = unknown>() {
  const streams: ManualStream<C>[] = [];
  const open = (context: StreamContext): AsyncIterable<C> => {
    const stream = new ManualStream<C>(context);
    streams.push(stream);
    return stream as unknown as AsyncIterable<C>;
  };
  const nth = (index: number): ManualStream<C> => streams[index] as ManualStream<C>;
  return { streams, open, nth };
}

/** A stream of the numbers below `count`, that counts how often it was opened and closed. */
export function counting(count: number) {
  const seen = { opens: 0, closes: 0 };
  const open = async function* () {
    seen.opens++;
    try {
      for (let i = 0; i < count; i++) yield i;
    } finally {
      seen.closes++;
    }
  };
  return { seen, open };
}

export async function readAll<C>(reader: AsyncIterable<C>): Promise<C[]> {
  const chunks: C[] = [];
  for await (const chunk of reader) chunks.push(chunk);
  return chunks;
}

/** The law of the counters: each reader that began is counted, once. */
export function expectStreamIdentity(coalescer: StreamCoalescer): void {
  const { calls, hits, staleHits, errorHits, coalesced, loads, refused } = coalescer.getMetrics();
  expect(hits + staleHits + errorHits + coalesced + loads + refused).toBe(calls);
}

export const DONE = { value: { done: true, value: undefined } };
export const chunk = (value: unknown) => ({ value: { done: false, value } });
