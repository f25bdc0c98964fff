// One row in one process: node measure.mjs <row> <rounds> <cap in s> <builds as JSON> [<names>]. Prints JSON.
//
// CPU time of the process, so the threads of collector and compiler count. In each round every contestant has its turn, in a new
// order, with the hand-written loop right before and right after it: the sample is the ratio to the smaller of these two, as the other
// often pays for collecting what a contestant left.
//
// There is no forced collection between the turns: a full one while nothing of a library is alive makes V8 throw that library's
// optimised code away ("weak objects"), and what is measured then is the compiler.
import { AsyncLocalStorage } from 'node:async_hooks';
import { loadContestants } from './contestants.mjs';
import { floor, rows } from './rows.mjs';

const [rowName, rounds, cap, builds, names] = process.argv.slice(2);
const row = rows[rowName];
const { count } = row;
const capMs = Number(cap) * 1_000;
const WARM_UP_MS = 500;
const WARM_UP_PASSES = 5;

const store = new AsyncLocalStorage();
const inContext = (way) => (row.inContext ? (n) => store.run({}, way, n) : way);

async function sample(way, n) {
  const before = process.cpuUsage();
  const start = performance.now();
  const sum = await way(n);
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  if (sum !== row.expected(n)) throw new Error(`${sum} instead of ${row.expected(n)}`);
  return { cpu: (user + system) / 1_000, wall };
}

/** Finds out who cannot finish: at a hundredth, then at a tenth of the row, and from these, whether the whole is worth it. */
async function probe(way) {
  let grown = 10;
  let last = 0;
  for (const n of [count / 100, count / 100, count / 10, count]) {
    const beside = await sample(bare, n);
    const { cpu, wall } = await sample(way, n);
    // Short passes tell of the compiler, not of growth.
    if (last > 20) grown = Math.max(wall / last, 10);
    last = wall;
    if (n < count && wall * (n === count / 10 ? grown : 10) > capMs) return { count: n, cpu, ratio: cpu / beside.cpu };
    if (wall > capMs) return { count: n, cpu, ratio: cpu / beside.cpu };
  }
  return undefined;
}

async function warmUp(way) {
  const end = performance.now() + WARM_UP_MS;
  for (let pass = 0; pass < WARM_UP_PASSES && performance.now() < end; pass++) await sample(way, count);
}

const bare = inContext(row.bare);
await warmUp(bare);

const contestants = (await loadContestants(JSON.parse(builds), names?.split(','))).filter(row.can);
// Only a plain queue has a floor: it knows neither groups nor priorities.
if (row.can(floor)) contestants.unshift(floor);

const entries = [];
for (const contestant of contestants) {
  const entry = { name: contestant.name, way: inContext(row.make(contestant)), samples: [] };
  entries.push(entry);
  try {
    entry.dropped = await probe(entry.way);
    if (entry.dropped === undefined) await warmUp(entry.way);
  } catch (error) {
    entry.failed = String(error);
  }
}

const inRace = entries.filter(({ dropped, failed }) => !dropped && !failed);
const seeded = makeRandom(1);
for (let round = 0; round < Number(rounds); round++) {
  for (const entry of shuffled(inRace)) {
    // One round in three is enough for those that take a quarter of the cap.
    if (entry.isSlow && round % 3 !== 0) continue;
    const before = await sample(bare, count);
    const { cpu, wall } = await sample(entry.way, count);
    const after = await sample(bare, count);
    const beside = Math.min(before.cpu, after.cpu);
    entry.samples.push({ cpu, bare: beside, ratio: cpu / beside });
    entry.isSlow = wall > capMs / 4;
  }
}

console.log(
  JSON.stringify(
    entries.map(({ name, samples, dropped, failed }) => ({ name, samples, dropped, failed })),
    (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
  ),
);

function shuffled(list) {
  return list
    .map((value) => ({ value, at: seeded() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** mulberry32 */
function makeRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
