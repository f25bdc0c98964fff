// One row in one process: node measure.mjs <row> <rounds> <path of the build> [<names>]. Prints JSON.
//
// As bench/pool/measure.mjs: CPU time of the process; in each round every contestant has its turn, in a new order, between two turns of
// the hand-written loop, and the sample is the ratio to the smaller of these. No forced collection between the turns.
import { loadContestants } from './contestants.mjs';
import { bare, COUNT, digest, LIMIT, rows } from './rows.mjs';

const [rowName, rounds, path, names] = process.argv.slice(2);
const { work } = rows[rowName];
const items = Array.from({ length: COUNT }, (_, i) => i);
/** One pass is too short to be timed. */
const PASSES = 10;
const WARM_UP = 5;

const expected = digest(await bare(items, LIMIT, work));

/** CPU ms of one pass. */
async function sample(settled) {
  const before = process.cpuUsage();
  for (let pass = 0; pass < PASSES; pass++) {
    const got = digest(await settled(items, LIMIT, work));
    if (got !== expected) throw new Error(`${got} instead of ${expected}`);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / PASSES;
}

const entries = (await loadContestants(path, names?.split(','))).map((each) => ({ ...each, samples: [] }));
for (let i = 0; i < WARM_UP; i++) {
  await sample(bare);
  for (const { settled } of entries) await sample(settled);
}
for (let round = 0; round < Number(rounds); round++) {
  const shift = round % entries.length;
  const turn = [...entries.slice(shift), ...entries.slice(0, shift)];
  if (round % 2 === 1) turn.reverse();
  for (const { settled, samples } of turn) {
    const before = await sample(bare);
    const cpu = await sample(settled);
    const beside = Math.min(before, await sample(bare));
    samples.push({ cpu, bare: beside, ratio: cpu / beside });
  }
}

console.log(
  JSON.stringify(
    entries.map(({ name, samples }) => ({ name, samples })),
    (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
  ),
);
