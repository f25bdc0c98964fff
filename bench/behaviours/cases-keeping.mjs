// Keys, counters, memory, processes, and what else a service lives with.
import { getEventListeners } from 'node:events';
import { ask, byHand, check, counting, loadsAre, sleep, valueIs, within, wrong } from './support.mjs';

/** Bytes of one value in the case of memory. */
const SIZE = 10_000;

export const keeping = [
  {
    // COAL-37, COAL-38, COAL-40.
    name: "keys: `['a-b','c']` is not `['a','b-c']`, `1` is not `'1'`, `__proto__` is a key",
    async run({ make, offers }) {
      const seen = [];
      const cache = make(
        async (key) => {
          seen.push(key);
          return seen.length;
        },
        { anyKey: true },
      );
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const before = seen.length;
        valueIs(await within(ask(cache, name)), before + 1, `${name} is a hit`);
      }
      if (!offers('anyKey')) throw wrong('strings only');
      const pair = (one, other) => within(Promise.all([ask(cache, one), ask(cache, other)]));
      const [a, b] = await pair(['a-b', 'c'], ['a', 'b-c']);
      check(a.value !== b.value, 'arrays collide');
      const [c, d] = await pair(['a,b', 'c'], ['a', 'b,c']);
      check(c.value !== d.value, 'arrays collide');
      const [same, too] = await pair(['x', 1], ['x', 1]);
      check(same.value === too.value, 'arrays by identity');
      const [number, string] = await pair(1, '1');
      check(number.value !== string.value, "1 is '1'");
    },
  },
  {
    // COAL-59: 87.5 % shown where nothing was ever stored.
    name: 'callers that waited for a load are not counted as hits',
    needs: ['hits'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      const all = Array.from({ length: 8 }, () => ask(cache, 'k'));
      await loader.reach(1);
      await sleep(20);
      loader.calls[0].resolve('v');
      await within(Promise.all(all));
      check(cache.hits() === 0, `${cache.hits()} hits`);
      await within(ask(cache, 'k'));
      check(cache.hits() === 1, `then ${cache.hits()} hits`);
    },
  },
  {
    // COAL-46.
    name: '1,000 expired keys that nobody asks for again give their memory back',
    needs: ['ttl'],
    async run({ make, unit }) {
      let count = 0;
      const ttl = Math.max(2000, 3 * unit);
      const load = async () => Buffer.alloc(SIZE, `${count++}`).toString('latin1');
      const cache = make(load, { ttl, sweep: true });
      const before = await heap();
      for (let key = 0; key < 1000; key++) await cache.get(`key ${key}`);
      const full = await heap();
      check(full - before > 900 * SIZE, 'measured nothing');
      await sleep(ttl + 2000);
      const left = (await heap()) - before;
      await cache.get('one more, so that the cache itself lives');
      check(left < 100 * SIZE, left < 900 * SIZE ? 'part is kept' : 'all is kept');
    },
  },
  {
    // COAL-49. The parent measures the time from the answer to the exit.
    name: 'a ttl of an hour keeps no process alive',
    needs: ['ttl'],
    exits: true,
    async run({ make }) {
      const cache = make(counting().load, { ttl: 3_600_000 });
      await within(cache.get('k'));
    },
  },
  {
    name: '2,000 calls leave no listener on the signal they share',
    needs: ['signal'],
    async run({ make }) {
      const { signal } = new AbortController();
      const cache = make(async (key) => key, {});
      for (let call = 0; call < 2000; call++) {
        await Promise.all([cache.get(`key ${call}`, { signal }), cache.get(`key ${call}`, { signal })]);
      }
      await sleep(20);
      const left = getEventListeners(signal, 'abort').length;
      check(left === 0, `${left} listeners`);
    },
  },
  {
    // COAL-46: and what is in flight does not go.
    name: 'at most 10 entries, and no load in flight is thrown out',
    needs: ['max'],
    async run({ make }) {
      const loader = byHand();
      let open = true;
      let count = 0;
      const load = (key, context) => {
        count++;
        return open ? loader.load(key, context) : Promise.resolve(key);
      };
      const cache = make(load, { max: 10 });
      const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`);
      const all = keys.map((key) => ask(cache, key));
      await loader.reach(20);
      for (const key of keys) all.push(ask(cache, key));
      await sleep(50);
      open = false;
      for (const call of loader.calls) call.resolve(call.key);
      const got = await within(Promise.all(all));
      check(!got.some((one) => 'error' in one), 'loads thrown out');
      loadsAre(count, 20);
      for (let key = 0; key < 100; key++) await within(ask(cache, `other ${key}`));
      await sleep(20);
      count = 0;
      for (let key = 99; key >= 0; key--) await within(ask(cache, `other ${key}`));
      check(100 - count <= 10, 'not bounded');
    },
  },
  {
    name: 'the loader is given the value that it replaces',
    needs: ['stale', 'staleTtl'],
    async run({ make, unit }) {
      const seen = [];
      const load = async (_key, { stale }) => {
        seen.push(stale);
        return 'old';
      };
      const cache = make(load, { ttl: 2 * unit, staleTtl: 20 * unit, foreground: true });
      await within(cache.get('k'));
      await sleep(3.5 * unit);
      await within(cache.get('k'));
      await sleep(20);
      loadsAre(seen.length, 2);
      check(seen[0] === undefined && seen[1] === 'old', 'not given');
    },
  },
  {
    name: 'warm up without a caller: a failure bothers nobody, callers join or hit',
    needs: ['prefetch'],
    async run({ make }) {
      let count = 0;
      const load = async (key) => {
        count++;
        if (key === 'bad') throw new Error('bad');
        await sleep(20);
        return key;
      };
      const cache = make(load, {});
      check(cache.prefetch('bad') === undefined, 'a promise');
      cache.prefetch('good');
      valueIs(await within(ask(cache, 'good')), 'good');
      valueIs(await within(ask(cache, 'good')), 'good');
      loadsAre(count, 2);
    },
  },
  {
    // COAL-35: a table that all instances share.
    name: 'two instances of the same name share nothing',
    async run({ make }) {
      const a = make(async () => 'a', {});
      const b = make(async () => 'b', {});
      const [one, two] = await within(Promise.all([ask(a, 'k'), ask(b, 'k')]));
      valueIs(one, 'a', 'shared');
      valueIs(two, 'b', 'shared');
      valueIs(await within(ask(b, 'k')), 'b', 'shared');
    },
  },
  {
    // COAL-23: a then that throws, also as a getter. (One that never calls back is a loader that never ends.)
    name: 'the loader returns a thenable whose `then` throws: a rejection, and the key is free',
    async run({ make }) {
      const odd = {
        getter: () => Object.defineProperty({}, 'then', { get: fail }),
        method: () => Object.defineProperty({}, 'then', { value: fail }),
      };
      const seen = new Set();
      const load = (key) => {
        if (seen.has(key)) return Promise.resolve('v');
        seen.add(key);
        return odd[key]();
      };
      const cache = make(load, {});
      for (const key of Object.keys(odd)) {
        const all = await within(Promise.all([ask(cache, key), ask(cache, key)]));
        check('error' in all[0], 'resolves');
        valueIs(await within(ask(cache, key), 'key blocked'), 'v', 'key poisoned');
      }
    },
  },
];

function fail() {
  throw new Error('odd');
}

async function heap() {
  for (let turn = 0; turn < 3; turn++) {
    await sleep(5);
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}
