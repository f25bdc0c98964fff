// One row in one process: node measure.mjs <row> <rounds> <build>. Prints JSON.
//
// CPU time of the process. In each round everybody has its turn, in a new order, with a direct await (a hand-written loop in the row of
// failures) right before and right after it: the sample is the ratio to the smaller of the two. Everybody runs in a loop of its own
// source, so that nobody pays for what the compiler learned from another. Who takes a thousand times as long gets fewer calls.
import { ours, rivals } from './contestants.mjs';
import { rows } from './rows.mjs';

const [rowName, rounds, build] = process.argv.slice(2);
const { count, makeTask, bare, waits } = rows[rowName];

/** A function object of its own for each. */
function makeLoop() {
  return new Function(
    'return async (call, task, count) => { let sum = 0; for (let i = 0; i < count; i++) sum += await call(task); return sum; }',
  )();
}

async function sample({ loop, call, task }, n) {
  const before = process.cpuUsage();
  const sum = await loop(call, task, n);
  const { user, system } = process.cpuUsage(before);
  if (sum !== n) throw new Error(`${sum} instead of ${n}`);
  return ((user + system) * 1_000) / n;
}

const entry = (name, call) => ({ name, call, task: makeTask(), loop: makeLoop(), count, samples: [] });
const direct = entry('direct', bare);
const makers = { ...ours(await import(build)), ...rivals };
// Without options there is a wait of 100 ms.
const measured = Object.entries(makers).filter(([name]) => !(waits && name === 'retryWithBackoff'));
const entries = measured.map(([name, make]) => entry(name, make()));

for (let pass = 0; pass < 4; pass++) await sample(direct, count);
for (const each of entries) {
  const start = performance.now();
  await sample(each, 200);
  const perCall = (performance.now() - start) / 200;
  each.count = Math.min(count, Math.max(300, Math.round(400 / perCall)));
  for (let pass = 0; pass < 4; pass++) await sample(each, each.count);
}
let seed = 1;
const random = () => {
  seed = (seed * 16807) % 2147483647;
  return seed / 2147483647;
};
for (let round = 0; round < Number(rounds); round++) {
  for (const each of entries.map((one) => [random(), one]).sort(([a], [b]) => a - b)) {
    const [, one] = each;
    const before = await sample(direct, count);
    const ns = await sample(one, one.count);
    const beside = Math.min(before, await sample(direct, count));
    one.samples.push({ ns, direct: beside, ratio: ns / beside });
  }
}
console.log(
  JSON.stringify(
    entries.map(({ name, samples }) => ({ name, samples })),
    (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
  ),
);
