// One load and its callers: who gets what when it fails, hangs, is left, invalidated or overwritten.
import { ask, byHand, check, counting, loadsAre, sleep, valueIs, within, wrong } from './support.mjs';

export const flights = [
  {
    name: '8 callers at once, one load',
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      const all = Array.from({ length: 8 }, () => ask(cache, 'k'));
      await loader.reach(1);
      await sleep(20);
      for (const call of loader.calls) call.resolve('v');
      for (const got of await within(Promise.all(all))) valueIs(got, 'v');
      loadsAre(loader.calls.length, 1);
    },
  },
  {
    // One caller's changes to a shared promise, and its own handlers, are its own (COAL-28).
    name: 'each caller has a promise of its own',
    async run({ make }) {
      const cache = make(counting(10).load, {});
      const [a, b] = [cache.get('k'), cache.get('k')];
      check(a !== b, 'one promise');
      await within(Promise.all([a, b]));
    },
  },
  {
    // COAL-01: the rejection is still in the table while its own handlers run.
    name: 'after a rejection, the next call loads again, also inside `catch`',
    async run({ make }) {
      let count = 0;
      const load = async () => {
        if (++count === 1) throw new Error('first');
        return 'v';
      };
      const cache = make(load, {});
      const got = await within(cache.get('k').catch(() => ask(cache, 'k')));
      check(!('error' in got), 'the old error');
      loadsAre(count, 2);
    },
  },
  {
    // COAL-04: an error before the promise is registered is published after its own clean-up.
    name: 'a loader that throws synchronously: a rejection, and the key is free',
    async run({ make }) {
      let count = 0;
      const load = () => {
        if (++count === 1) throw new Error('first');
        return Promise.resolve('v');
      };
      const cache = make(load, {});
      const first = await within(ask(cache, 'k'));
      check('error' in first, 'no error');
      const next = await within(ask(cache, 'k'), 'key blocked');
      check(!('error' in next), 'key poisoned');
      loadsAre(count, 2);
    },
  },
  {
    // COAL-43: `if (error)`.
    name: 'a rejection with `undefined` reaches all callers as a rejection, from one load',
    async run({ make }) {
      const loader = byHand();
      const cache = make((key, context) => (loader.calls.length === 0 ? loader.load(key, context) : again()), {});
      let count = 1;
      const again = () => {
        count++;
        return Promise.reject(undefined);
      };
      const all = [ask(cache, 'k'), ask(cache, 'k'), ask(cache, 'k')];
      await loader.reach(1);
      await sleep(20);
      loader.calls[0].reject(undefined);
      for (const got of await within(Promise.all(all))) check('error' in got, 'resolves');
      loadsAre(count, 1);
    },
  },
  {
    // COAL-25: most libraries keep the key blocked until the process is restarted. The upstream hangs for a while, so every load of
    // that time does.
    name: 'loads that never end: all callers get the timeout once, the key is free',
    needs: ['loadTimeout'],
    async run({ make }) {
      let down = true;
      const cache = make(() => (down ? new Promise(() => {}) : Promise.resolve('v')), { loadTimeout: 150 });
      const all = Array.from({ length: 5 }, () => ask(cache, 'k'));
      await within(Promise.any(all), 'hangs', 500);
      for (const got of await within(Promise.all(all), 'one after another', 350)) check('error' in got, 'resolves');
      down = false;
      valueIs(await within(ask(cache, 'k'), 'key blocked'), 'v');
    },
  },
  {
    // COAL-28, COAL-29.
    name: 'a follower aborts: it leaves at once, the others get the value',
    needs: ['signal'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      const controller = new AbortController();
      const first = ask(cache, 'k');
      const leaver = ask(cache, 'k', { signal: controller.signal });
      const third = ask(cache, 'k');
      await loader.reach(1);
      controller.abort(new Error('leaves'));
      const left = await within(leaver, 'abort not seen', 300).catch((error) => {
        loader.calls[0].resolve('v');
        throw error;
      });
      check('error' in left, 'abort not seen');
      const late = ask(cache, 'k');
      await sleep(20);
      for (const call of loader.calls) call.resolve('v');
      for (const got of await within(Promise.all([first, third, late]))) valueIs(got, 'v', 'lost');
      loadsAre(loader.calls.length, 1);
    },
  },
  {
    // COAL-26: the first caller's abort is everyone's.
    name: 'the first caller aborts: the others get the value',
    needs: ['signal'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      const controller = new AbortController();
      const first = ask(cache, 'k', { signal: controller.signal });
      const others = Array.from({ length: 7 }, () => ask(cache, 'k'));
      await loader.reach(1);
      controller.abort(new Error('leaves'));
      check('error' in (await within(first, 'abort not seen', 300)), 'abort not seen');
      await sleep(20);
      for (const call of loader.calls) call.resolve('v');
      const got = await within(Promise.all(others));
      check(!got.some((one) => 'error' in one), 'everyone fails');
      loadsAre(loader.calls.length, 1);
    },
  },
  {
    // COAL-31, COAL-32.
    name: 'when the last caller has left, and not before, the loader is aborted and the key free',
    needs: ['signal', 'loadSignal'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      const controllers = [new AbortController(), new AbortController(), new AbortController()];
      for (const { signal } of controllers) void ask(cache, 'k', { signal });
      await loader.reach(1);
      const { signal } = loader.calls[0];
      controllers[0].abort();
      controllers[1].abort();
      await sleep(20);
      check(!signal.aborted, 'aborted too soon');
      controllers[2].abort();
      await sleep(20);
      check(signal.aborted, 'not aborted');
      const next = ask(cache, 'k');
      check((await loader.reach(2)) === 2, 'key blocked');
      loader.calls[1].resolve('v');
      valueIs(await within(next), 'v');
    },
  },
  {
    // COAL-07, COAL-13.
    name: 'invalidated during a load: later callers load anew, the old value does not come back',
    needs: ['forget'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      void ask(cache, 'k');
      await loader.reach(1);
      await cache.forget('k');
      const later = ask(cache, 'k');
      if ((await loader.reach(2)) < 2) {
        loader.calls[0].resolve('old');
        await within(later);
        throw wrong('joins the old load');
      }
      loader.calls[1].resolve('new');
      valueIs(await within(later), 'new', 'old value');
      loader.calls[0].resolve('old');
      await sleep(20);
      const after = ask(cache, 'k');
      await sleep(20);
      loader.calls[2]?.resolve('new');
      valueIs(await within(after), 'new', 'old value comes back');
    },
  },
  {
    // COAL-07.
    name: 'a value that is set during a load stays',
    needs: ['set'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      void ask(cache, 'k');
      await loader.reach(1);
      await cache.set('k', 'written');
      loader.calls[0].resolve('old');
      await sleep(20);
      const after = ask(cache, 'k');
      await sleep(20);
      for (const call of loader.calls.slice(1)) call.resolve('loaded');
      valueIs(await within(after), 'written', 'overwritten');
    },
  },
  {
    // COAL-08, COAL-10, COAL-11: deleted by key and not by identity.
    name: 'an invalidated load ends while its successor runs: callers join the successor',
    needs: ['forget'],
    async run({ make }) {
      const loader = byHand();
      const cache = make(loader.load, {});
      void ask(cache, 'k');
      await loader.reach(1);
      await cache.forget('k');
      const second = ask(cache, 'k');
      if ((await loader.reach(2)) < 2) {
        loader.calls[0].resolve('old');
        await within(second);
        throw wrong('joins the old load');
      }
      loader.calls[0].resolve('old');
      await sleep(20);
      const third = ask(cache, 'k');
      await sleep(20);
      for (const call of loader.calls.slice(1)) call.resolve('new');
      valueIs(await within(second), 'new', 'old value');
      valueIs(await within(third), 'new', 'old value comes back');
      loadsAre(loader.calls.length, 2);
    },
  },
];
