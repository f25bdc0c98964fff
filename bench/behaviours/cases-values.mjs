// What was loaded: how long it is served, and what a refresh does meanwhile.
import { ask, byHand, check, counting, loadsAre, settled, sleep, valueIs, within } from './support.mjs';

export const values = [
  {
    // COAL-05: a slow load expires at birth.
    name: 'the ttl counts from the end of the load',
    needs: ['ttl'],
    async run({ make, unit }) {
      const loader = counting(3 * unit);
      const cache = make(loader.load, { ttl: 2 * unit });
      await within(cache.get('k'), 'hangs', 20 * unit);
      await within(cache.get('k'), 'hangs', 20 * unit);
      loadsAre(loader.count, 1);
    },
  },
  {
    // COAL-47.
    name: 'the wall clock goes back an hour: an entry still expires',
    needs: ['ttl'],
    async run({ make, unit }) {
      const loader = counting();
      const cache = make(loader.load, { ttl: 2 * unit });
      await within(cache.get('k'));
      await within(cache.get('k'));
      loadsAre(loader.count, 1);
      const { now } = Date;
      Date.now = () => now.call(Date) - 3_600_000;
      await sleep(4 * unit);
      await within(cache.get('k'));
      check(loader.count === 2, 'old value');
    },
  },
  {
    // COAL-16, COAL-20.
    name: '10 callers in the stale window: all answered at once, one refresh',
    needs: ['staleTtl'],
    async run({ make, unit }) {
      const loader = byHand();
      const cache = make(loader.load, { ttl: 2 * unit, staleTtl: 20 * unit });
      const first = ask(cache, 'k');
      await loader.reach(1);
      loader.calls[0].resolve('old');
      await within(first);
      await sleep(3.5 * unit);
      const all = Array.from({ length: 10 }, () => ask(cache, 'k'));
      for (const got of await within(Promise.all(all), 'callers wait', 300)) valueIs(got, 'old');
      await within(ask(cache, 'k'), 'callers wait', 300);
      loadsAre(await loader.reach(2), 2);
      await sleep(50);
      check(loader.calls.length === 2, `${loader.calls.length - 1} refreshes`);
      for (const call of loader.calls) call.resolve('new');
      await sleep(20);
      valueIs(await within(ask(cache, 'k')), 'new', 'refresh lost');
    },
  },
  {
    // COAL-17: the process dies of a refresh nobody waits for.
    name: 'a refresh fails: no unhandled rejection, the value stays',
    needs: ['staleTtl'],
    async run({ make, unit }) {
      let count = 0;
      const load = async () => {
        if (++count > 1) throw new Error('refresh');
        return 'old';
      };
      const cache = make(load, { ttl: 2 * unit, staleTtl: 20 * unit });
      await within(cache.get('k'));
      await sleep(3.5 * unit);
      valueIs(await within(ask(cache, 'k')), 'old');
      await sleep(100);
      check(count > 1, 'no refresh');
      valueIs(await within(ask(cache, 'k')), 'old', 'value lost');
      await sleep(50);
    },
  },
  {
    // COAL-50: neither an idle key nor a refresh that is slower than the window gets around it.
    name: 'after the stale window nobody gets the old value',
    needs: ['staleTtl'],
    async run({ make, unit }) {
      let count = 0;
      const load = async (key) => {
        if (key === 'idle') return ++count === 1 ? 'old' : 'new';
        return refreshing.load(key);
      };
      const refreshing = byHand();
      const cache = make(load, { ttl: 2 * unit, staleTtl: 2 * unit });
      const first = ask(cache, 'slow');
      await within(cache.get('idle'));
      await refreshing.reach(1);
      refreshing.calls[0].resolve('old');
      await within(first);
      await sleep(3 * unit);
      await within(ask(cache, 'slow'), 'callers wait');
      await sleep(3 * unit);
      valueIs(await within(ask(cache, 'idle')), 'new', 'old value');
      const last = ask(cache, 'slow');
      check(!(await settled(last)), 'old value');
      for (const call of refreshing.calls) call.resolve('new');
      valueIs(await within(last), 'new', 'old value');
    },
  },
];
