// One adapter for each library, as its own documentation uses it: `settled(items, limit, work)`, a promise of one record per item, in
// the order of the items.
import { pathToFileURL } from 'node:url';

const paceline = async (path) => {
  const { batchAllSettled } = await import(pathToFileURL(path).href);
  return async (items, concurrency, work) => (await batchAllSettled(items, work, { concurrency })).results;
};

const rivals = {
  async 'p-map, settled'() {
    const { default: pMap } = await import('p-map');
    return (items, concurrency, work) =>
      pMap(
        items,
        async (item) => {
          try {
            return { status: 'fulfilled', value: await work(item) };
          } catch (reason) {
            return { status: 'rejected', reason };
          }
        },
        { concurrency },
      );
  },

  // What the seeds of this library did: chunks as large as the limit, one after another. A barrier after each.
  async 'p-map of chunks'() {
    const { default: pMap } = await import('p-map');
    return async (items, size, work) => {
      const chunks = [];
      for (let i = 0; i < items.length; i += size) chunks.push(items.slice(i, i + size));
      const settled = await pMap(chunks, (chunk) => Promise.allSettled(chunk.map(work)), { concurrency: 1 });
      return settled.flat();
    };
  },

  async 'p-limit, allSettled'() {
    const { default: pLimit } = await import('p-limit');
    return (items, concurrency, work) => {
      const limit = pLimit(concurrency);
      return Promise.allSettled(items.map((item) => limit(work, item)));
    };
  },

  async '@supercharge/promise-pool'() {
    const { PromisePool } = await import('@supercharge/promise-pool');
    return async (items, concurrency, work) => {
      const { results, errors } = await PromisePool.withConcurrency(concurrency)
        .for(items)
        .useCorrespondingResults()
        .process((item) => work(item));
      // Failed ones hold a symbol there; what they failed with is in another list.
      const reasons = new Map(errors.map(({ item, raw }) => [item, raw]));
      return results.map((value, i) =>
        value === PromisePool.failed
          ? { status: 'rejected', reason: reasons.get(items[i]) }
          : { status: 'fulfilled', value },
      );
    };
  },

  async 'es-toolkit'() {
    const { limitAsync } = await import('es-toolkit');
    return (items, concurrency, work) => Promise.allSettled(items.map(limitAsync((item) => work(item), concurrency)));
  },

  async 'async mapLimit, reflect'() {
    const { default: async } = await import('async');
    return async (items, concurrency, work) => {
      const reflected = await async.mapLimit(items, concurrency, async.reflect(async.asyncify((item) => work(item))));
      return reflected.map(({ error, value }) =>
        error === undefined ? { status: 'fulfilled', value } : { status: 'rejected', reason: error },
      );
    };
  },
};

export const rivalNames = Object.keys(rivals);

/** @param path where the library was built. */
export async function loadContestants(path, names = ['paceline', ...rivalNames]) {
  const load = (name) => (name === 'paceline' ? paceline(path) : rivals[name]());
  return Promise.all(names.map(async (name) => ({ name, settled: await load(name) })));
}
