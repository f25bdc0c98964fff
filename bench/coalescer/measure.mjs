// One row in one process: node measure.mjs <row> <rounds> <builds as JSON> [<names>]. Prints JSON.
//
// As bench/pool/measure.mjs: CPU time of the process; in each round every contestant has its turn, in a new order, between two turns of
// the hand-written map, and the sample is the ratio to the smaller of these, call by call. No forced collection between the turns.
import { handWritten, loadContestants } from './contestants.mjs';
import { rows } from './rows.mjs';

const [rowName, rounds, builds, names] = process.argv.slice(2);
const row = rows[rowName];
const WARM_UP_PASSES = 5;
/** Who is slower does a tenth of the calls, as it would otherwise take all the time. */
const LONG_PASS_MS = 300;

/** ns for each call. */
async function sample({ pass, count }) {
  const before = process.cpuUsage();
  const sum = await pass(count);
  const { user, system } = process.cpuUsage(before);
  if (sum !== count) throw new Error(`${sum} instead of ${count}`);
  return ((user + system) * 1_000) / count;
}

async function enter(contestant) {
  const entry = { name: contestant.name, pass: await row.make(contestant), count: row.count / 10, samples: [] };
  await sample(entry);
  const ns = await sample(entry);
  if (ns * row.count < LONG_PASS_MS * 1e6) entry.count = row.count;
  for (let i = 0; i < WARM_UP_PASSES; i++) await sample(entry);
  return entry;
}

const bare = await enter({ name: 'by hand', make: handWritten });
const entries = [];
for (const contestant of await loadContestants(JSON.parse(builds), names?.split(','))) {
  if (row.can(contestant)) entries.push(await enter(contestant));
}
for (let round = 0; round < Number(rounds); round++) {
  const shift = round % entries.length;
  const turn = [...entries.slice(shift), ...entries.slice(0, shift)];
  if (round % 2 === 1) turn.reverse();
  for (const entry of turn) {
    const before = await sample(bare);
    const ns = await sample(entry);
    const beside = Math.min(before, await sample(bare));
    entry.samples.push({ ns, bare: beside, ratio: ns / beside });
  }
}

console.log(
  JSON.stringify(
    entries.map(({ name, samples }) => ({ name, samples })),
    (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
  ),
);
// Refreshes that stay away, and timers of rivals.
process.exit();
