// What the cases are written with.

class Wrong extends Error {}
export const isWrong = (error) => error instanceof Wrong;
export const wrong = (what) => new Wrong(what);
export const check = (condition, what) => {
  if (!condition) throw wrong(what);
};

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const outcome = (promise) =>
  Promise.resolve(promise).then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
/** A get that throws at once is no promise. */
export const ask = (cache, key, options) => {
  try {
    return outcome(cache.get(key, options));
  } catch {
    throw wrong('throws at once');
  }
};
const PATIENCE = 1500;
export const within = (promise, what = 'hangs', ms = PATIENCE) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(wrong(what)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
export const settled = async (promise) => {
  let done = false;
  promise.then(() => {
    done = true;
  });
  await sleep(20);
  return done;
};

/** A loader whose calls are answered by hand. */
export function byHand() {
  const calls = [];
  const load = (key, context) =>
    new Promise((resolve, reject) => {
      calls.push({ key, resolve, reject, ...context });
    });
  const reach = async (count) => {
    for (let turn = 0; calls.length < count && turn < 50; turn++) await sleep(2);
    return calls.length;
  };
  return { calls, load, reach };
}

/** A loader that answers v1, v2, ... after `ms`. */
export function counting(ms = 0) {
  const loader = {
    count: 0,
    load: async () => {
      const value = `v${++loader.count}`;
      if (ms > 0) await sleep(ms);
      return value;
    },
  };
  return loader;
}

export const loadsAre = (actual, expected) =>
  check(actual === expected, `${actual} ${actual === 1 ? 'load' : 'loads'}`);
export const valueIs = (got, expected, what) => {
  check(!('error' in got), 'rejects');
  check(got.value === expected, what ?? `got ${got.value}`);
};
