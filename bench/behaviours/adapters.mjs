// Every library as its documentation says to use it, behind one face. What a library does not have is absent here, and its cell is "-".
//
// make(load, options) -> { get, forget?, set?, prefetch?, hits? }
//   load(key, { signal?, stale? })     what is shared; each adapter passes what the library gives its loaders
//   options: ttl, staleTtl, loadTimeout (ms), max (entries); anyKey: keys are not only strings; sweep: memory is looked at;
//     foreground: the loader wants the old value
//   get(key, { signal }?)              as the library returns it, nothing wrapped around it
//   hits()                             how many calls the library's own counters or events call hits
// `imports` is what an application bundles for it. `unit` is the shortest time in ms that the library can be told; `offers` names what a row may ask for.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);

const ENTRIES = 10_000;
const LONG = 60_000;

export const adapters = {
  paceline: {
    imports: "export { RequestCoalescer } from 'paceline'",
    offers: ['ttl', 'staleTtl', 'loadTimeout', 'max', 'signal', 'loadSignal', 'stale', 'anyKey'],
    async open({ build }) {
      const { RequestCoalescer } = await import(pathToFileURL(build).href);
      return (load, { ttl = LONG, staleTtl, loadTimeout, max = ENTRIES }) => {
        const coalescer = new RequestCoalescer({ name: 'users', ttl, staleTtl, loadTimeout, maxEntries: max });
        const run = ({ key, signal, stale }) => load(key, { signal, stale: stale?.value });
        return {
          get: (key, options) => coalescer.execute(key, run, options),
          forget: (key) => coalescer.forget(key),
          set: (key, value) => coalescer.set(key, value),
          prefetch: (key) => coalescer.prefetch(key, run),
          hits: () => coalescer.getMetrics().hits,
        };
      };
    },
  },

  /** What is written by hand. */
  'Map of promises': {
    offers: [],
    async open() {
      return (load) => {
        const flights = new Map();
        return {
          get(key) {
            let flight = flights.get(key);
            if (flight === undefined) {
              flight = load(key, {}).finally(() => flights.delete(key));
              flights.set(key, flight);
            }
            return flight;
          },
          forget: (key) => flights.delete(key),
        };
      };
    },
  },

  dataloader: {
    imports: "export { default } from 'dataloader'",
    // It keeps values for the life of the loader, which is meant to be one request: no ttl. `max`: a bounded `cacheMap`, as its
    // README shows. `anyKey`: `cacheKeyFn`.
    offers: ['max', 'anyKey'],
    async open() {
      const { default: DataLoader } = await import('dataloader');
      const { LRUCache } = await import('lru-cache');
      return (load, { max, anyKey }) => {
        // `batch: false`, so that one key's error is not the error of all that were asked for in the same turn.
        const loader = new DataLoader(async ([key]) => [await load(key, {})], {
          batch: false,
          ...(anyKey && { cacheKeyFn: JSON.stringify }),
          ...(max !== undefined && { cacheMap: new LRUCache({ max }) }),
        });
        return {
          get: (key) => loader.load(key),
          forget: (key) => loader.clear(key),
          // "To forcefully prime the cache, clear the key first".
          set: (key, value) => loader.clear(key).prime(key, value),
        };
      };
    },
  },

  'async-cache-dedupe': {
    imports: "export { createCache } from 'async-cache-dedupe'",
    unit: 1000,
    offers: ['ttl', 'staleTtl', 'max', 'anyKey'],
    async open() {
      const { createCache } = await import('async-cache-dedupe');
      return (load, { ttl = LONG, staleTtl = 0, max = ENTRIES }) => {
        let hits = 0;
        const cache = createCache({
          ttl: ttl / 1000,
          stale: staleTtl / 1000,
          storage: { type: 'memory', options: { size: max } },
          onHit: () => hits++,
        });
        cache.define('load', (key) => load(key, {}));
        return {
          get: (key) => cache.load(key),
          forget: (key) => cache.clear('load', key),
          // No `set`: there is one in its types, not in its README, and it does not build the key that `load` looks up.
          hits: () => hits,
        };
      };
    },
  },

  'p-memoize': {
    imports: "export { default } from 'p-memoize'; export { LRUCache } from 'lru-cache'",
    // "If you want to implement time-based expiry, consider doing so in `cache`": lru-cache has the methods that are asked for.
    offers: ['ttl', 'max', 'anyKey'],
    async open() {
      const { default: pMemoize } = await import('p-memoize');
      const { LRUCache } = await import('lru-cache');
      return (load, { ttl = LONG, max = ENTRIES, anyKey }) => {
        const cacheKey = anyKey ? JSON.stringify : ([key]) => key;
        const cache = new LRUCache({ max, ttl, ttlAutopurge: true });
        const get = pMemoize((key) => load(key, {}), { cache, cacheKey });
        return {
          get,
          forget: (key) => cache.delete(cacheKey([key])),
          set: (key, value) => cache.set(cacheKey([key]), value),
        };
      };
    },
  },

  memoizee: {
    imports: "export { default } from 'memoizee'",
    offers: ['ttl', 'max', 'anyKey'],
    async open({ metrics }) {
      // "Module needs to be imported before any memoization", and is not for production: only where counters are asked for.
      const profile = metrics ? require('memoizee/profile') : undefined;
      const memoize = require('memoizee');
      return (load, { ttl = LONG, max, anyKey }) => {
        const memoized = memoize((key) => load(key, {}), {
          promise: true,
          length: 1,
          maxAge: ttl,
          max,
          ...(anyKey && { normalizer: ([key]) => JSON.stringify(key) }),
        });
        return {
          get: (key) => memoized(key),
          forget: (key) => memoized.delete(key),
          ...(profile && { hits: () => Object.values(profile.statistics)[0].cached }),
        };
      };
    },
  },

  'lru-cache': {
    imports: "export { LRUCache } from 'lru-cache'",
    // Timeouts: `AbortSignal.timeout` as the `signal` of a fetch, as its reference does. Keys of any type, compared as in `Map`.
    // `ttlAutopurge` only where memory is looked at: with it a load that takes longer than the ttl is aborted.
    offers: ['ttl', 'staleTtl', 'loadTimeout', 'max', 'signal', 'loadSignal', 'stale', 'anyKey'],
    async open() {
      const { LRUCache } = await import('lru-cache');
      return (load, { ttl = LONG, staleTtl = 0, loadTimeout, max = ENTRIES, sweep = false }) => {
        let hits = 0;
        const cache = new LRUCache({
          max,
          ttl,
          ttlAutopurge: sweep,
          // There is no end to the time that a stale value is served for.
          ...(staleTtl > 0 && { allowStale: true, noDeleteOnFetchRejection: true }),
          fetchMethod: (key, stale, { signal }) => load(key, { signal, stale }),
        });
        return {
          get(key, options) {
            const status = {};
            const signal = loadTimeout === undefined ? options?.signal : AbortSignal.timeout(loadTimeout);
            const value = cache.fetch(key, { signal, status });
            if (status.fetch === 'hit') hits++;
            return value;
          },
          forget: (key) => cache.delete(key),
          set: (key, value) => cache.set(key, value),
          hits: () => hits,
        };
      };
    },
  },

  '@epic-web/cachified': {
    imports:
      "export { cachified, createCacheEntry, totalTtl } from '@epic-web/cachified'; export { LRUCache } from 'lru-cache'",
    offers: ['ttl', 'staleTtl', 'max'],
    async open() {
      const { cachified, createCacheEntry, totalTtl } = await import('@epic-web/cachified');
      const { LRUCache } = await import('lru-cache');
      return (load, { ttl = LONG, staleTtl = 0, max = ENTRIES }) => {
        let hits = 0;
        const lru = new LRUCache({ max, ttl, ttlAutopurge: true });
        // The adapter of its README, but for `start`: lru-cache counts by the monotonic clock, `createdTime` is wall time.
        const cache = {
          get: (key) => lru.get(key),
          set: (key, entry) => lru.set(key, entry, { ttl: totalTtl(entry.metadata) }),
          delete: (key) => lru.delete(key),
        };
        const reporter = () => (event) => {
          if (event.name === 'getCachedValueSuccess') hits++;
        };
        return {
          get: (key) => cachified({ key, cache, ttl, swr: staleTtl, getFreshValue: () => load(key, {}) }, reporter),
          forget: (key) => cache.delete(key),
          set: (key, value) => cache.set(key, createCacheEntry(value, { ttl, swr: staleTtl })),
          hits: () => hits,
        };
      };
    },
  },

  bentocache: {
    imports:
      "export { BentoCache, bentostore } from 'bentocache'; export { memoryDriver } from 'bentocache/drivers/memory'",
    // `grace` counts from the load, so it is ttl and stale window together; `timeout: 0` is its stale-while-revalidate. To be given
    // the old value a factory must run in the foreground: a `timeout` above 0.
    offers: ['ttl', 'staleTtl', 'loadTimeout', 'max', 'stale'],
    async open() {
      const { BentoCache, bentostore } = await import('bentocache');
      const { memoryDriver } = await import('bentocache/drivers/memory');
      return (load, { ttl = LONG, staleTtl = 0, loadTimeout, max = ENTRIES, foreground }) => {
        let hits = 0;
        const cache = new BentoCache({
          default: 'users',
          ttl,
          grace: staleTtl > 0 ? ttl + staleTtl : false,
          timeout: foreground ? 5000 : 0,
          ...(loadTimeout !== undefined && { hardTimeout: loadTimeout }),
          stores: { users: bentostore().useL1Layer(memoryDriver({ maxItems: max })) },
        });
        cache.on('cache:hit', () => hits++);
        return {
          get: (key) => cache.getOrSet({ key, factory: ({ gracedEntry }) => load(key, { stale: gracedEntry?.value }) }),
          forget: (key) => cache.delete({ key }),
          set: (key, value) => cache.set({ key, value }),
          hits: () => hits,
        };
      };
    },
  },

  effect: {
    imports:
      "export * as Cache from 'effect/Cache'; export { runFork, runPromise, runSync, timeout, tryPromise } from 'effect/Effect'",
    offers: ['ttl', 'loadTimeout', 'max', 'signal', 'loadSignal', 'anyKey'],
    async open() {
      const Cache = await import('effect/Cache');
      const Effect = await import('effect/Effect');
      const Exit = await import('effect/Exit');
      return (load, { ttl = LONG, loadTimeout, max = ENTRIES }) => {
        const lookup = (key) => Effect.tryPromise({ try: (signal) => load(key, { signal }), catch: (error) => error });
        const cache = Effect.runSync(
          Cache.makeWith(
            loadTimeout === undefined ? lookup : (key) => Effect.timeout(lookup(key), loadTimeout),
            // Failures are kept as long as values, unless told otherwise.
            { capacity: max, timeToLive: (exit) => (Exit.isSuccess(exit) ? ttl : 0) },
          ),
        );
        return {
          get: (key, options) => Effect.runPromise(Cache.get(cache, key), options),
          forget: (key) => Effect.runSync(Cache.invalidate(cache, key)),
          set: (key, value) => Effect.runSync(Cache.set(cache, key, value)),
          prefetch: (key) => {
            Effect.runFork(Cache.get(cache, key));
          },
        };
      };
    },
  },
};
