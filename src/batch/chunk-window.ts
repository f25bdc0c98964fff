import { isRefusedError } from '../core/errors.js';
import { outOfRange, wrongType } from '../core/options.js';
import type { TaskContext } from '../core/types.js';
import type { Attempts } from '../retry/attempts.js';
import { askRules } from './ask-rules.js';
import { CallContext } from './call-context.js';
import { Chunk } from './chunk.js';
import { type Outcome, readAnswer } from './chunk-answer.js';
import { Chunker } from './chunker.js';
import { type FailOptions, Failure, type ItemFailure } from './item-failure.js';
import type { Entry, Outlet } from './outlet.js';
import type { Settings } from './settings.js';
import type { ChunkAnswer, ChunkContext } from './types.js';
import { BatchWindow } from './window.js';

/** What is special about chunks, checked. */
export interface ChunkSettings<I> {
  readonly size: number;
  readonly weight: { readonly of: (item: I) => number; readonly max: number } | undefined;
  readonly key: ((item: I) => unknown) | undefined;
  readonly onChunkError: 'reject' | 'split';
}

class ChunkCallContext extends CallContext implements ChunkContext {
  declare readonly offset: number;
  declare readonly attempt: number;

  constructor(outer: TaskContext | undefined, { offset, attempts }: Chunk<unknown>) {
    super(outer);
    this.offset = offset;
    this.attempt = attempts;
  }

  // Without `this`, so that it may be destructured.
  fail(reason: unknown, options?: FailOptions): ItemFailure {
    return new Failure(reason, options);
  }
}

type ItemsFailed<I> = readonly { readonly entry: Entry<I>; readonly failure: Failure }[];

/** One call per chunk of items, one outcome per item. */
export class ChunkWindow<I, R> extends BatchWindow<I, R, Chunk<I>> {
  readonly #call: (chunk: readonly I[], context: ChunkContext) => ChunkAnswer<R>;
  readonly #chunks: ChunkSettings<I>;
  readonly #chunker: Chunker<I>;

  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    call: (chunk: readonly I[], context: ChunkContext) => ChunkAnswer<R>,
    { settings, chunks }: { settings: Settings; chunks: ChunkSettings<I> },
    outlet: Outlet<I, R>,
  ) {
    super(items, settings, outlet);
    this.#call = call;
    this.#chunks = chunks;
    this.#chunker = new Chunker(chunks.size, chunks.weight?.max ?? Number.POSITIVE_INFINITY);
  }

  protected override next(): Chunk<I> | undefined {
    const entries = this.#gather();
    return entries && new Chunk(entries, this.makeTries());
  }

  override entered(chunk: Chunk<I>): void {
    chunk.entered();
    this.tally.entered();
  }

  override makeContext(chunk: Chunk<I>, outer: TaskContext | undefined): CallContext {
    return new ChunkCallContext(outer, chunk);
  }

  override call(chunk: Chunk<I>, context: ChunkCallContext): ChunkAnswer<R> {
    const call = this.#call;
    return call(chunk.items, context);
  }

  protected override fulfilled(chunk: Chunk<I>, answer: unknown): void {
    let outcomes: readonly Outcome[];
    try {
      outcomes = readAnswer(answer, chunk.items, { source: this.settings.source, key: this.#chunks.key });
    } catch (error) {
      this.#endFailed(chunk, error);
      return;
    }
    const failed: { entry: Entry<I>; failure: Failure }[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      const entry = chunk.entries[i] as Entry<I>;
      if ('failure' in outcome) failed.push({ entry, failure: outcome.failure });
      else this.fulfil(entry, outcome.value as R);
    }
    if (failed.length === 0) chunk.tries?.succeed();
    else if (chunk.tries !== undefined) void this.#askAboutItems(chunk, chunk.tries, failed);
    else for (const { entry, failure } of failed) this.reject(entry, failure.reason);
  }

  protected override rejected(chunk: Chunk<I>, error: unknown): void {
    if (chunk.tries === undefined || chunk.isHalf) this.#endFailed(chunk, error);
    else void this.#askAboutCall(chunk, chunk.tries, error);
  }

  async #askAboutCall(chunk: Chunk<I>, tries: Attempts, error: unknown): Promise<void> {
    const answer = await askRules(tries, error, { signal: this.settings.signal });
    this.turn(() => {
      if (answer.again) this.queue(chunk, answer.delay);
      else if (!answer.isAborted) this.#failed(chunk, answer.error);
    });
  }

  /** Each failed item is decided on its own; what is sent again is sent together, after the longest of the waits. */
  async #askAboutItems(chunk: Chunk<I>, tries: Attempts, failed: ItemsFailed<I>): Promise<void> {
    const { signal } = this.settings;
    const answers = await Promise.all(
      failed.map(async ({ entry, failure: { reason, retry, retryAfter } }) => {
        return {
          entry,
          answer: await askRules(tries, reason, { signal, retryAfter, final: retry === false, wanted: retry === true }),
        };
      }),
    );
    this.turn(() => {
      const again: Entry<I>[] = [];
      let delay = 0;
      for (const { entry, answer } of answers) {
        if (answer.again) {
          again.push(entry);
          delay = Math.max(delay, answer.delay);
        } else if (!answer.isAborted) {
          this.reject(entry, answer.error);
        }
      }
      if (again.length > 0) this.queue(chunk.only(again), delay);
    });
  }

  /** The call failed, and it is not one to be repeated. */
  #endFailed(chunk: Chunk<I>, error: unknown): void {
    chunk.tries?.end('not-retryable');
    this.#failed(chunk, error);
  }

  /** The call failed for good. */
  #failed(chunk: Chunk<I>, error: unknown): void {
    const { entries } = chunk;
    if (this.#chunks.onChunkError === 'split' && entries.length > 1 && !isRefusedError(error)) {
      this.tally.splits++;
      for (const half of chunk.halves(() => this.makeTries())) this.queue(half);
    } else {
      for (const entry of entries) this.reject(entry, error);
    }
  }

  /** The items of the next chunk, if there are enough now. */
  #gather(): readonly Entry<I>[] | undefined {
    const { source } = this;
    const chunker = this.#chunker;
    while (!chunker.isFull) {
      if (this.isAborted) return undefined;
      if (!this.pull()) return source.isEnded && !chunker.isEmpty ? chunker.take() : undefined;
      const entry = this.take();
      try {
        const cut = chunker.add(entry, this.#weigh(entry.item));
        if (cut !== undefined) return cut;
      } catch (error) {
        this.reject(entry, error);
      }
    }
    return chunker.take();
  }

  #weigh(item: I): number {
    const { weight } = this.#chunks;
    if (weight === undefined) return 0;
    const value: unknown = weight.of(item);
    if (typeof value !== 'number') throw wrongType('weight.of()', 'a number >= 0', value);
    if (!(value >= 0)) throw outOfRange('weight.of()', 'a number >= 0', value);
    return value;
  }
}
