// One row in one process: node measure.mjs <row> [<build>].
import { fileURLToPath } from 'node:url';
import { load, measure, one, queued } from '../ratio/measure.mjs';

const task = async () => 1;

async function wrappers({ CircuitBreaker }) {
  const breaker = new CircuitBreaker();
  const ways = { paceline: one(() => breaker.execute(task)) };
  const { signal } = new AbortController();
  const options = { signal };
  ways['paceline, with a signal'] = one(() => breaker.execute(task, options));
  const { circuitBreaker, handleAll, SamplingBreaker, ConsecutiveBreaker } = await import('cockatiel');
  const sampling = new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 });
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: sampling });
  ways['cockatiel, SamplingBreaker'] = one(() => policy.execute(task));
  const inARow = circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(5) });
  ways['cockatiel, ConsecutiveBreaker'] = one(() => inARow.execute(task));
  const { default: Opossum } = await import('opossum');
  // A breaker of its own for the function, as its documentation has it. Its default timeout arms a timer for each call.
  const opossum = new Opossum(task, { timeout: false });
  ways.opossum = one(() => opossum.fire());
  const withTimeout = new Opossum(task);
  ways['opossum, with its default timeout'] = one(() => withTimeout.fire());
  return { bare: one(task), ways };
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
  'pool, uncontended': pools((pool) => one(() => pool.execute(task))),
  'pool, queued': pools((pool) => queued(() => pool.execute(task))),
};

export const names = Object.keys(rows);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const row = await rows[process.argv[2]](await load(process.argv[3]));
  await measure(row, { count: 20_000, rounds: 25, warmUp: 8 });
}
