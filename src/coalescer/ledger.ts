import type { Key, Milliseconds } from '../core/types.js';
import { type HookSet, reportError } from '../metrics/hooks.js';
import type { Entry } from './entries.js';
import type { Flight, FlightEnd } from './flights.js';
import type { CoalescerHooks } from './hooks.js';
import { Counters } from './metrics.js';

/** What one coalescer writes down, and what it tells its observers: nothing here changes what becomes of a call. */
export class Ledger<V, K extends Key> {
  readonly counters = new Counters();
  readonly #name: string;
  readonly #hooks: HookSet<CoalescerHooks>;
  #waitUntilFailed = false;

  constructor(name: string, hooks: HookSet<CoalescerHooks>) {
    this.#name = name;
    this.#hooks = hooks;
  }

  tellHit({ key, failed }: Entry<V, K>, isFresh: boolean, ageMs: Milliseconds): void {
    const { onHit } = this.#hooks.listeners;
    const kind = failed ? 'error' : isFresh ? 'fresh' : 'stale';
    if (onHit) this.#hooks.tell(onHit, { name: this.#name, key, kind, ageMs });
  }

  tellJoin(key: K, flight: Flight<V, K>): void {
    const { onCoalesce } = this.#hooks.listeners;
    if (onCoalesce) this.#hooks.tell(onCoalesce, { name: this.#name, key, callers: flight.callers });
  }

  tellStart({ context: { key, reason } }: Flight<V, K>): void {
    const { onLoadStart } = this.#hooks.listeners;
    if (onLoadStart) this.#hooks.tell(onLoadStart, { name: this.#name, key, reason });
  }

  countEnd({ status }: FlightEnd<V>, duration: Milliseconds, time: Milliseconds): void {
    if (status === 'rejected') this.counters.loadFailures++;
    else if (status === 'timeout') this.counters.loadTimeouts++;
    if (status !== 'aborted') this.counters.addDuration(duration, time);
  }

  tellEnd({ context: { key, reason } }: Flight<V, K>, end: FlightEnd<V>, runMs: Milliseconds, stored: boolean): void {
    const { onLoadEnd } = this.#hooks.listeners;
    if (!onLoadEnd) return;
    const error = end.status === 'fulfilled' ? undefined : end.reason;
    this.#hooks.tell(onLoadEnd, { name: this.#name, key, reason, status: end.status, error, runMs, stored });
  }

  /** Counts it too. */
  tellEvicted({ key }: Entry<V, K>): void {
    this.counters.evicted++;
    const { onEvict } = this.#hooks.listeners;
    if (onEvict) this.#hooks.tell(onEvict, { name: this.#name, key });
  }

  // A platform that refuses must not cost the caller its value; said once, like a hook that fails.
  readonly reportWaitUntil = (error: unknown): void => {
    if (this.#waitUntilFailed) return;
    this.#waitUntilFailed = true;
    reportError(`\`waitUntil\` of \`${this.#name}\` failed; further failures of it are not shown.`, error);
  };
}
