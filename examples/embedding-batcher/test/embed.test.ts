import { expect, test } from 'vitest';
import { connect, embedAll, embeddingUpstream, embedOneByOne, embedTexts } from '../src/embed.js';
import { type ServerOptions, serve, vectorsOf } from './support/server.js';
import { passages } from './support/texts.js';

async function setUp(options: ServerOptions = {}) {
  const { server, service } = await serve(options);
  return { server, service, api: connect(service), upstream: embeddingUpstream(3), stop: new AbortController() };
}

test('every passage is embedded once, in order, with three calls in flight', async () => {
  const { server, api, upstream, stop } = await setUp();
  const input = passages(205);
  const report = await embedAll(api, input, { upstream, size: 20, stop });

  expect(report.ok).toBe(true);
  expect(report.results.map(({ item }) => item)).toEqual(input);
  expect(report.values).toEqual(vectorsOf(input));
  expect(await server.stats()).toMatchObject({
    requests: 11,
    byStatus: { 200: 11 },
    counts: { embedded: 205 },
    peakInFlight: 3,
    inFlight: 0,
  });
});

test.each([10, 3])('the order holds and nothing is embedded twice when one call in %i fails', async (every) => {
  const { server, api, upstream, stop } = await setUp({ faults: { every, retryAfter: 0 } });
  const input = passages(300);
  const progress: number[] = [];
  const report = await embedAll(api, input, { upstream, size: 10, stop, onProgress: (done) => progress.push(done) });

  expect(report.values).toEqual(vectorsOf(input));
  expect(progress).toEqual(input.map((_, i) => i + 1));
  const { requests, byStatus, ...stats } = await server.stats();
  expect(stats).toMatchObject({ counts: { embedded: 300 }, peakInFlight: 3 });
  expect(byStatus[200]).toBe(30);
  expect(requests - 30).toBe(Math.floor(requests / every));
  expect(report.stats.calls).toBe(requests);
  expect(upstream.getMetrics().retry).toMatchObject({ calls: 30, retries: requests - 30, attempts: requests });
});

test('a call that got Retry-After stays away for that long, and the others go on meanwhile', async () => {
  const { server, api, upstream, stop } = await setUp({ faults: { every: 4 } });
  const input = passages(120);
  const report = await embedAll(api, input, { upstream, size: 10, stop });

  expect(report.ok).toBe(true);
  const { byStatus, cameBackAfterMs, tooEarly } = await server.stats();
  const rateLimited = byStatus[429] ?? 0;
  expect(rateLimited).toBeGreaterThan(0);
  expect(cameBackAfterMs).toHaveLength(rateLimited);
  expect(tooEarly).toBe(0);
  expect(Math.min(...cameBackAfterMs)).toBeGreaterThanOrEqual(1000);
  // Two or three waits of a second, one after the other, would not leave room for this.
  expect(report.stats.durationMs).toBeLessThan(1000 * rateLimited);
});

test('a question shares the slots with a batch that runs, and gets its turn', async () => {
  const { server, api, upstream, stop } = await setUp({ delay: 60 });
  const input = passages(240);
  let done = 0;
  const onProgress = (now: number) => {
    done = now;
  };
  const batch = embedAll(api, input, { upstream, size: 10, stop, onProgress });
  const question = { text: 'Which passage is about ferries?' };
  // Somebody waits for it, so it goes before the calls of the batch that wait too.
  const vectors = await embedTexts(api, upstream, [question.text], { priority: 'high' });

  expect(vectors).toEqual(vectorsOf([question]));
  expect(done).toBeLessThan(240);
  expect((await batch).values).toEqual(vectorsOf(input));
  expect(await server.stats()).toMatchObject({ requests: 25, peakInFlight: 3, counts: { embedded: 241 } });
});

test('a text that the API refuses costs its neighbours nothing', async () => {
  const { server, api, upstream, stop } = await setUp({ refuse: 'number 57 ' });
  const input = passages(100);
  const report = await embedAll(api, input, { upstream, size: 20, stop });

  expect(report.errors.map(({ item }) => item.id)).toEqual([57]);
  expect(report.values).toEqual(vectorsOf(input.filter(({ id }) => id !== 57)));
  expect((await server.stats()).counts.embedded).toBe(99);
});

test('a wrong key ends the run with the first answer and is not tried again', async () => {
  const { server, service, upstream, stop } = await setUp();
  const api = connect({ ...service, apiKey: 'wrong' });
  const report = await embedAll(api, passages(400), { upstream, size: 20, stop });

  expect(report.aborted).toBe(true);
  expect(stop.signal.reason).toMatchObject({ status: 401 });
  // The three that were in flight together.
  expect((await server.stats()).requests).toBeLessThanOrEqual(3);
});

test('a server that dies in the middle ends the run', async () => {
  const { server, api, upstream, stop } = await setUp({ delay: 50 });
  const report = await embedAll(api, passages(400), {
    upstream,
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

test('calls whose connection is cut are made again, and end nothing', async () => {
  const { server, api, upstream, stop } = await setUp({ faults: { every: 4, kinds: ['cut'] } });
  const input = passages(300);
  const report = await embedAll(api, input, { upstream, size: 10, stop });

  expect(report.values).toEqual(vectorsOf(input));
  const { requests, cut, counts } = await server.stats();
  expect(cut).toBe(Math.floor(requests / 4));
  expect(counts.embedded).toBe(300);
});

test('an abort stops within a turn: calls in flight are closed, none is started', async () => {
  const { server, api, upstream, stop } = await setUp({ delay: 500 });
  const running = embedAll(api, passages(200), { upstream, size: 20, stop });
  while ((await server.stats()).inFlight < 3) await new Promise(setImmediate);
  stop.abort(new Error('enough'));
  const report = await running;

  expect(report.stats).toMatchObject({ fulfilled: 0, skipped: 200 });
  while ((await server.stats()).inFlight > 0) await new Promise(setImmediate);
  expect(await server.stats()).toMatchObject({ requests: 3, byStatus: {}, closedEarly: 3 });
});

test('one by one makes the same calls, one at a time', async () => {
  const { server, api, stop } = await setUp({ faults: { every: 3, retryAfter: 0 } });
  const upstream = embeddingUpstream(1);
  await embedOneByOne(api, passages(100), { upstream, size: 10, stop });

  const { pool, retry } = upstream.getMetrics();
  const retries = retry?.retries ?? 0;
  expect(retries).toBeGreaterThan(2);
  expect(await server.stats()).toMatchObject({ counts: { embedded: 100 }, peakInFlight: 1, requests: 10 + retries });
  expect(pool).toMatchObject({ fulfilled: 10, failed: retries });
});
