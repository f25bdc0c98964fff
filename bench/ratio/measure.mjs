// What `bench:breaker` and `bench:upstream` have in common: CPU time of the process for each call, all contestants in turn, the bare way right before and
// right after each: the sample is the ratio to the smaller of these two.
import { fileURLToPath, pathToFileURL } from 'node:url';

/** One call after the other. */
export const one = (execute) => async (count) => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += await execute(i);
  return sum;
};

/** All calls at once. */
export const queued = (execute) => async (count) => {
  const promises = Array.from({ length: count }, (_, i) => execute(i));
  let sum = 0;
  for (const promise of promises) sum += await promise;
  return sum;
};

/** @param build a file that exports it; by default what was built. */
export async function load(build = fileURLToPath(new URL('../../dist/index.js', import.meta.url))) {
  return import(pathToFileURL(build).href);
}

/** Prints the medians of one row as JSON, and ends the process. Each call must answer 1. */
export async function measure({ bare, ways }, { count, rounds, warmUp }) {
  const sample = async (way) => {
    const before = process.cpuUsage();
    const sum = await way(count);
    const { user, system } = process.cpuUsage(before);
    if (sum !== count) throw new Error(`${sum} instead of ${count}`);
    return ((user + system) * 1_000) / count;
  };
  const order = Object.keys(ways);
  const samples = Object.fromEntries(order.map((name) => [name, []]));
  for (let round = 0; round < rounds + warmUp; round++) {
    order.push(order.shift());
    for (const name of order) {
      const before = await sample(bare);
      const ns = await sample(ways[name]);
      const beside = Math.min(before, await sample(bare));
      if (round >= warmUp) samples[name].push({ ns, ratio: ns / beside });
    }
  }
  const result = Object.entries(samples).map(([name, list]) => ({
    name,
    ns: median(list.map(({ ns }) => ns)),
    ratio: median(list.map(({ ratio }) => ratio)),
  }));
  console.log(JSON.stringify(result));
  process.exit();
}

export function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
