import { ClosedError } from '../core/errors.js';
import { type MapKey, mapKey } from '../core/keys.js';
import { abortSignal, callable, duration, flag, options as optionsObject } from '../core/options.js';
import type { Awaitable, CloseOptions, CloseReport, Key } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import { COALESCER_HOOKS, type CoalescerHooks } from './hooks.js';
import type { CoalescerMetrics } from './metrics.js';
import { StreamEngine } from './stream-engine.js';
import { StreamReader } from './stream-reader.js';
import { checkStreamRules } from './stream-rules.js';
import type { StreamCoalescerOptions, StreamContext } from './stream-types.js';
import type { CoalesceOptions } from './types.js';

/**
 * Readers with the same key share one upstream stream, e.g. an LLM's tokens. A late reader starts at the first chunk, each leaves
 * alone, a slow one holds nobody up, and the upstream is closed when the last one left.
 *
 * When to use it: several readers want the same stream at the same time, and opening it twice costs. **The key must contain
 * everything that the stream depends on, above all whose view it is** (user, tenant, locale): whoever joins reads what the first
 * reader's function opened; its own function is not called.
 *
 * Guarantees:
 * - At most one current stream per key, in this instance. Each reader gets its chunks in order, from the first one on.
 * - Nothing is read ahead: the upstream is asked for a chunk when some reader wants one that nobody has yet, by one `next()` at a
 *   time.
 * - At most `maxBuffer` chunks of a stream are kept. Once one was dropped, newcomers open a new stream, and a reader whose next
 *   chunk is gone gets a `ReaderBehindError`.
 * - What the upstream throws comes to each reader after the chunks before it, by identity, and is never replayed.
 * - A stream always ends: by itself, by `idleTimeout`, by its readers' leaving, or by `close`.
 *
 * Cost: O(1) a chunk and O(1) a read. All readers get the same chunks: nobody should change one.
 *
 * @example
 * const answers = new StreamCoalescer<string>({ name: 'answers', ttl: 5_000 });
 * for await (const token of answers.stream([user, question], ({ signal }) => llm.tokens(question, { signal }))) show(token);
 */
export class StreamCoalescer<C = unknown, K extends Key = Key> implements AsyncDisposable {
  readonly name: string;
  readonly #hooks: HookSet<CoalescerHooks>;
  readonly #engine: StreamEngine<C, K>;

  /** @throws {TypeError | RangeError} an option is wrong. */
  constructor(options?: StreamCoalescerOptions<K>) {
    const rules = checkStreamRules(options);
    this.name = rules.name;
    this.#hooks = new HookSet(rules.name, COALESCER_HOOKS, options?.hooks);
    this.#engine = new StreamEngine(rules, this.#hooks);
  }

  /**
   * One reader. Nothing is opened before the first `next()`, and a reader that is never asked costs nothing. `open` may be async,
   * as SDKs are; it is called inside the first `next()` of the reader that needs it, and the stream runs in that reader's async
   * context.
   *
   * A reader leaves by `return()`, by `break`, or by its `signal`, with which its `next()` then rejects (`signal.reason` itself).
   * One that is neither read to the end nor left holds its stream. Calls of `next()` may overlap: they are answered in order.
   *
   * @param options `fresh` skips a finished stream, and joins a running one.
   * @throws {TypeError} a wrong argument. The first `next()` rejects with a `ClosedError` after `close`.
   */
  stream<T extends C>(
    key: K,
    open: (context: StreamContext<K>) => Awaitable<AsyncIterable<T>>,
    options?: Pick<CoalesceOptions, 'signal' | 'fresh'>,
  ): AsyncGenerator<unknown extends C ? T : C, void, undefined> {
    callable('open', open);
    const id = mapKey('key', key);
    const { signal, fresh } = optionsObject('options', options);
    abortSignal('signal', signal);
    const request = { id, key, open, signal, fresh: flag('fresh', fresh, false) };
    const reader: AsyncGenerator<C, void, undefined> = new StreamReader(this.#engine, request);
    return reader as AsyncGenerator<unknown extends C ? T : C, void, undefined>;
  }

  /**
   * Drops a key, or all keys that match; returns how many. Running streams go on for their readers but are neither joined nor
   * kept; `abort` ends them, and their readers reject with an `AbortError` at once.
   *
   * O(1) for a key. A predicate is asked once for each key that is stored or running; if it throws, nothing is dropped.
   */
  forget(key: K, options?: { abort?: boolean | undefined }): number;
  forget(match: (key: K) => boolean, options?: { abort?: boolean | undefined }): number;
  forget(target: K | ((key: K) => boolean), options?: { abort?: boolean | undefined }): number {
    const abort = flag('abort', optionsObject('options', options).abort, false);
    return this.#engine.forget(typeof target === 'function' ? this.#matching(target) : [mapKey('key', target)], abort);
  }

  /** `forget` for all keys. */
  clear(): void {
    this.#engine.clear();
  }

  /**
   * Refuses readers that have not begun, and drops what is stored; running streams may be read to their end within `grace`, then
   * their readers reject with `reason` and they are aborted with it. Never rejects but for wrong options. A later `close` may only
   * shorten the grace; all get the same report, in which the names of what is `left` are `name#key`.
   */
  close(options?: CloseOptions): Promise<CloseReport> {
    try {
      const { grace, abortGrace, reason } = optionsObject('options', options);
      return this.#engine.close({
        grace: duration('grace', grace, Number.POSITIVE_INFINITY),
        abortGrace: duration('abortGrace', abortGrace, 1_000),
        reason: reason === undefined ? new ClosedError({ source: this.name }) : reason,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `close()`: waits for the running streams. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Adds observers; returns the function that takes them off. */
  subscribe(hooks: CoalescerHooks): () => void {
    return this.#hooks.subscribe(hooks);
  }

  getMetrics(): CoalescerMetrics {
    return this.#engine.metrics();
  }

  /** All are asked before the first is dropped. */
  #matching(match: (key: K) => boolean): MapKey[] {
    const ids: MapKey[] = [];
    for (const [id, key] of this.#engine.keys()) if (match(key)) ids.push(id);
    return ids;
  }
}
