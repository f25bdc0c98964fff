import { PromisePool } from 'paceline';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../src/api.js';
import { embedAll, embedOneByOne } from '../src/embed.js';
import { LocalServer, type ServerOptions } from '../src/server/start.js';
import { trigramVector } from '../src/server/trigrams.js';
import { passages } from './support/texts.js';

let server: LocalServer;
afterEach(() => server.stop());

async function serve(options: ServerOptions = {}) {
  server = await LocalServer.start({ embedder: 'trigrams', delay: 20, failEvery: 0, ...options });
  const pool = new PromisePool({ name: 'test', concurrency: 3 });
  return { api: connect(server), pool, stop: new AbortController() };
}

/** The vectors that the passages must end up with, as the wire's float32 leaves them. */
const vectorsOf = (texts: readonly { text: string }[]) =>
  texts.map(({ text }) => [...new Float32Array(trigramVector(text))]);

test('every passage is embedded once, in order, with three calls in flight', async () => {
  const { api, pool, stop } = await serve();
  const input = passages(205);
  const report = await embedAll(api, input, { pool, size: 20, stop });

  expect(report.ok).toBe(true);
  expect(report.results.map(({ item }) => item)).toEqual(input);
  expect(report.values).toEqual(vectorsOf(input));
  expect(await server.stats()).toMatchObject({ calls: 11, answered: 11, passages: 205, peakInFlight: 3, inFlight: 0 });
});

test.each([10, 3])('the order holds and nothing is embedded twice when one call in %i fails', async (failEvery) => {
  const { api, pool, stop } = await serve({ failEvery, retryAfter: 0 });
  const input = passages(300);
  const progress: number[] = [];
  const report = await embedAll(api, input, { pool, size: 10, stop, onProgress: (done) => progress.push(done) });

  expect(report.values).toEqual(vectorsOf(input));
  expect(progress).toEqual(input.map((_, i) => i + 1));
  const stats = await server.stats();
  expect(stats).toMatchObject({ answered: 30, passages: 300, peakInFlight: 3 });
  expect(stats.rateLimited + stats.broken).toBe(Math.floor(stats.calls / failEvery));
  expect(report.stats).toMatchObject({ calls: stats.calls, retries: stats.calls - 30 });
});

test('a call that got Retry-After stays away for that long, and the others go on meanwhile', async () => {
  const { api, pool, stop } = await serve({ failEvery: 4, retryAfter: 1 });
  const input = passages(120);
  const report = await embedAll(api, input, { pool, size: 10, stop });

  expect(report.ok).toBe(true);
  const { rateLimited, cameBackAfterMs, tooEarly } = await server.stats();
  expect(rateLimited).toBeGreaterThan(0);
  expect(cameBackAfterMs).toHaveLength(rateLimited);
  expect(tooEarly).toBe(0);
  expect(Math.min(...cameBackAfterMs)).toBeGreaterThanOrEqual(1000);
  // Two or three waits of a second, one after the other, would not leave room for this.
  expect(report.stats.durationMs).toBeLessThan(1000 * rateLimited);
});

test('a text that the API refuses costs its neighbours nothing', async () => {
  const { api, pool, stop } = await serve({ refuse: 'number 57 ' });
  const input = passages(100);
  const report = await embedAll(api, input, { pool, size: 20, stop });

  expect(report.errors.map(({ item }) => item.id)).toEqual([57]);
  expect(report.values).toEqual(vectorsOf(input.filter(({ id }) => id !== 57)));
  expect((await server.stats()).passages).toBe(99);
});

test('a wrong key ends the run with the first answer and is not tried again', async () => {
  const { pool, stop } = await serve();
  const api = connect({ baseURL: server.baseURL, apiKey: 'wrong', model: 'local' });
  const report = await embedAll(api, passages(400), { pool, size: 20, stop });

  expect(report.aborted).toBe(true);
  expect(stop.signal.reason).toMatchObject({ status: 401 });
  // The three that were in flight together.
  expect((await server.stats()).calls).toBeLessThanOrEqual(3);
});

test('a server that dies in the middle ends the run', async () => {
  const { api, pool, stop } = await serve({ delay: 50 });
  const report = await embedAll(api, passages(400), {
    pool,
    size: 20,
    stop,
    onProgress: (done) => {
      if (done === 100) void server.stop();
    },
  });

  expect(report.aborted).toBe(true);
  expect(report.values.length).toBeGreaterThanOrEqual(100);
  expect(report.values.length).toBeLessThan(400);
  expect(String(stop.signal.reason)).toContain('Connection error');
});

test('an abort stops within a turn: calls in flight are closed, none is started', async () => {
  const { api, pool, stop } = await serve({ delay: 500 });
  const running = embedAll(api, passages(200), { pool, size: 20, stop });
  while ((await server.stats()).inFlight < 3) await new Promise(setImmediate);
  stop.abort(new Error('enough'));
  const report = await running;

  expect(report.stats).toMatchObject({ fulfilled: 0, skipped: 200 });
  while ((await server.stats()).inFlight > 0) await new Promise(setImmediate);
  expect(await server.stats()).toMatchObject({ calls: 3, answered: 0, abandoned: 3 });
});

test('one by one makes the same calls, one at a time', async () => {
  const { api, stop } = await serve({ failEvery: 3, retryAfter: 0 });
  const pool = new PromisePool({ name: 'test', concurrency: 1 });
  const retries = await embedOneByOne(api, passages(100), { pool, size: 10, stop });

  expect(await server.stats()).toMatchObject({ answered: 10, passages: 100, peakInFlight: 1, calls: 10 + retries });
  expect(pool.getMetrics()).toMatchObject({ fulfilled: 10, failed: retries });
});
