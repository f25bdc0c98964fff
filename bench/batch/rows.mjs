// The rows: what is done with each of 10,000 items, ten at once. The work is one and the same function for everybody.

export const COUNT = 10_000;
export const LIMIT = 10;

const failure = new Error('one in ten');

export const rows = {
  immediate: {
    title: 'work that ends in the next microtask',
    work: async (item) => item + 1,
  },
  macrotask: {
    title: 'work that awaits a macrotask',
    work: (item) => new Promise((resolve) => setImmediate(resolve, item + 1)),
  },
  failing: {
    title: 'one in ten fails',
    work: async (item) => {
      if (item % 10 === 0) throw failure;
      return item + 1;
    },
  },
};

/** Workers over a shared cursor and a list of settled records: what one writes by hand. */
export async function bare(items, limit, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = { status: 'fulfilled', value: await work(items[index]) };
      } catch (reason) {
        results[index] = { status: 'rejected', reason };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}

/** Shows that all of it was done, and in order. */
export function digest(results) {
  let sum = results.length;
  for (let i = 0; i < results.length; i++) {
    const result = results[i];
    sum += result.status === 'fulfilled' ? result.value * ((i % 7) + 1) : result.reason === failure ? 3 : Number.NaN;
  }
  return sum;
}
