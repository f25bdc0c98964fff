// What is measured: one call at a time, each awaited. Errors are made once: making one costs more than all of this.
const ok = async () => 1;
const transient = Object.assign(new Error('transient'), { status: 503 });

/** Fails twice, then succeeds, over and over. */
function makeFailingTwice() {
  let calls = 0;
  return async () => {
    calls++;
    if (calls % 3 !== 0) throw transient;
    return 1;
  };
}

async function threeTimesByHand(task) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

export const rows = {
  success: { title: 'success at once', count: 200_000, makeTask: () => ok, bare: (task) => task() },
  twice: {
    title: 'two failures, then success',
    count: 40_000,
    makeTask: makeFailingTwice,
    bare: threeTimesByHand,
    waits: true,
  },
  macrotask: {
    title: 'success after a macrotask',
    count: 40_000,
    makeTask: () => () => new Promise((resolve) => setImmediate(resolve, 1)),
    bare: (task) => task(),
  },
};
