import { ClosedError } from '../core/errors.js';
import { type MapKey, mapKey } from '../core/keys.js';
import { abortSignal, callable, duration, flag, options as optionsObject } from '../core/options.js';
import type { Awaitable, CloseOptions, CloseReport, Key, Milliseconds } from '../core/types.js';
import { checkWaitUntil } from '../core/wait-until.js';
import { HookSet } from '../metrics/hooks.js';
import { Engine } from './engine.js';
import { COALESCER_HOOKS, type CoalescerHooks } from './hooks.js';
import type { CoalescerMetrics } from './metrics.js';
import { checkRules } from './rules.js';
import type { CoalesceOptions, LoadContext, RequestCoalescerOptions } from './types.js';

/**
 * Callers with the same key share one load, and its value for `ttl`.
 *
 * When to use it: many callers ask for the same thing at the same time, and the answer is the same for all of them. **The key
 * must contain everything that the answer depends on, above all whose view it is** (user, tenant, locale): whoever joins gets
 * what the first caller's function loaded; its own function and options are not looked at.
 *
 * `RequestCoalescer<User>` holds one type of value: `execute` returns `User`. Without a type argument each call returns
 * what its own load returns, and the key must imply the type.
 *
 * Guarantees:
 * - At most one current load per key, in this instance. A rejection is out of the table before any caller hears of it.
 * - `forget`, `set` and `clear` detach a load in flight: its callers still get its outcome, nothing of it is stored, and later
 *   callers start anew.
 * - Each caller has its own promise and its own abort. The load is aborted when the last one left; one without a signal stays.
 * - A load always ends: by itself, by `loadTimeout`, by its callers' leaving, or by `close`.
 *
 * Cost: O(1) per call. Stored values take about 150 bytes besides key and value, and are given back after their time by one
 * timer that never keeps the process alive.
 *
 * @example
 * const users = new RequestCoalescer<User>({ name: 'users', ttl: 5_000 });
 * const user = await users.execute(['user', id], ({ signal }) => api.user(id, { signal }), { signal });
 */
export class RequestCoalescer<V = unknown, K extends Key = Key> implements AsyncDisposable {
  readonly name: string;
  readonly #hooks: HookSet<CoalescerHooks>;
  readonly #engine: Engine<V, K>;

  /** @throws {TypeError | RangeError} an option is wrong. */
  constructor(options?: RequestCoalescerOptions<V, K>) {
    const rules = checkRules(options);
    this.name = rules.name;
    this.#hooks = new HookSet(rules.name, COALESCER_HOOKS, options?.hooks);
    this.#engine = new Engine(rules, this.#hooks);
  }

  /**
   * The value of `key`: stored, joined in flight, or loaded by `load`. Each caller gets its own promise and its own abort.
   *
   * `load` is called before `execute` returns, in this caller's async context, unless there is a value or a load to share. What
   * it throws or rejects with reaches all callers by identity, and so does `signal.reason` the caller whose signal aborted. A
   * load that waits for its own key waits until `loadTimeout`.
   *
   * @throws {TimeoutError} the load exceeded `loadTimeout`. @throws {ClosedError} after `close`.
   * @throws {TypeError} a wrong argument. All of them as rejections.
   */
  execute<T extends V>(
    key: K,
    load: (context: LoadContext<V, K>) => Awaitable<T>,
    options?: CoalesceOptions,
  ): Promise<unknown extends V ? T : V> {
    type Value = Promise<unknown extends V ? T : V>;
    try {
      callable('load', load);
      const id = mapKey('key', key);
      // Looking for what is not there would be a tenth of a hit.
      if (options === undefined) return this.#engine.execute(id, key, load, undefined, false, undefined) as Value;
      const { signal, fresh, waitUntil } = optionsObject('options', options);
      abortSignal('signal', signal);
      checkWaitUntil(waitUntil);
      return this.#engine.execute(id, key, load, signal, flag('fresh', fresh, false), waitUntil) as Value;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Loads ahead and keeps the value. Does nothing if it is there (or, with `errorTtl`, an error is), if it is on its way, or after
   * `close`. A failure goes to hooks and metrics. A stored value that is stale is refreshed; `fresh` loads in any case.
   *
   * @throws {TypeError} a wrong argument.
   */
  prefetch(
    key: K,
    load: (context: LoadContext<V, K>) => Awaitable<V>,
    options?: Pick<CoalesceOptions, 'fresh' | 'waitUntil'>,
  ): void {
    callable('load', load);
    const id = mapKey('key', key);
    const { fresh, waitUntil } = optionsObject('options', options);
    this.#engine.prefetch(id, key, load, flag('fresh', fresh, false), checkWaitUntil(waitUntil));
  }

  /** What is stored, without loading, counting or touching. Errors are not shown. */
  peek(key: K): { readonly value: V; readonly state: 'fresh' | 'stale'; readonly ageMs: Milliseconds } | undefined {
    return this.#engine.peek(mapKey('key', key));
  }

  /**
   * Stores a value, e.g. after a write. A load in flight is detached: it cannot overwrite it.
   *
   * @throws {TypeError} nothing would be stored: there is no positive ttl. Or the value is a promise.
   * @throws {ClosedError} after `close`.
   */
  set(key: K, value: V, options?: { ttl?: Milliseconds | undefined }): void {
    const id = mapKey('key', key);
    const given = optionsObject('options', options).ttl;
    if (typeof (value as { then?: unknown } | null | undefined)?.then === 'function') {
      throw new TypeError('Expected `value` to be a value, got a promise: await it first, or use `prefetch`');
    }
    if (this.#engine.isClosed) throw new ClosedError({ source: this.name });
    const { rules } = this.#engine;
    const ttl =
      given === undefined ? rules.ttlOf(value, { key, reason: 'miss' }) : rules.jittered(duration('ttl', given, 0));
    if (!(ttl > 0)) throw new TypeError(`\`set\` would store nothing: the \`ttl\` is ${ttl}`);
    this.#engine.set(id, key, value, ttl);
  }

  /**
   * Drops a key, or all keys that match; returns how many. Loads in flight still answer their callers but are not kept; `abort`
   * ends them, and their callers reject with an `AbortError`.
   *
   * O(1) for a key. A predicate is asked once for each key that is stored or in flight; if it throws, nothing is dropped.
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
   * Refuses further calls and drops what is stored; loads in flight may finish within `grace`, then their callers reject with
   * `reason` and they are aborted with it. Never rejects but for wrong options. A later `close` may only shorten the grace; all
   * get the same report, in which the names of what is `left` are `name#key`.
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

  /** `close()`: waits for the loads in flight. */
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
