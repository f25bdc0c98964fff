// What speed must not cost: node correctness.mjs <builds as JSON>. Prints JSON: name -> check -> true, false or null (not offered).
// In its own process: using an AsyncLocalStorage slows every `await` of a process on Node 20.
import { AsyncLocalStorage } from 'node:async_hooks';
import { loadContestants } from './contestants.mjs';

const LIMIT = 2;
const PATIENCE_MS = 2_000;
const later = (value) => new Promise((resolve) => setTimeout(resolve, 2, value));
const outcome = (promise) =>
  promise.then(
    (value) => ({ value }),
    (reason) => ({ reason }),
  );

/** A library's one way to run tasks, as a function of all tasks: a promise for the outcome of each. */
function all({ limiter, map }) {
  if (limiter === undefined) return (tasks) => map(tasks, LIMIT, (task) => task());
  return (tasks) => {
    const run = limiter(LIMIT);
    return Promise.all(tasks.map((task) => run(task)));
  };
}

/** For checks of what one failing task does: its own outcome, and whether the limiter still works then. */
async function failsAlone({ limiter, map }, failing, isRight) {
  if (limiter === undefined) {
    return isRight(await outcome(map([failing], LIMIT, (task) => task())));
  }
  const run = limiter(LIMIT);
  // Three: were the slots lost, the last one would never run. The second and third have waited.
  const outcomes = await Promise.all([later, failing, failing, failing, later].map((task) => outcome(run(task))));
  return outcomes.slice(1, 4).every(isRight) && 'value' in outcomes[4];
}

const checks = {
  /** A task that waited sees the AsyncLocalStorage of whoever submitted it. */
  async context({ limiter, map }) {
    const store = new AsyncLocalStorage();
    const numbers = [0, 1, 2, 3, 4, 5, 6, 7];
    const task = async () => {
      const atStart = store.getStore();
      await later();
      return [atStart, store.getStore()];
    };
    if (limiter === undefined) {
      const seen = await store.run('mine', () => map(numbers, LIMIT, task));
      return seen.every(([a, b]) => a === 'mine' && b === 'mine');
    }
    const run = limiter(LIMIT);
    const seen = await Promise.all(numbers.map((n) => store.run(n, () => run(task))));
    return seen.every(([a, b], n) => a === n && b === n);
  },

  /** A task that throws before it returns a promise is a rejection with that error, and frees its slot. */
  syncThrow(contestant) {
    const error = new Error('thrown');
    const throws = () => {
      throw error;
    };
    return failsAlone(contestant, throws, (result) => result.reason === error);
  },

  /** A task may return what is no promise. */
  async plainValue(contestant) {
    const values = await all(contestant)([() => 1, () => 2, () => 3]);
    return values.join() === '1,2,3';
  },

  /** A thenable is waited for. */
  async thenable(contestant) {
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    const thenable = (value) => ({ then: (resolve) => setTimeout(resolve, 2, value) });
    const values = await all(contestant)([1, 2, 3].map((value) => () => thenable(value)));
    return values.join() === '1,2,3';
  },

  /** One failure is told to its caller alone. */
  async isolation({ limiter }) {
    if (limiter === undefined) return null;
    const run = limiter(LIMIT);
    const errors = Array.from({ length: 9 }, (_, i) => new Error(String(i)));
    const tasks = errors.map((error, i) => async () => {
      await later();
      if (i % 3 === 1) throw error;
      return i;
    });
    const outcomes = await Promise.all(tasks.map((task) => outcome(run(task))));
    return outcomes.every(({ value, reason }, i) => (i % 3 === 1 ? reason === errors[i] : value === i));
  },

  /** Rejecting with undefined, null, 0, '' or false is rejecting with it. */
  async falsyReason(contestant) {
    for (const reason of [undefined, null, 0, '', false]) {
      const rejects = () => Promise.reject(reason);
      if (!(await failsAlone(contestant, rejects, (result) => 'reason' in result && result.reason === reason)))
        return false;
    }
    return true;
  },

  /** Tasks start in the order in which they were submitted; one submitted by a finished task does not overtake. */
  async fifo({ limiter, map }) {
    const started = [];
    const note = (n) => async () => {
      started.push(n);
      await later();
    };
    if (limiter === undefined) {
      await map([0, 1, 2, 3, 4, 5], LIMIT, (n) => note(n)());
    } else {
      const run = limiter(LIMIT);
      const first = run(note(0)).then(() => run(note(5)));
      await Promise.all([first, ...[1, 2, 3, 4].map((n) => run(note(n)))]);
    }
    return started.join() === '0,1,2,3,4,5';
  },

  /** Never more than the limit at once, and the limit is used. */
  async limit(contestant) {
    let running = 0;
    let most = 0;
    const task = async () => {
      most = Math.max(most, ++running);
      // Long: some start their tasks from timers, one by one.
      await new Promise((resolve) => setTimeout(resolve, 25));
      running--;
    };
    await all(contestant)(Array(12).fill(task));
    return most === LIMIT;
  },
};

let unhandled = 0;
process.on('unhandledRejection', () => unhandled++);
process.on('uncaughtException', () => unhandled++);

const verdicts = {};
for (const { name, ...contestant } of await loadContestants(JSON.parse(process.argv[2]))) {
  verdicts[name] = {};
  for (const [check, isRight] of Object.entries(checks)) {
    unhandled = 0;
    const verdict = await Promise.race([attempt(isRight, contestant), later().then(() => tooLate())]);
    await later();
    verdicts[name][check] = verdict === true ? unhandled === 0 : verdict;
  }
}
console.log(JSON.stringify(verdicts));
process.exit();

async function attempt(isRight, contestant) {
  try {
    return await isRight(contestant);
  } catch {
    return false;
  }
}

function tooLate() {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, false));
}
