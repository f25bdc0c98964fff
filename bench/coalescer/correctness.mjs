// What speed must not cost: node correctness.mjs <builds as JSON>. Prints JSON: name -> check -> true, false or null (not offered).
import { loadContestants } from './contestants.mjs';

const TTL = 1_000;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const outcome = (promise) =>
  Promise.race([
    promise.then(
      (value) => ({ value }),
      (reason) => ({ reason }),
    ),
    wait(2_000).then(() => ({ hung: true })),
  ]);

const checks = {
  /** Who joins a load gets a promise of its own: what one caller hangs on it is nobody else's. */
  async ownPromise({ make }) {
    const { get } = make({ load: () => wait(20).then(() => 1), ttl: TTL, max: 10 });
    const [first, second] = [get('key'), get('key')];
    await Promise.all([first, second]);
    return first !== second;
  },

  /** One caller aborts: it rejects with its reason, the other one has the value. */
  async abortsAlone({ make }) {
    const { get, getUntil } = make({ load: () => wait(50).then(() => 1), ttl: TTL, max: 10 });
    if (getUntil === undefined) return null;
    const controller = new AbortController();
    const leaver = outcome(getUntil('key', controller.signal));
    const stayer = outcome(get('key'));
    await wait(10);
    controller.abort(new Error('left'));
    return 'reason' in (await leaver) && (await stayer).value === 1;
  },

  /** Who asks again in the very turn in which it heard of a failure starts anew. */
  async failsOnce({ make }) {
    let loads = 0;
    const load = async () => {
      await wait(5);
      if (++loads === 1) throw new Error('once');
      return loads;
    };
    const { get } = make({ load, ttl: TTL, max: 10 });
    const first = await outcome(get('key'));
    return 'reason' in first && (await outcome(get('key'))).value === 2;
  },

  /** A load takes most of the ttl; what it brought is there for all of it. */
  async ttlFromEnd({ make }) {
    let loads = 0;
    const { get } = make({ load: () => wait(0.7 * TTL).then(() => ++loads), ttl: TTL, max: 10 });
    await get('key');
    await wait(0.6 * TTL);
    return (await get('key')) === 1;
  },

  /** Time goes on while callers keep the process busy. */
  async expiresWhenBusy({ make }) {
    let loads = 0;
    const { get } = make({ load: async () => ++loads, ttl: TTL, max: 10 });
    await get('key');
    const end = performance.now() + 1.1 * TTL;
    while (performance.now() < end) await get('key');
    return loads === 2;
  },

  /** Invalidated while it loads: what comes is old, and not kept. */
  async dropsInFlight({ make }) {
    let loads = 0;
    const { get, drop } = make({ load: () => wait(50).then(() => ++loads), ttl: TTL, max: 10 });
    const first = outcome(get('key'));
    await wait(10);
    await drop('key');
    await first;
    await wait(10);
    return (await outcome(get('key'))).value === 2;
  },
};

process.on('unhandledRejection', () => {});
const results = {};
const [builds, names] = process.argv.slice(2);
for (const contestant of await loadContestants(JSON.parse(builds), names?.split(','))) {
  results[contestant.name] = {};
  for (const [name, check] of Object.entries(checks)) results[contestant.name][name] = await check(contestant);
}
console.log(JSON.stringify(results));
process.exit();
