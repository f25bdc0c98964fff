import * as woocommerce from '@woocommerce/woocommerce-rest-api';
import { expect, test } from 'vitest';
import type { Weather } from '../src/index.js';
import { serve } from './support/serve.js';

async function shop(weather: Weather = {}) {
  const server = await serve('shop', { weather });
  const get = (path: string, keys = 'ck_local:cs_local') =>
    fetch(`${server.url}/wp-json/wc/v3${path}`, { headers: { authorization: `Basic ${btoa(keys)}` } });
  return { server, get };
}

const names = async (response: Response) => ((await response.json()) as { name: string }[]).map(({ name }) => name);

test('the official client searches, by signed queries', async () => {
  const { server } = await shop();
  const Client = woocommerce.default.default ?? woocommerce.default;
  const keys = { url: server.url, consumerKey: 'ck_local', consumerSecret: 'cs_local', version: 'wc/v3' } as const;
  const found = await new Client(keys).get('products', { search: 'waterproof jacket', per_page: 5 });
  expect(found.status).toBe(200);
  expect(found.headers['x-wp-total']).toBe('1');
  expect(found.data).toMatchObject([{ name: 'Storm Jacket', price: '189.00', on_sale: true, stock_status: 'instock' }]);

  const one = await new Client(keys).get(`products/${found.data[0].id}`);
  expect(one.data).toEqual(found.data[0]);

  const wrongSecret = new Client({ ...keys, consumerSecret: 'cs_wrong' }).get('products');
  await expect(wrongSecret).rejects.toMatchObject({
    response: { status: 401, data: { code: 'woocommerce_rest_authentication_error', data: { status: 401 } } },
  });
  expect((await server.stats()).byStatus).toEqual({ 200: 2, 401: 1 });
});

test('pages, and how many there are', async () => {
  const { server, get } = await shop();
  const seen: string[] = [];
  for (let page = 1; ; page++) {
    const response = await get(`/products?per_page=25&page=${page}&orderby=title&order=asc`);
    const total = Number(response.headers.get('x-wp-total'));
    expect(total).toBeGreaterThanOrEqual(60);
    expect(response.headers.get('x-wp-totalpages')).toBe(String(Math.ceil(total / 25)));
    const found = await names(response);
    if (found.length === 0) break;
    seen.push(...found);
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen).toEqual([...seen].sort());
  expect((await server.stats()).counts.products).toBe(seen.length);
});

test('filters: category, price, stock, and words that must all occur', async () => {
  const { get } = await shop();
  const categories = (await (await get('/products/categories?per_page=50')).json()) as {
    id: number;
    slug: string;
    count: number;
  }[];
  const tents = categories.find(({ slug }) => slug === 'tents');
  const inTents = await names(await get(`/products?category=${tents?.id}&per_page=50`));
  expect(inTents).toHaveLength(tents?.count ?? 0);
  expect(await names(await get('/products?search=e-bike&stock_status=outofstock'))).toEqual(['Tour E-Bike 625']);
  expect(await names(await get('/products?search=sleeping+bag&max_price=200&orderby=price&order=asc'))).toContain(
    'Summer Bag +8',
  );
  expect(await names(await get('/products?search=the+jacket+of+unobtainium'))).toEqual([]);
});

test('errors as WordPress words them', async () => {
  const { get } = await shop();
  const told = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code];
  expect(await told(await get('/products', ''))).toEqual([401, 'woocommerce_rest_cannot_view']);
  expect(await told(await get('/products', 'ck_local:nope'))).toEqual([401, 'woocommerce_rest_authentication_error']);
  expect(await told(await get('/products/7'))).toEqual([404, 'woocommerce_rest_product_invalid_id']);
  expect(await told(await get('/nothing'))).toEqual([404, 'rest_no_route']);
  expect(await told(await get('/products?per_page=500'))).toEqual([400, 'rest_invalid_param']);
});

test('an overloaded shop answers 429 and 503 with Retry-After', async () => {
  const { server, get } = await shop({ outage: 'rate-limited', faults: { retryAfter: 2500 } });
  const limited = await get('/products');
  expect([limited.status, limited.headers.get('retry-after'), limited.headers.get('retry-after-ms')]).toEqual([
    429,
    '3',
    '2500',
  ]);
  await server.setWeather({ outage: 'unavailable' });
  expect((await get('/products')).status).toBe(503);
  await server.setWeather({ outage: false });
  expect((await get('/products')).status).toBe(200);
});
