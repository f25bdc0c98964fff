// Who is measured. Each one as its documentation says is best for one process: memory only, no copies, no events. All load one key
// at a time: a library whose loader is bound when it is made gets `load` there, the others with each call.
//
// `make({ load, ttl, max, stale })`, times in ms, `ttl` 0: share loads in flight, keep nothing. What it returns:
//   get(key)            the value, stored, shared in flight or loaded
//   getUntil(key, signal)   the same for a caller who may leave; absent if there is no such thing
//   drop(key)           invalidates it
// Keys are strings; `fromParts` says that tuples are taken as they are. `keepsNothing`: it can share without storing. `hasStale`: it can serve
// an old value while it loads a new one. `inSeconds`: times are whole seconds.

/** name -> path of the build; the rest are rivals. */
export async function loadContestants(builds, names) {
  const loaders = {
    ...Object.fromEntries(Object.entries(builds).map(([name, path]) => [name, () => paceline(path)])),
    ...rivals,
  };
  const contestants = [];
  for (const name of names ?? Object.keys(loaders)) {
    const contestant = await loaders[name]();
    contestants.push({ name, fromParts: false, keepsNothing: true, hasStale: false, inSeconds: false, ...contestant });
  }
  return contestants;
}

/** What one writes by hand: no time, no limit but the oldest out, no errors but that a rejection leaves. */
export function handWritten({ load, ttl, max }) {
  const map = new Map();
  const get = (key) => {
    let promise = map.get(key);
    if (promise === undefined) {
      promise = load(key);
      map.set(key, promise);
      const leave = () => map.delete(key);
      promise.then(ttl === 0 ? leave : undefined, leave);
      if (map.size > max) map.delete(map.keys().next().value);
    }
    return promise;
  };
  const getUntil = (key, signal) =>
    new Promise((resolve, reject) => {
      const leave = () => reject(signal.reason);
      signal.addEventListener('abort', leave);
      const end = () => signal.removeEventListener('abort', leave);
      get(key).then(
        (value) => {
          end();
          resolve(value);
        },
        (error) => {
          end();
          reject(error);
        },
      );
    });
  return { get, getUntil };
}

async function paceline(path) {
  const { RequestCoalescer } = await import(path);
  return {
    fromParts: true,
    hasStale: true,
    make({ load, ttl, max, stale = 0 }) {
      const coalescer = new RequestCoalescer({ ttl, staleTtl: stale, maxEntries: max });
      return {
        get: (key) => coalescer.execute(key, () => load(key)),
        getUntil: (key, signal) => coalescer.execute(key, () => load(key), { signal }),
        drop: (key) => coalescer.forget(key),
      };
    },
  };
}

async function lruCache(more) {
  const { LRUCache } = await import('lru-cache');
  return {
    keepsNothing: false,
    hasStale: true,
    make({ load, ttl, max, stale = 0 }) {
      const cache = new LRUCache({ max, ttl, fetchMethod: load, allowStale: stale > 0, ...more });
      return {
        get: (key) => cache.fetch(key),
        getUntil: (key, signal) => cache.fetch(key, { signal }),
        drop: (key) => cache.delete(key),
      };
    },
  };
}

const rivals = {
  /** It batches within a tick; a batch of one load each. Its README names an LRU map for what lives longer than a request. */
  async dataloader() {
    const { default: DataLoader } = await import('dataloader');
    const { LRUCache } = await import('lru-cache');
    return {
      keepsNothing: false,
      make({ load, ttl, max }) {
        const loader = new DataLoader((keys) => Promise.all(keys.map(load)), { cacheMap: new LRUCache({ max, ttl }) });
        return { get: (key) => loader.load(key), drop: (key) => loader.clear(key) };
      },
    };
  },

  async 'async-cache-dedupe'() {
    const { createCache } = await import('async-cache-dedupe');
    return {
      hasStale: true,
      inSeconds: true,
      make({ load, ttl, max, stale = 0 }) {
        const storage = { type: 'memory', options: { size: max } };
        const cache = createCache({ ttl: ttl / 1_000, stale: stale / 1_000, storage }).define('load', load);
        return { get: (key) => cache.load(key), drop: (key) => cache.clear('load', key) };
      },
    };
  },

  /** Time is the business of the cache it is given. */
  async 'p-memoize'() {
    const { default: pMemoize } = await import('p-memoize');
    const { LRUCache } = await import('lru-cache');
    return {
      make({ load, ttl, max }) {
        const cache = ttl === 0 ? false : new LRUCache({ max, ttl });
        return { get: pMemoize(load, { cache }), drop: (key) => cache.delete(key) };
      },
    };
  },

  async memoizee() {
    const { default: memoize } = await import('memoizee');
    return {
      keepsNothing: false,
      make({ load, ttl, max }) {
        const get = memoize(load, { promise: true, primitive: true, length: 1, maxAge: ttl, max });
        return { get, drop: (key) => get.delete(key) };
      },
    };
  },

  /** As it is, it reads the clock again only when a timer of 1 ms has fired. */
  'lru-cache fetch': () => lruCache(),
  'lru-cache fetch (exact)': () => lruCache({ ttlResolution: 0 }),

  /** With the adapter for lru-cache of its README. */
  async cachified() {
    const { cachified, totalTtl } = await import('@epic-web/cachified');
    const { LRUCache } = await import('lru-cache');
    return {
      hasStale: true,
      make({ load, ttl, max, stale = 0 }) {
        const lru = new LRUCache({ max });
        const cache = {
          set(key, value) {
            const total = totalTtl(value?.metadata);
            const start = value?.metadata?.createdTime;
            return lru.set(key, value, { ttl: total === Number.POSITIVE_INFINITY ? undefined : total, start });
          },
          get: (key) => lru.get(key),
          delete: (key) => lru.delete(key),
        };
        // Negative: nothing is stored.
        const times = { ttl: ttl === 0 ? -1 : ttl, staleWhileRevalidate: stale };
        return {
          get: (key) => cachified({ key, cache, getFreshValue: () => load(key), ...times }),
          drop: (key) => cache.delete(key),
        };
      },
    };
  },

  async bentocache() {
    const { BentoCache, bentostore } = await import('bentocache');
    const { memoryDriver } = await import('bentocache/drivers/memory');
    return {
      keepsNothing: false,
      hasStale: true,
      make({ load, ttl, max, stale = 0 }) {
        const store = bentostore().useL1Layer(memoryDriver({ maxItems: max, serialize: false }));
        const cache = new BentoCache({ default: 'memory', stores: { memory: store } });
        const times = stale === 0 ? { ttl } : { ttl, grace: stale, timeout: 0 };
        return {
          get: (key) => cache.getOrSet({ key, factory: () => load(key), ...times }),
          drop: (key) => cache.delete({ key }),
        };
      },
    };
  },

  /** It keeps failures too, unless their time is zero. */
  async 'effect Cache'() {
    const { Cache, Effect, Exit } = await import('effect');
    return {
      make({ load, ttl, max }) {
        const lookup = (key) => Effect.promise(() => load(key));
        const timeToLive = (exit) => (Exit.isSuccess(exit) ? ttl : 0);
        const cache = Effect.runSync(Cache.makeWith(lookup, { capacity: max, timeToLive }));
        return {
          get: (key) => Effect.runPromise(Cache.get(cache, key)),
          getUntil: (key, signal) => Effect.runPromise(Cache.get(cache, key), { signal }),
          drop: (key) => Effect.runPromise(Cache.invalidate(cache, key)),
        };
      },
    };
  },
};

export const rivalNames = Object.keys(rivals);
