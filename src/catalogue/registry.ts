import { Timer } from '../core/clock.js';
import { ignore } from '../core/deferred.js';
import { atLeast, callable, options, wrongType } from '../core/options.js';
import type { Milliseconds } from '../core/types.js';
import { reportError } from '../metrics/hooks.js';
import { type Metrics, type MetricsSnapshot, type MetricsSource, PLACE_OF_KIND } from './metrics.js';

type Place = keyof MetricsSnapshot;

/**
 * All metrics of an app in one snapshot, for logs and exporters. It holds its sources until they are removed, so add what lives as long as
 * the app.
 *
 * @example
 * const registry = new MetricsRegistry();
 * export const pool = registry.add(new PromisePool({ name: 'openai', concurrency: 5 }));
 * const stop = registry.report({ every: 60_000, log: (snapshot) => logger.info('concurrency', snapshot) });
 */
export class MetricsRegistry {
  readonly #sources = new Map<string, { readonly place: Place; readonly source: MetricsSource }>();

  /**
   * Returns what it was given, so it fits around a construction.
   * @throws {TypeError} not a source of metrics, or the kind has this name already.
   */
  add<S extends MetricsSource>(source: S): S {
    if (typeof source?.getMetrics !== 'function') throw wrongType('source', 'something with `getMetrics`', source);
    const { kind, name } = source.getMetrics();
    if (!Object.hasOwn(PLACE_OF_KIND, kind)) throw wrongType('source', 'of a known kind', kind);
    const key = `${kind} ${name}`;
    if (this.#sources.has(key)) throw new TypeError(`There is a ${kind} of the name \`${name}\` already`);
    this.#sources.set(key, { place: PLACE_OF_KIND[kind], source });
    return source;
  }

  /** Answers whether it was there. */
  remove(source: MetricsSource): boolean {
    for (const [key, entry] of this.#sources) if (entry.source === source) return this.#sources.delete(key);
    return false;
  }

  /** Plain and safe for JSON. */
  snapshot(): MetricsSnapshot {
    const found: { readonly [P in Place]: [name: string, metrics: Metrics][] } = {
      pools: [],
      coalescers: [],
      retries: [],
      breakers: [],
      rateLimiters: [],
      background: [],
      upstreams: [],
    };
    for (const { place, source } of this.#sources.values()) found[place].push([source.name, source.getMetrics()]);
    // Not assigned one by one: a name may be `__proto__`.
    return Object.fromEntries(
      Object.entries(found).map(([place, entries]) => [place, Object.fromEntries(entries)]),
    ) as never;
  }

  /**
   * Calls `log` every `every` ms (>= 1), the first time after `every`, until the returned function is called. A `log` that throws or
   * rejects is shown once on the console and called again the next time. Never keeps the process alive.
   *
   * @throws {TypeError | RangeError} a bad option.
   */
  report(given: { every: Milliseconds; log: (snapshot: MetricsSnapshot) => void }): () => void {
    const { every: asked, log } = options('options', given);
    if (asked === undefined) throw wrongType('every', 'a number >= 1', asked);
    const every = atLeast('every', asked, 1, 1);
    callable('log', log);
    let isShown = false;
    const complain = (error: unknown): void => {
      if (!isShown) reportError('The `log` of a metrics report failed; further failures of it are not shown.', error);
      isShown = true;
    };
    const arm = (): Timer => new Timer(tell, every, false);
    const tell = (): void => {
      timer = arm();
      try {
        const result: unknown = log(this.snapshot());
        if (result instanceof Promise) result.then(ignore, complain);
      } catch (error) {
        complain(error);
      }
    };
    let timer = arm();
    return () => timer.cancel();
  }

  *[Symbol.iterator](): IterableIterator<MetricsSource> {
    for (const { source } of this.#sources.values()) yield source;
  }
}
