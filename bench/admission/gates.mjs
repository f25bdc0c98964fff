// What gates cost in the pump: the same tasks through a pool without and with them, in turn in one process. CPU time of the process for each
// task; medians. Prints JSON.
import { createPermit, PromisePool, RateLimiter } from '../../dist/index.js';

const ROUNDS = 21;
const WARM_UP = 5;
const task = async () => 1;

/** As a breaker in the pump: a state to look at, a permit, a verdict to count. */
function breakerLike() {
  let failures = 0;
  let calls = 0;
  const onReport = (verdict) => {
    calls++;
    if (verdict !== 'success') failures++;
  };
  return {
    acquire: () => createPermit(undefined, { onReport }),
    tryAcquire: () => (failures > calls ? 1_000 : createPermit(undefined, { onReport })),
    onChange: () => () => {},
  };
}

const pools = {
  'no gate': new PromisePool({ concurrency: 10 }),
  'rate limit': new PromisePool({
    concurrency: 10,
    rateLimit: new RateLimiter({ limit: 10_000_000, interval: 1_000 }),
  }),
  'breaker-like gate': new PromisePool({ concurrency: 10, gates: [breakerLike()] }),
  both: new PromisePool({ concurrency: 10, rateLimit: { limit: 10_000_000, interval: 1_000 }, gates: [breakerLike()] }),
};

const rows = {
  uncontended: {
    count: 20_000,
    async run(pool, count) {
      for (let i = 0; i < count; i++) await pool.execute(task);
    },
  },
  queued: {
    count: 20_000,
    async run(pool, count) {
      const promises = Array.from({ length: count }, () => pool.execute(task));
      for (const promise of promises) await promise;
    },
  },
};

const result = {};
for (const [row, { count, run }] of Object.entries(rows)) {
  const samples = Object.fromEntries(Object.keys(pools).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    for (const [name, pool] of Object.entries(pools)) {
      const before = process.cpuUsage();
      await run(pool, count);
      const { user, system } = process.cpuUsage(before);
      if (round >= WARM_UP) samples[name].push(((user + system) * 1_000) / count);
    }
  }
  result[row] = Object.fromEntries(Object.entries(samples).map(([name, ns]) => [name, median(ns)]));
}
console.log(JSON.stringify(result));

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
