import { retryAfter, Upstream } from 'paceline';
import { startUpstream } from 'upstreams';
import { expect, onTestFinished, test } from 'vitest';
import { ShopError, searchProducts, wordsOf } from '../src/shop.js';

async function shop(secret = 'cs_local') {
  const server = await startUpstream('shop', {});
  onTestFinished(() => server.stop());
  const upstream = new Upstream({ name: 'shop', coalesce: { ttl: 30_000 } });
  const service = { url: server.url, key: 'ck_local', secret };
  const search = (question: string) => searchProducts(service, upstream, question, new AbortController().signal);
  return { server, search };
}

test.each([
  ['Which waterproof jackets do you have?', ['waterproof', 'jacket']],
  ['What does it cost to send back a glass of moss?', ['glass', 'cost', 'moss']],
  ['Why?', []],
  ['Größe der Jacke?', ['größe', 'jacke', 'der']],
])('%s: what says most is searched for', (question, words) => {
  expect(wordsOf(question)).toEqual(words);
});

test('what most words find comes first, and a word is asked for once', async () => {
  const { server, search } = await shop();
  const [first] = await search('Which waterproof jackets do you have?');
  expect(first).toEqual({
    id: 123,
    name: 'Storm Jacket',
    price: '189.00',
    text: 'Waterproof jacket for bike and trail, three layers.',
    isInStock: true,
  });
  await search('A jacket for the winter?');
  // waterproof, jacket, winter
  expect((await server.stats()).requests).toBe(3);
});

test('a question without a word to search for asks nothing', async () => {
  const { server, search } = await shop();
  expect(await search('What?')).toEqual([]);
  expect((await server.stats()).requests).toBe(0);
});

test('a refusal is an error with its status and its Retry-After', async () => {
  const { search } = await shop('wrong');
  await expect(search('A jacket?')).rejects.toMatchObject({ name: 'ShopError', status: 401 });
  const busy = await shop();
  await busy.server.setWeather({ outage: 'rate-limited', faults: { retryAfter: 3_000 } });
  const error: unknown = await busy.search('A jacket?').catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ShopError);
  expect(retryAfter(error)).toBe(3_000);
});
