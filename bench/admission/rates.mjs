// One contestant in one process: node rates.mjs <name>. 1000 tasks at 100 per 100 ms; prints JSON.
//
// Starts are measured inside the tasks, on the monotonic clock. Worst window: the most starts in any 100 ms, wherever they begin. Ideal: the
// tenth hundred starts 900 ms after the first.
import { fileURLToPath } from 'node:url';

const TASKS = 1_000;
const LIMIT = 100;
const INTERVAL = 100;
const IDEAL_MS = (TASKS / LIMIT - 1) * INTERVAL;

const contestants = {
  async paceline() {
    const { PromisePool } = await import('../../dist/index.js');
    const pool = new PromisePool({ concurrency: Infinity, rateLimit: { limit: LIMIT, interval: INTERVAL } });
    return (task) => pool.execute(task);
  },
  async 'paceline RateLimiter'() {
    const { RateLimiter } = await import('../../dist/index.js');
    const limiter = new RateLimiter({ limit: LIMIT, interval: INTERVAL });
    return async (task) => {
      const permit = await limiter.acquire();
      task();
      permit.started();
    };
  },
  async 'p-queue'() {
    const { default: PQueue } = await import('p-queue');
    const queue = new PQueue({ intervalCap: LIMIT, interval: INTERVAL });
    return (task) => queue.add(task);
  },
  async 'p-queue, strict'() {
    const { default: PQueue } = await import('p-queue');
    const queue = new PQueue({ intervalCap: LIMIT, interval: INTERVAL, strict: true });
    return (task) => queue.add(task);
  },
  async 'p-throttle'() {
    const { default: pThrottle } = await import('p-throttle');
    return pThrottle({ limit: LIMIT, interval: INTERVAL })((task) => task());
  },
  async 'p-throttle, strict'() {
    const { default: pThrottle } = await import('p-throttle');
    return pThrottle({ limit: LIMIT, interval: INTERVAL, strict: true })((task) => task());
  },
  async bottleneck() {
    // Its reservoir is refilled every 250 ms at the shortest, so a rate is kept by distance, as its documentation says.
    const { default: Bottleneck } = await import('bottleneck');
    const limiter = new Bottleneck({ minTime: INTERVAL / LIMIT });
    return (task) => limiter.schedule(async () => task());
  },
  async limiter() {
    const { RateLimiter } = await import('limiter');
    const limiter = new RateLimiter({ tokensPerInterval: LIMIT, interval: INTERVAL });
    return async (task) => {
      await limiter.removeTokens(1);
      task();
    };
  },
  async 'async-sema'() {
    const { RateLimit } = await import('async-sema');
    const limit = RateLimit(LIMIT, { timeUnit: INTERVAL });
    return async (task) => {
      await limit();
      task();
    };
  },
};

export const names = Object.keys(contestants);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const run = await contestants[process.argv[2]]();
  const starts = [];
  const task = () => void starts.push(performance.now());
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await Promise.all(Array.from({ length: TASKS }, () => run(task)));
  const { user, system } = process.cpuUsage(cpu);
  starts.sort((a, b) => a - b);
  const result = {
    name: process.argv[2],
    worstWindow: worstWindow(starts),
    totalMs: starts.at(-1) - begin,
    timesIdeal: (starts.at(-1) - begin) / IDEAL_MS,
    cpuMs: (user + system) / 1_000,
  };
  console.log(JSON.stringify(result));
  process.exit();
}

function worstWindow(starts) {
  let worst = 0;
  let first = 0;
  for (let last = 0; last < starts.length; last++) {
    while (starts[last] - starts[first] >= INTERVAL) first++;
    worst = Math.max(worst, last - first + 1);
  }
  return worst;
}
