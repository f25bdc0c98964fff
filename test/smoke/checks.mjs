// Each primitive once, on whatever runtime this is. Plain JavaScript with an assertion of its own, so that one file runs
// under Node, Bun, Deno and inside a Worker.
import {
  BackgroundTasks,
  batchAllSettled,
  CircuitBreaker,
  chunkAllSettled,
  fireAndForget,
  gatherAllSettled,
  PromisePool,
  RateLimiter,
  RequestCoalescer,
  RetryBudget,
  RetryPolicy,
  retryWithBackoff,
  StreamCoalescer,
  streamSettled,
  Upstream,
} from 'paceline';
import { gateLaws } from 'paceline/testing';

// Edge runtimes forbid timers, clocks and chance at module scope: constructing must need none.
const pool = new PromisePool({ concurrency: 2, queueTimeout: 5_000, timeout: 5_000 });
const coalescer = new RequestCoalescer({ ttl: 60_000 });
const background = new BackgroundTasks({ concurrency: 2 });
const streams = new StreamCoalescer({ ttl: 60_000 });
const policy = new RetryPolicy({ baseDelay: 1, budget: new RetryBudget() });
const breaker = new CircuitBreaker({ consecutiveFailures: 2, openFor: 60_000 });
const upstream = new Upstream({
  name: 'smoke',
  timeout: 5_000,
  coalesce: { ttl: 60_000 },
  retry: policy,
  breaker: {},
  pool: { concurrency: 2, rateLimit: new RateLimiter({ limit: 100, interval: 1_000 }) },
});

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

  async 'readers with one key share one stream'() {
    let opened = 0;
    async function* open() {
      opened++;
      for (let i = 0; i < 3; i++) {
        await sleep(1);
        yield i;
      }
    }
    const read = async () => {
      const all = [];
      for await (const chunk of streams.stream('k', open)) all.push(chunk);
      return all;
    };
    equal(
      [await Promise.all([read(), read()]), await read(), opened],
      [
        [
          [0, 1, 2],
          [0, 1, 2],
        ],
        [0, 1, 2],
        1,
      ],
    );
  },

  async 'a batch is read as a stream'() {
    const all = [];
    for await (const { status } of streamSettled([1, 2, 3], (n) => (n === 2 ? Promise.reject(new Error('two')) : n)))
      all.push(status);
    equal(all, ['fulfilled', 'rejected', 'fulfilled']);
  },

  async 'a breaker opens and refuses'() {
    const fail = async () => {
      throw new Error('down');
    };
    for (let i = 0; i < 2; i++) await breaker.execute(fail).catch(() => {});
    const error = await breaker.execute(fail).catch((reason) => reason);
    equal([breaker.state, error.code], ['open', 'CIRCUIT_OPEN']);
  },

  async 'an upstream shares, repeats and streams'() {
    const task = async ({ attempt }) => {
      if (attempt < 3) throw Object.assign(new Error('busy'), { status: 503 });
      return attempt;
    };
    equal(await Promise.all([upstream.execute(task, { key: 'k' }), upstream.execute(task, { key: 'k' })]), [3, 3]);
    const chunks = [];
    async function* open() {
      yield 1;
      yield 2;
    }
    for await (const chunk of upstream.stream(open)) chunks.push(chunk);
    const { calls, retry } = upstream.getMetrics();
    equal([chunks, calls, retry.retries], [[1, 2], 3, 2]);
  },

  async 'a pool keeps the laws of gates'() {
    for (const law of gateLaws(() => ({ gate: new PromisePool({ concurrency: 2 }), capacity: 2 }))) await law.run();
  },
};
