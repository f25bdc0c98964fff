import { LazyContext } from '../core/task-context.js';
import type { Key, Milliseconds } from '../core/types.js';
import type { LoadContext } from './types.js';

/** A value that is being replaced, as a load sees it. */
export type StaleValue<V> = { readonly value: V; readonly ageMs: Milliseconds };

/** What one load is given. The coalescer asks `mayStore`, which is kept off the public object. */
export class FlightContext<V, K extends Key> extends LazyContext implements LoadContext<V, K> {
  readonly key: K;
  readonly reason: 'miss' | 'refresh';
  readonly #readStale: (() => StaleValue<V>) | undefined;
  #stale: StaleValue<V> | undefined;
  #noStore = false;

  /** @param readStale called when the load first looks: a copy may have to be made. */
  constructor(key: K, reason: 'miss' | 'refresh', readStale: (() => StaleValue<V>) | undefined) {
    super();
    this.key = key;
    this.reason = reason;
    this.#readStale = readStale;
  }

  get stale(): StaleValue<V> | undefined {
    this.#stale ??= this.#readStale?.();
    return this.#stale;
  }

  /** A getter, so that it can be destructured and costs nothing unread. */
  get noStore(): () => void {
    return () => {
      this.#noStore = true;
    };
  }

  static mayStore(context: FlightContext<unknown, Key>): boolean {
    return !context.#noStore;
  }
}
