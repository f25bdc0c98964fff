// The rows: what is done, by hand (`bare`) and through a contestant (`make`, which sets up what one would keep for the life of a
// process). Each way returns a number that shows all the work was done.
//
// The task is `async () => 1`: one and the same function for everybody. It is the smallest thing that is still a real task, so
// the figures show the library and little else; with real work in it all ratios shrink towards 1. Its promise and the reaction
// to it cannot be optimised away.

const LIMIT = 10;
const task = async () => 1;
const macrotask = () => new Promise((resolve) => setImmediate(resolve, 1));
const work = async (item) => item + 1;

/** Ten workers over a shared cursor: what one writes by hand when there is nothing to hand back. */
async function workers(start, count) {
  let next = 0;
  let sum = 0;
  const worker = async () => {
    while (next < count) {
      next++;
      const value = await start();
      sum += value;
    }
  };
  await Promise.all(Array.from({ length: LIMIT }, worker));
  return sum;
}

async function mapByHand(items) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: LIMIT }, worker));
  return total(results);
}

async function mapAsyncByHand(count) {
  const source = numbers(count);
  const results = [];
  let next = 0;
  const worker = async () => {
    for (let item = await source.next(); !item.done; item = await source.next()) {
      const index = next++;
      results[index] = await work(item.value);
    }
  };
  await Promise.all(Array.from({ length: LIMIT }, worker));
  return total(results);
}

/**
 * Everything is submitted before anything is awaited, then each result is awaited. Not `Promise.all`: its own closure and promise
 * for each task cost more than the fast libraries do, and hide them.
 */
async function submitAll(submit, count) {
  const promises = new Array(count);
  for (let i = 0; i < count; i++) promises[i] = submit(i);
  let sum = 0;
  for (const promise of promises) {
    const value = await promise;
    sum += value;
  }
  return sum;
}

function total(results) {
  let sum = 0;
  for (const result of results) sum += result;
  return sum;
}

async function* numbers(count) {
  for (let i = 0; i < count; i++) yield i;
}

const range = (count) => Array.from({ length: count }, (_, i) => i);
const afterEach = (count) => (count * (count + 1)) / 2;

const queued = {
  bare: (count) => workers(task, count),
  can: ({ limiter }) => limiter !== undefined,
  make({ limiter }) {
    const run = limiter(LIMIT);
    return (count) => submitAll(() => run(task), count);
  },
  expected: (count) => count,
};

const groups = (groupCount) => ({
  ...queued,
  can: (contestant) => contestant.groups !== undefined,
  make(contestant) {
    const run = contestant.groups(LIMIT);
    return (count) => submitAll((i) => run(task, i % groupCount), count);
  },
});

// `inParts`: measured too with parts of the library taken out.
export const rows = {
  queued: { title: 'all queued up front, limit 10', count: 100_000, inParts: true, ...queued },

  million: { title: 'the same', count: 1_000_000, isLong: true, ...queued },

  context: {
    title: 'the same, inside `AsyncLocalStorage.run`',
    count: 100_000,
    inContext: true,
    inParts: true,
    ...queued,
  },

  uncontended: {
    title: 'uncontended `await execute()`, one after the other',
    inParts: true,
    count: 100_000,
    async bare(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += await task();
      return sum;
    },
    can: queued.can,
    make({ limiter }) {
      const run = limiter(LIMIT);
      return async (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += await run(task);
        return sum;
      };
    },
    expected: queued.expected,
  },

  macrotask: {
    title: 'tasks that await a macrotask (`setImmediate`)',
    count: 20_000,
    bare: (count) => workers(macrotask, count),
    can: queued.can,
    make({ limiter }) {
      const run = limiter(LIMIT);
      return (count) => submitAll(() => run(macrotask), count);
    },
    expected: queued.expected,
  },

  map: {
    title: '`map` over an array',
    inParts: true,
    count: 100_000,
    bare: (count) => mapByHand(range(count)),
    can: ({ map }) => map !== undefined,
    make:
      ({ map }) =>
      async (count) =>
        total(await map(range(count), LIMIT, work)),
    expected: afterEach,
  },

  mapAsync: {
    title: '`map` over an async iterable',
    inParts: true,
    count: 20_000,
    bare: mapAsyncByHand,
    can: ({ mapAsync }) => mapAsync === true,
    make:
      ({ map }) =>
      async (count) =>
        total(await map(numbers(count), LIMIT, work)),
    expected: afterEach,
  },

  priorities: {
    title: 'over three priorities',
    count: 100_000,
    ...queued,
    can: ({ priorities }) => priorities !== undefined,
    make({ priorities }) {
      const run = priorities(LIMIT);
      return (count) => submitAll((i) => run(task, i % 3), count);
    },
  },

  groups: { title: 'over 1k groups', count: 100_000, ...groups(1_000) },

  manyGroups: { title: 'over 10k groups', count: 1_000_000, isLong: true, ...groups(10_000) },

  signal: {
    title: 'all on one signal',
    count: 100_000,
    ...queued,
    can: ({ signal }) => signal !== undefined,
    make(contestant) {
      const run = contestant.signal(LIMIT, new AbortController().signal);
      return (count) => submitAll(() => run(task), count);
    },
  },

  mapSignal: {
    title: '`map` over an array, with a signal',
    count: 100_000,
    bare: (count) => mapByHand(range(count)),
    can: ({ mapSignal }) => mapSignal !== undefined,
    make({ mapSignal }) {
      const { signal } = new AbortController();
      return async (count) => total(await mapSignal(range(count), LIMIT, work, signal));
    },
    expected: afterEach,
  },
};

/**
 * What no limiter with this surface can beat: the hand-written workers, with one promise for each caller, and nothing else
 * (no errors, no context, no abort, no counters).
 */
export const floor = {
  name: 'floor',
  limiter(limit) {
    let running = 0;
    const waiting = [];
    let next = 0;
    const drain = async () => {
      running++;
      while (next < waiting.length) {
        const { start, resolve } = waiting[next];
        waiting[next++] = undefined;
        resolve(await start());
      }
      running--;
    };
    return (start) =>
      new Promise((resolve) => {
        waiting.push({ start, resolve });
        if (running < limit) void drain();
      });
  },
};
