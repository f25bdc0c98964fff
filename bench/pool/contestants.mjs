// One adapter for each library, as its own documentation uses it. What a library lacks, its adapter lacks.
//
//   limiter(limit)             (task) => promise: the shape of `execute`
//   map(items, limit, work)    promise of the results, in whatever order the library gives them
//   mapAsync                   `map` takes async iterables too
//   priorities(limit)          (task, level) => promise, level 0 being the highest of three
//   groups(limit)              (task, group) => promise
//   signal(limit, signal)      (task) => promise: all tasks share one signal
//   mapSignal(items, limit, work, signal)
import { pathToFileURL } from 'node:url';

const paceline = async (path) => {
  const { PromisePool } = await import(pathToFileURL(path).href);
  const makePool = (concurrency) => new PromisePool({ concurrency });
  const levels = [{ priority: 'high' }, { priority: 'normal' }, { priority: 'low' }];
  return {
    limiter(limit) {
      const pool = makePool(limit);
      return (task) => pool.execute(task);
    },
    map: (items, limit, work) => makePool(limit).map(items, work),
    mapAsync: true,
    priorities(limit) {
      const pool = makePool(limit);
      return (task, level) => pool.execute(task, levels[level]);
    },
    groups(limit) {
      const pool = makePool(limit);
      return (task, group) => pool.execute(task, { group });
    },
    signal(limit, signal) {
      const pool = makePool(limit);
      return (task) => pool.execute(task, { signal });
    },
    mapSignal: (items, limit, work, signal) => makePool(limit).map(items, work, { signal }),
  };
};

const rivals = {
  async 'p-limit'() {
    const { default: pLimit } = await import('p-limit');
    return { limiter: pLimit, map: (items, limit, work) => pLimit(limit).map(items, work) };
  },

  async 'p-queue'() {
    const { default: PQueue } = await import('p-queue');
    return {
      limiter(concurrency) {
        const queue = new PQueue({ concurrency });
        return (task) => queue.add(task);
      },
      priorities(concurrency) {
        const queue = new PQueue({ concurrency });
        return (task, level) => queue.add(task, { priority: 2 - level });
      },
      signal(concurrency, signal) {
        const queue = new PQueue({ concurrency });
        return (task) => queue.add(task, { signal });
      },
    };
  },

  async 'p-map'() {
    const { default: pMap } = await import('p-map');
    return {
      map: (items, concurrency, work) => pMap(items, work, { concurrency }),
      mapAsync: true,
      mapSignal: (items, concurrency, work, signal) => pMap(items, work, { concurrency, signal }),
    };
  },

  async 'fastq.promise'() {
    const { default: fastq } = await import('fastq');
    return {
      limiter(limit) {
        const queue = fastq.promise((task) => task(), limit);
        return (task) => queue.push(task);
      },
    };
  },

  async '@henrygd/queue'() {
    const { newQueue } = await import('@henrygd/queue');
    return {
      limiter(limit) {
        const queue = newQueue(limit);
        return (task) => queue.add(task);
      },
    };
  },

  async 'es6-promise-pool'() {
    const { default: Es6PromisePool } = await import('es6-promise-pool');
    return {
      // It keeps no results: they come as events, in the order of completion.
      async map(items, limit, work) {
        const results = [];
        let next = 0;
        const pool = new Es6PromisePool(() => (next < items.length ? work(items[next++]) : null), limit);
        pool.addEventListener('fulfilled', ({ data }) => results.push(data.result));
        await pool.start();
        return results;
      },
    };
  },

  async 'async-sema'() {
    const { Sema } = await import('async-sema');
    return {
      limiter(limit) {
        const semaphore = new Sema(limit);
        return async (task) => {
          await semaphore.acquire();
          try {
            return await task();
          } finally {
            semaphore.release();
          }
        };
      },
    };
  },

  async '@supercharge/promise-pool'() {
    const { PromisePool } = await import('@supercharge/promise-pool');
    return {
      async map(items, limit, work) {
        const pool = PromisePool.withConcurrency(limit).for(items).handleError(rethrow);
        return (await pool.process(work)).results;
      },
      mapAsync: true,
    };
  },

  async async() {
    const { default: async } = await import('async');
    return {
      limiter(limit) {
        // `push` fulfils its promise even if the task fails.
        const queue = async.queue(async (task) => task(), limit);
        return (task) => queue.pushAsync(task);
      },
      map: (items, limit, work) => async.mapLimit(items, limit, async (item) => work(item)),
      mapAsync: true,
      priorities(limit) {
        const queue = async.priorityQueue(async (task) => task(), limit);
        return (task, level) => queue.pushAsync(task, level);
      },
    };
  },

  async 'es-toolkit'() {
    const { limitAsync, mapAsync } = await import('es-toolkit');
    return {
      limiter: (limit) => limitAsync((task) => task(), limit),
      map: (items, concurrency, work) => mapAsync(items, work, { concurrency }),
    };
  },

  async cockatiel() {
    const { default: cockatiel } = await import('cockatiel');
    const NEVER_FULL = Number.MAX_SAFE_INTEGER;
    return {
      limiter(limit) {
        const policy = cockatiel.bulkhead(limit, NEVER_FULL);
        return (task) => policy.execute(task);
      },
      signal(limit, signal) {
        const policy = cockatiel.bulkhead(limit, NEVER_FULL);
        return (task) => policy.execute(task, signal);
      },
    };
  },

  async effect() {
    const { Effect, Semaphore } = await import('effect');
    const attempt = (task) => Effect.tryPromise({ try: async () => task(), catch: (error) => error });
    return {
      limiter(limit) {
        const semaphore = Semaphore.makeUnsafe(limit);
        return (task) => Effect.runPromise(semaphore.withPermits(1)(attempt(task)));
      },
      map: (items, concurrency, work) =>
        Effect.runPromise(Effect.forEach(items, (item) => attempt(() => work(item)), { concurrency })),
      signal(limit, signal) {
        const semaphore = Semaphore.makeUnsafe(limit);
        return (task) => Effect.runPromise(semaphore.withPermits(1)(attempt(task)), { signal });
      },
    };
  },

  async bottleneck() {
    const { default: Bottleneck } = await import('bottleneck');
    return {
      limiter(maxConcurrent) {
        const limiter = new Bottleneck({ maxConcurrent });
        return (task) => limiter.schedule(task);
      },
      priorities(maxConcurrent) {
        const limiter = new Bottleneck({ maxConcurrent });
        return (task, level) => limiter.schedule({ priority: 4 + level }, task);
      },
    };
  },
};

export const rivalNames = Object.keys(rivals);

/** @param builds name of a build of the library -> path of its index.js */
export async function loadContestants(builds, names = [...Object.keys(builds), ...rivalNames]) {
  const loaded = names.map(async (name) => ({
    name,
    ...(await (name in builds ? paceline(builds[name]) : rivals[name]())),
  }));
  return Promise.all(loaded);
}

function rethrow(error) {
  throw error;
}
