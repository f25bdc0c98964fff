import { expect, test } from 'vitest';
import { startUpstream } from '../src/index.js';
import { serve, until } from './support/serve.js';

const keys = { authorization: `Basic ${btoa('ck_local:cs_local')}` };
const ask = (url: string, search = '') => fetch(`${url}/wp-json/wc/v3/products?search=${search}`, { headers: keys });

test('what is in flight is counted, in all and by route', async () => {
  const server = await serve('shop', { weather: { latency: 300 } });
  const answers = Array.from({ length: 20 }, (_, i) => ask(server.url, `${i}`));
  await until(async () => (await server.stats()).inFlight === 20);
  await Promise.all(answers);
  const { routes, ...stats } = await server.stats();
  expect(stats).toMatchObject({ requests: 20, inFlight: 0, peakInFlight: 20, byStatus: { 200: 20 }, closedEarly: 0 });
  expect(routes).toMatchObject({ 'GET /wp-json/wc/v3/products': { requests: 20, peakInFlight: 20 } });
});

test('every request ends in one counter', async () => {
  const kinds = ['rate-limited', 'broken', 'unavailable', 'hang', 'cut', 'stall'] as const;
  const server = await serve('shop', { weather: { latency: 10, faults: { rate: 0.6, kinds } } });
  await Promise.allSettled(
    Array.from({ length: 120 }, (_, i) =>
      fetch(`${server.url}/wp-json/wc/v3/products?search=${i}`, { headers: keys, signal: AbortSignal.timeout(500) }),
    ),
  );
  await until(async () => (await server.stats()).inFlight === 0);
  const { requests, byStatus, closedEarly, cut } = await server.stats();
  expect(Object.keys(byStatus)).toEqual(['200', '429', '500', '503']);
  expect(closedEarly).toBeGreaterThan(0);
  expect(cut).toBeGreaterThan(0);
  expect(Object.values(byStatus).reduce((a, b) => a + b) + closedEarly + cut).toBe(requests);
});

test('two servers with one seed answer the same requests with the same faults', async () => {
  const weather = { seed: 3, faults: { rate: 0.4 } };
  const [one, other] = await Promise.all([serve('shop', { weather }), serve('shop', { weather })]);
  const searches = Array.from({ length: 30 }, (_, i) => `word${i}`);
  const ofOne: Record<string, number> = {};
  for (const search of searches) ofOne[search] = (await ask(one.url, search)).status;
  const ofOther = await Promise.all(
    searches.toReversed().map(async (search) => [search, (await ask(other.url, search)).status]),
  );
  expect(Object.fromEntries(ofOther)).toEqual(ofOne);
  expect(new Set(Object.values(ofOne))).toEqual(new Set([200, 429, 500]));
});

test('who comes back before Retry-After has passed is noted', async () => {
  const server = await serve('shop', { weather: { faults: { every: 2, kinds: ['rate-limited'], retryAfter: 200 } } });
  await ask(server.url, 'first');
  for (const [search, wait] of [
    ['early', 0],
    ['late', 220],
  ] as const) {
    expect((await ask(server.url, search)).status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, wait));
    expect((await ask(server.url, search)).status).toBe(200);
  }
  const { cameBackAfterMs, tooEarly } = await server.stats();
  expect(cameBackAfterMs).toHaveLength(2);
  expect(cameBackAfterMs[1]).toBeGreaterThanOrEqual(200);
  expect(tooEarly).toBe(1);
});

test('a server that was killed refuses connections, and is back on the same port with the same weather', async () => {
  const server = await serve('shop', {});
  const { url } = server;
  await server.setWeather({ outage: 'unavailable' });
  let died = false;
  void server.died.then(() => {
    died = true;
  });
  await server.kill();
  await expect(ask(url)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  await server.restart();
  expect(server.url).toBe(url);
  expect((await ask(url)).status).toBe(503);
  expect(await server.stats()).toMatchObject({ requests: 1, byStatus: { 503: 1 } });
  expect(died).toBe(false);
});

test('a death that nobody asked for is told, and what was in flight is cut', async () => {
  const server = await serve('shop', { weather: { outage: 'hang' } });
  const answer = ask(server.url);
  await until(async () => (await server.stats()).inFlight === 1);
  process.kill(server.pid ?? 0, 'SIGKILL');
  await expect(answer).rejects.toThrow('fetch failed');
  expect(await server.died).toBe('exit SIGKILL');
});

test('a command that makes no sense is told, and ends nothing', async () => {
  const other = await serve('llm', { embedder: 'trigrams' });
  await expect(other.control('warm', { input: 5 })).rejects.toThrow('map is not a function');
  await expect(other.control('storm', {})).rejects.toThrow('No command `POST storm`');
  expect((await other.stats()).requests).toBe(0);
});

test('one that cannot start says why', async () => {
  const server = await serve('shop', {});
  const port = Number(new URL(server.url).port);
  await expect(startUpstream('shop', { port })).rejects.toThrow(/The server `shop` did not start: .*EADDRINUSE/);
  const weather = { routes: { 'GET /product': {} } };
  await expect(startUpstream('shop', { weather })).rejects.toThrow('did not start: Error: No route `GET /product`');
  await expect(server.setWeather(weather)).rejects.toThrow('No route `GET /product`');
});
