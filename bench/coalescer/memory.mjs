// Bytes for each stored key: node --expose-gc memory.mjs <name> <builds as JSON>. One process each; prints JSON. Keys and values are not
// counted, as they are made before.
//
//   live   while it may be served
//   left   once its time is over and nobody touched it, but for a sweep's rest
import { handWritten, loadContestants } from './contestants.mjs';

const COUNT = 100_000;
const TTL = 8_000;
const REST = 1_500;

const [name, builds] = process.argv.slice(2);
const { make } = name === 'by hand' ? { make: handWritten } : (await loadContestants(JSON.parse(builds), [name]))[0];
const keys = Array.from({ length: COUNT }, (_, i) => `user:${i}`);
// A string that was looked up keeps its hash; one that was joined is flat then.
const looked = new Set(keys);
const load = async () => 1;

const small = make({ load, ttl: TTL, max: 10 });
await small.get('small');
const before = used();
const cache = make({ load, ttl: TTL, max: 2 * COUNT });
const start = performance.now();
for (const key of keys) await cache.get(key);
await new Promise((resolve) => setTimeout(resolve, 100));
const live = used() - before;
if (performance.now() - start > TTL) throw new Error('the first was over before the last was stored');
await new Promise((resolve) => setTimeout(resolve, TTL + REST));
const left = used() - before;
console.log(JSON.stringify({ live: Math.round(live / COUNT), left: Math.round(left / COUNT) }));
// What was measured is alive until here.
process.exit(looked.size === COUNT && typeof cache.get === 'function' ? 0 : 1);

function used() {
  for (let i = 0; i < 4; i++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}
