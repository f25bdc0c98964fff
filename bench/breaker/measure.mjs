// One row in one process: node measure.mjs <row> [<build>]. CPU time of the process for each call, all contestants in turn, the bare way right before and
// right after each: the sample is the ratio to the smaller of these two. Prints JSON.
import { fileURLToPath, pathToFileURL } from 'node:url';

const COUNT = 20_000;
const ROUNDS = 25;
const WARM_UP = 8;
const task = async () => 1;

const one = (execute) => async (count) => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += await execute(task);
  return sum;
};
const queued = (pool) => async (count) => {
  const promises = Array.from({ length: count }, () => pool.execute(task));
  let sum = 0;
  for (const promise of promises) sum += await promise;
  return sum;
};

/** @param build a file that exports the two; by default what was built. */
async function load(build = fileURLToPath(new URL('../../dist/index.js', import.meta.url))) {
  return import(pathToFileURL(build).href);
}

async function wrappers({ CircuitBreaker }) {
  const breaker = new CircuitBreaker();
  const ways = { paceline: one((work) => breaker.execute(work)) };
  const { signal } = new AbortController();
  const options = { signal };
  ways['paceline, with a signal'] = one((work) => breaker.execute(work, options));
  const { circuitBreaker, handleAll, SamplingBreaker, ConsecutiveBreaker } = await import('cockatiel');
  const sampling = new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 });
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: sampling });
  ways['cockatiel, SamplingBreaker'] = one((work) => policy.execute(work));
  const inARow = circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(5) });
  ways['cockatiel, ConsecutiveBreaker'] = one((work) => inARow.execute(work));
  const { default: Opossum } = await import('opossum');
  // A breaker of its own for the function, as its documentation has it. Its default timeout arms a timer for each call.
  const opossum = new Opossum(task, { timeout: false });
  ways.opossum = one(() => opossum.fire());
  const withTimeout = new Opossum(task);
  ways['opossum, with its default timeout'] = one(() => withTimeout.fire());
  return { bare: one((work) => work()), ways };
}

function pools(run) {
  return ({ CircuitBreaker, PromisePool }) => {
    const make = (gates) => run(new PromisePool({ concurrency: 10, gates }));
    return {
      bare: make([]),
      ways: { 'a pool without gates': make([]), 'with a breaker': make([new CircuitBreaker()]) },
    };
  };
}

const rows = {
  execute: wrappers,
  'pool, uncontended': pools((pool) => one((work) => pool.execute(work))),
  'pool, queued': pools(queued),
};

export const names = Object.keys(rows);

async function sample(way) {
  const before = process.cpuUsage();
  const sum = await way(COUNT);
  const { user, system } = process.cpuUsage(before);
  if (sum !== COUNT) throw new Error(`${sum} instead of ${COUNT}`);
  return ((user + system) * 1_000) / COUNT;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bare, ways } = await rows[process.argv[2]](await load(process.argv[3]));
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
