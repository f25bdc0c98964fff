import { type App, Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import { checkAccess } from './access.js';
import { categories, type Product, products } from './catalogue.js';
import { checkQuery, search } from './search.js';

export interface ShopOptions {
  /** Default `ck_local`. */
  readonly consumerKey?: string;
  /** Default `cs_local`. */
  readonly consumerSecret?: string;
}

export interface ShopCounts {
  /** Products in answers. */
  products: number;
}

/** The part of the WooCommerce REST API (v3) that reads products. */
export function createShop({ consumerKey = 'ck_local', consumerSecret = 'cs_local' }: ShopOptions): App<ShopCounts> {
  const admit = (exchange: Exchange) => checkAccess(exchange, { consumerKey, consumerSecret });

  return {
    routes: {
      'GET /wp-json/wc/v3/products': async (exchange, counts) => {
        admit(exchange);
        const found = await exchange.through(contentOf(exchange), () => search(products, exchange.url.searchParams));
        const page = sendPage(exchange, found);
        counts.products += page.length;
      },
      'GET /wp-json/wc/v3/products/categories': async (exchange) => {
        admit(exchange);
        sendPage(exchange, await exchange.through(contentOf(exchange), () => categories));
      },
      'GET /wp-json/wc/v3/products/:id': async (exchange, counts) => {
        admit(exchange);
        const found = await exchange.through(contentOf(exchange), () => byId(exchange.params.id));
        counts.products += 1;
        exchange.send(200, found);
      },
    },
    errorBody: ({ status, code, message }) => ({
      code: status === 404 && code === 'not_found' ? 'rest_no_route' : code,
      message,
      data: { status },
    }),
    newCounts: () => ({ products: 0 }),
  };
}

function byId(id: string | undefined): Product {
  const product = products.find((one) => String(one.id) === id);
  if (product === undefined) throw new Problem(404, 'woocommerce_rest_product_invalid_id', 'Invalid ID.');
  return product;
}

/** What is asked, whoever signs it when. */
function contentOf({ url }: Exchange): string {
  const query = [...new Map(url.searchParams)].filter(([name]) => !/^(oauth|consumer)_/.test(name)).sort();
  return `${url.pathname}?${new URLSearchParams(query)}`;
}

function sendPage<T>(exchange: Exchange, found: readonly T[]): readonly T[] {
  const { page, perPage } = checkQuery(exchange.url.searchParams);
  const shown = found.slice((page - 1) * perPage, page * perPage);
  exchange.send(200, shown, {
    'x-wp-total': String(found.length),
    'x-wp-totalpages': String(Math.ceil(found.length / perPage)),
  });
  return shown;
}
