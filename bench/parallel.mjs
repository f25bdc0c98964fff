// npm run bench: what running at once is worth. The same simulated calls one after the other and through the library, in turn, a
// few rounds; wall time, medians. No rivals, no network: for those, `npm run bench:pool`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROUNDS = 3;
const CALLS = 60;
const AT_ONCE = 10;
const CHUNK = 10;
/** How many different things are asked for, where things are asked for twice. */
const KEYS = 12;

const root = fileURLToPath(new URL('..', import.meta.url));
if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  spawnSync('npm', ['run', 'build'], { cwd: root, stdio: 'inherit' });
}
const { PromisePool, RequestCoalescer, batchAllSettled, chunkAllSettled } = await import('../dist/index.js');

const calls = Array.from({ length: CALLS }, (_, id) => ({ id, key: id % KEYS, latency: latency(id) }));

/** 20 to 60 ms, always the same for a call. */
function latency(id) {
  return 20 + ((Math.imul(id + 1, 0x9e3779b1) >>> 8) % 41);
}

let asked = 0;
async function upstream(answer, ms) {
  asked++;
  await new Promise((resolve) => setTimeout(resolve, ms));
  return answer;
}
const one = ({ id, latency }) => upstream(id, latency);
const many = (chunk) =>
  upstream(
    chunk.map(({ id }) => id),
    Math.max(...chunk.map(({ latency }) => latency)),
  );
const byKey = (key) => upstream(key, latency(key));

async function inTurn(list, ask) {
  const answers = [];
  for (const item of list) answers.push(await ask(item));
  return answers;
}

const ids = calls.map(({ id }) => id);
const keys = calls.map(({ key }) => key);

const lines = [
  { title: `one after the other`, run: () => inTurn(calls, one), expected: ids },
  {
    title: `PromisePool.map, ${AT_ONCE} at once`,
    run: () => new PromisePool({ concurrency: AT_ONCE }).map(calls, one),
    expected: ids,
  },
  {
    title: `batchAllSettled, ${AT_ONCE} at once`,
    run: async () => (await batchAllSettled(calls, one, { concurrency: AT_ONCE })).unwrap(),
    expected: ids,
  },
  {
    title: `chunkAllSettled, ${CHUNK} a call, 3 at once`,
    run: async () => (await chunkAllSettled(calls, many, { size: CHUNK, concurrency: 3 })).unwrap(),
    expected: ids,
  },
  { title: `${KEYS} keys, asked one after the other`, run: () => inTurn(keys, byKey), expected: keys, isBase: true },
  {
    title: `${KEYS} keys, RequestCoalescer, all at once`,
    run() {
      const coalescer = new RequestCoalescer({ name: 'bench' });
      return Promise.all(keys.map((key) => coalescer.execute(key, () => byKey(key))));
    },
    expected: keys,
  },
].map((line) => ({ ...line, times: [], asked: 0 }));

for (let round = 0; round < ROUNDS; round++) {
  for (const line of lines) {
    asked = 0;
    const start = performance.now();
    const answers = await line.run();
    line.times.push(performance.now() - start);
    line.asked = asked;
    if (answers.join() !== line.expected.join()) throw new Error(`${line.title}: wrong answers`);
  }
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const rows = [];
let base = 0;
for (const { title, times, asked, isBase } of lines) {
  const ms = median(times);
  if (base === 0 || isBase) base = ms;
  rows.push([title, String(asked), `${ms.toFixed(0)} ms`, `${(base / ms).toFixed(1)}x`]);
}

console.log(
  `${CALLS} calls of 20 to 60 ms. Node ${process.versions.node}, load ${loadavg()[0].toFixed(1)}, medians of ${ROUNDS}.\n`,
);
for (const [title, calls, ms, ratio] of [['', 'calls', 'time', 'faster'], ...rows]) {
  console.log(`${title.padEnd(40)}${calls.padStart(6)}${ms.padStart(10)}${ratio.padStart(8)}`);
}
