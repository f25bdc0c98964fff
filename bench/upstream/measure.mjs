// One row in one process: node measure.mjs <row> [<build>]. CPU time of the process for each call, all contestants in turn, the bare way right before and
// right after each: the sample is the ratio to the smaller of these two. Prints JSON.
import { fileURLToPath, pathToFileURL } from 'node:url';

const COUNT = 10_000;
const ROUNDS = 9;
const WARM_UP = 4;
const CONCURRENCY = 10;
const task = async () => 1;

/** One call after the other. */
const one = (execute) => async (count) => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += await execute(i);
  return sum;
};
/** All calls at once, ten run. */
const queued = (execute) => async (count) => {
  const promises = Array.from({ length: count }, (_, i) => execute(i));
  let sum = 0;
  for (const promise of promises) sum += await promise;
  return sum;
};

/** @param build a file that exports it; by default what was built. */
async function load(build = fileURLToPath(new URL('../../dist/index.js', import.meta.url))) {
  return import(pathToFileURL(build).href);
}

async function contestants({ Upstream }) {
  const { default: PQueue } = await import('p-queue');
  const { default: pLimit } = await import('p-limit');
  const { default: pRetry } = await import('p-retry');
  const cockatiel = await import('cockatiel');
  const pool = { concurrency: CONCURRENCY };
  const layers = { name: 'bench', timeout: 30_000, retry: {}, breaker: {}, pool };
  const through = (options, optionsOf = () => undefined) => {
    const upstream = new Upstream({ name: 'bench', ...options });
    return (i) => upstream.execute(task, optionsOf(i));
  };
  // A new name for each call, so that each of them loads.
  let call = 0;
  const anew = () => ({ key: call++ });
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const queueWithTimeout = new PQueue({ concurrency: CONCURRENCY, timeout: 30_000 });
  const limit = pLimit(CONCURRENCY);
  const policy = cockatiel.wrap(
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 3, backoff: new cockatiel.ExponentialBackoff() }),
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 30_000,
      breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 }),
    }),
    cockatiel.bulkhead(CONCURRENCY, 1e9),
    cockatiel.timeout(30_000, cockatiel.TimeoutStrategy.Aggressive),
  );
  return {
    'Upstream, a pool': through({ pool }),
    'Upstream, timeout, retry, breaker, pool': through(layers),
    'Upstream, all layers, each call loads': through({ ...layers, coalesce: { ttl: 1_000 } }, anew),
    'Upstream, all layers, each call is a hit': through({ ...layers, coalesce: { ttl: 60_000 } }, () => ({
      key: 'one',
    })),
    'p-queue alone': () => queue.add(task),
    'p-queue with its timeout': () => queueWithTimeout.add(task),
    'p-limit and p-retry': () => pRetry(() => limit(task)),
    'cockatiel: retry, breaker, bulkhead, timeout': () => policy.execute(task),
  };
}

const rows = { 'one after the other': one, 'all at once': queued };
export const names = Object.keys(rows);

async function sample(way) {
  const before = process.cpuUsage();
  const sum = await way(COUNT);
  const { user, system } = process.cpuUsage(before);
  if (sum !== COUNT) throw new Error(`${sum} instead of ${COUNT}`);
  return ((user + system) * 1_000) / COUNT;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const how = rows[process.argv[2]];
  const ways = Object.fromEntries(
    Object.entries(await contestants(await load(process.argv[3]))).map(([name, execute]) => [name, how(execute)]),
  );
  const bare = how(task);
  const order = Object.keys(ways);
  const samples = Object.fromEntries(order.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    order.push(order.shift());
    for (const name of order) {
      const before = await sample(bare);
      const ns = await sample(ways[name]);
      const beside = Math.min(before, await sample(bare));
      if (round >= WARM_UP) samples[name].push({ ns, ratio: ns / beside });
    }
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const result = Object.entries(samples).map(([name, list]) => ({
    name,
    ns: median(list.map(({ ns }) => ns)),
    ratio: median(list.map(({ ratio }) => ratio)),
  }));
  console.log(JSON.stringify(result));
  process.exit();
}
