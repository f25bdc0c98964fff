// Each primitive once, on whatever runtime this is. Plain JavaScript with an assertion of its own, so that one file runs
// under Node, Bun, Deno and inside a Worker.
import {
  BackgroundTasks,
  batchAllSettled,
  chunkAllSettled,
  fireAndForget,
  gatherAllSettled,
  PromisePool,
  RequestCoalescer,
  retryWithBackoff,
} from 'paceline';
import { gateLaws } from 'paceline/testing';

// Edge runtimes forbid timers, clocks and chance at module scope: constructing must need none.
const pool = new PromisePool({ concurrency: 2, queueTimeout: 5_000, timeout: 5_000 });
const coalescer = new RequestCoalescer({ ttl: 60_000 });
const background = new BackgroundTasks({ concurrency: 2 });

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`Expected ${b}, got ${a}`);
}

export const checks = {
  async 'a pool holds its limit and keeps the order'() {
    let running = 0;
    let peak = 0;
    const results = await pool.map([30, 20, 10, 5], async (ms) => {
      peak = Math.max(peak, ++running);
      await sleep(ms);
      running--;
      return ms;
    });
    equal(results, [30, 20, 10, 5]);
    equal(peak, 2);
  },

  async 'a task that is aborted rejects with the reason itself'() {
    const controller = new AbortController();
    const reason = new Error('enough');
    const promise = pool.execute(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
      { signal: controller.signal },
    );
    setTimeout(() => controller.abort(reason), 5);
    equal(await promise.catch((error) => error === reason), true);
  },

  async 'callers with one key share one load'() {
    let loads = 0;
    const load = async () => {
      loads++;
      await sleep(5);
      return 'value';
    };
    const values = await Promise.all([coalescer.execute('k', load), coalescer.execute('k', load)]);
    equal([...values, await coalescer.execute('k', load), loads], ['value', 'value', 'value', 1]);
  },

  async 'a batch keeps every outcome'() {
    const { ok, results } = await batchAllSettled([1, 2, 3], async (n) => {
      if (n === 2) throw new Error('two');
      return n * 10;
    });
    equal([ok, ...results.map((result) => result.status)], [false, 'fulfilled', 'rejected', 'fulfilled']);
  },

  async 'a chunk answers for each of its items'() {
    let calls = 0;
    const { values } = await chunkAllSettled(
      ['a', 'bb', 'ccc'],
      async (chunk) => {
        calls++;
        return chunk.map((text) => text.length);
      },
      { size: 2 },
    );
    equal([calls, values], [2, [1, 2, 3]]);
  },

  async 'named tasks are gathered'() {
    const { values, ok } = await gatherAllSettled({
      one: async () => 1,
      two: () => {
        throw new Error('no');
      },
    });
    equal([ok, values.one, values.two ?? null], [false, 1, null]);
  },

  async 'a failing call is tried again'() {
    const attempts = await retryWithBackoff(
      ({ attempt }) => {
        if (attempt < 3) throw Object.assign(new Error('busy'), { status: 503, headers: { 'retry-after-ms': '1' } });
        return attempt;
      },
      { maxAttempts: 3 },
    );
    equal(attempts, 3);
  },

  async 'detached work is reported, drained and never unhandled'() {
    const errors = [];
    background.run(
      async () => {
        throw new Error('lost');
      },
      { onError: (error) => errors.push(error.message) },
    );
    const outcome = await fireAndForget(() => sleep(5)).done;
    await background.drain();
    equal([outcome.status, errors], ['fulfilled', ['lost']]);
  },

  async 'a pool keeps the laws of gates'() {
    for (const law of gateLaws(() => ({ gate: new PromisePool({ concurrency: 2 }), capacity: 2 }))) await law.run();
  },
};
