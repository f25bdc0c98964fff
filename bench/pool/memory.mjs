// What a queued task costs: node --expose-gc memory.mjs <heap|made|promises> <name> <builds as JSON>. One process each; prints JSON.
//
//   heap      bytes held for each task that waits, and what is left of them when all are done
//   made      bytes allocated for each task from its submission until its caller has the answer. The young generation is so large
//             (flags in run.mjs) that nothing is collected meanwhile; if something is, there is no figure.
//   promises  promises made for each task in that time, as async_hooks sees them: the task's own, and the one that the caller's
//             `await` makes, included. It is exact.
import { createHook } from 'node:async_hooks';
import { PerformanceObserver } from 'node:perf_hooks';
import { loadContestants } from './contestants.mjs';

const [what, name, builds] = process.argv.slice(2);
const LIMIT = 10;
const SLOW = ['cockatiel', 'effect', 'bottleneck'];
const task = async () => 1;
const turn = () => new Promise((resolve) => setImmediate(resolve));

const kinds = { heap, made, promises };
const answer = name === 'bare' ? await kinds[what](undefined) : await kinds[what](await limiterOf(name));
console.log(JSON.stringify(answer));

async function limiterOf(name) {
  const [{ limiter }] = await loadContestants(JSON.parse(builds), [name]);
  return limiter(LIMIT);
}

/** Takes all slots; the function it returns gives them back. */
async function block(run) {
  const { promise, resolve } = Promise.withResolvers?.() ?? withResolvers();
  const holders = Array.from({ length: LIMIT }, () => run(() => promise));
  await turn();
  return async () => {
    resolve(0);
    await Promise.all(holders);
  };
}

async function heap(run) {
  // Those that are quadratic would not come to an end.
  const count = SLOW.includes(name) ? 5_000 : 100_000;
  await pass(run, 1_000);
  const release = await block(run);
  const promises = new Array(count).fill(undefined);
  const before = used();
  for (let i = 0; i < count; i++) promises[i] = run(task);
  await turn();
  const waiting = used() - before;
  await release();
  for (let i = 0; i < count; i++) {
    await promises[i];
    promises[i] = undefined;
  }
  await turn();
  return { waiting: Math.round(waiting / count), left: Math.round((used() - before) / count) };
}

async function made(run) {
  const count = 2_000;
  await pass(run, count);
  await pass(run, count);
  let collections = 0;
  new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  }).observe({ entryTypes: ['gc'] });
  globalThis.gc();
  await turn();
  await turn();
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  await pass(run, count);
  const after = process.memoryUsage().heapUsed;
  await turn();
  await turn();
  return { made: collections > 0 ? null : Math.round((after - before) / count) };
}

async function promises(run) {
  // The slots' holders weigh nothing among so many; the slow ones would not come to an end.
  const count = SLOW.includes(name) ? 1_000 : 10_000;
  await pass(run, count);
  let made = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') made++;
    },
  });
  hook.enable();
  await pass(run, count);
  hook.disable();
  return { promises: Number((made / count).toFixed(1)) };
}

/** All are queued behind full slots, as far as there is a queue; then each is awaited. */
async function pass(run, count) {
  if (run === undefined) {
    for (let i = 0; i < count; i++) await task();
    return;
  }
  const release = await block(run);
  const promises = new Array(count);
  for (let i = 0; i < count; i++) promises[i] = run(task);
  await release();
  for (const promise of promises) await promise;
}

function used() {
  for (let i = 0; i < 4; i++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

/** Node 20 has none. */
function withResolvers() {
  let resolve;
  const promise = new Promise((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}
