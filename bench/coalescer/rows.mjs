// The rows. `make` sets a contestant up as a service would keep it and returns its pass: the work for `n` calls, and a sum that shows that
// all of it was done. The hand-written map goes through the same code.

/** Longer than any run. */
const TTL = 3_600_000;
const KEYS = 1_000;
const CALLERS = 1_000;
const MAX = 1_000;

const keys = Array.from({ length: KEYS }, (_, i) => `user:${i}`);
const one = async () => 1;
const later = () => new Promise((resolve) => setImmediate(resolve, 1));
const never = () => new Promise(() => {});
const everybody = () => true;

/** Keys that were never asked for before, whoever asks. */
let asked = 0;
const newKey = () => `user:${asked++}`;

async function oneByOne(n, call) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += await call(i);
  return sum;
}

/** `size` calls are made before the first is awaited. */
async function inGroups(n, size, call) {
  const promises = new Array(size);
  let sum = 0;
  for (let done = 0; done < n; done += size) {
    for (let i = 0; i < size; i++) promises[i] = call(i, done);
    for (let i = 0; i < size; i++) sum += await promises[i];
  }
  return sum;
}

async function filled(cache) {
  for (const key of keys) await cache.get(key);
  return cache;
}

export const rows = {
  hit: {
    title: 'hit with ttl',
    count: 100_000,
    can: everybody,
    async make({ make }) {
      const { get } = await filled(make({ load: one, ttl: TTL, max: 10 * KEYS }));
      return (n) => oneByOne(n, (i) => get(keys[i % KEYS]));
    },
  },
  /** The key is made of two parts in each call: a tuple, or for those who need a string, a template. */
  hitByParts: {
    title: 'hit with ttl, key of two parts',
    count: 100_000,
    can: everybody,
    async make({ make, fromParts }) {
      const { get } = make({ load: one, ttl: TTL, max: 10 * KEYS });
      const call = fromParts ? (i) => get(['user', i % KEYS]) : (i) => get(`user:${i % KEYS}`);
      for (let i = 0; i < KEYS; i++) await call(i);
      return (n) => oneByOne(n, call);
    },
  },
  /** Each key is being loaded anew, and stays so. */
  staleHit: {
    title: 'stale hit',
    count: 50_000,
    can: ({ hasStale }) => hasStale,
    async make({ make, inSeconds }) {
      const ttl = inSeconds ? 1_000 : 20;
      let load = one;
      const cache = make({ load: (key) => load(key), ttl, max: 10 * KEYS, stale: TTL });
      await filled(cache);
      load = never;
      await new Promise((resolve) => setTimeout(resolve, ttl + 50));
      return (n) => oneByOne(n, (i) => cache.get(keys[i % KEYS]));
    },
  },
  join: {
    title: 'join in flight, 1000 callers each',
    count: 100_000,
    can: everybody,
    make({ make }) {
      const { get } = make({ load: later, ttl: TTL, max: MAX });
      let key;
      return (n) =>
        inGroups(n, CALLERS, (i) => {
          if (i === 0) key = newKey();
          return get(key);
        });
    },
  },
  /** Each caller has a signal of its own; the controllers are made beforehand. By hand it is a promise and a listener for each. */
  joinUntil: {
    title: 'the same, each with a signal',
    count: 50_000,
    can: ({ make }) => make({ load: later, ttl: TTL, max: MAX }).getUntil !== undefined,
    make({ make }) {
      const { getUntil } = make({ load: later, ttl: TTL, max: MAX });
      const controllers = Array.from({ length: CALLERS }, () => new AbortController());
      let key;
      return (n) =>
        inGroups(n, CALLERS, (i) => {
          if (i === 0) key = newKey();
          return getUntil(key, controllers[i].signal);
        });
    },
  },
  load: {
    title: 'load, nothing kept',
    count: 20_000,
    can: ({ keepsNothing }) => keepsNothing,
    make({ make }) {
      const { get } = make({ load: one, ttl: 0, max: MAX });
      return (n) => oneByOne(n, () => get(newKey()));
    },
  },
  loadTogether: {
    title: 'load, nothing kept, 100 at once',
    count: 20_000,
    can: ({ keepsNothing }) => keepsNothing,
    make({ make }) {
      const { get } = make({ load: one, ttl: 0, max: MAX });
      return (n) => inGroups(n, 100, () => get(newKey()));
    },
  },
  /** Room for all: what a load costs that is kept. A new one for each pass; another lives on, as else V8 drops the code with it. */
  store: {
    title: 'load and keep',
    count: 20_000,
    can: everybody,
    async make({ make }) {
      const kept = make({ load: one, ttl: TTL, max: MAX });
      await kept.get('kept');
      return async (n) => {
        const { get } = make({ load: one, ttl: TTL, max: 2 * n });
        return (await oneByOne(n, () => get(newKey()))) - 1 + (await kept.get('kept'));
      };
    },
  },
  churn: {
    title: 'load, keep, evict another',
    count: 20_000,
    can: everybody,
    async make({ make }) {
      const { get } = await filled(make({ load: one, ttl: TTL, max: MAX }));
      return (n) => oneByOne(n, () => get(newKey()));
    },
  },
};
