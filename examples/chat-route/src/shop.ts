import type { Upstream } from 'paceline';

export interface ShopService {
  readonly url: string;
  readonly key: string;
  readonly secret: string;
}

export interface Product {
  readonly id: number;
  readonly name: string;
  readonly price: string;
  readonly text: string;
  readonly isInStock: boolean;
}

/** An answer of the shop that is not 2xx. The status is where the library looks for it, and the headers are for their Retry-After. */
export class ShopError extends Error {
  readonly status: number;
  readonly headers: Headers;

  constructor({ status, headers }: Response) {
    super(`The shop answered ${status}`);
    this.name = 'ShopError';
    this.status = status;
    this.headers = headers;
  }
}

// WooCommerce finds what contains every word of a query. So each word is a query of its own, and what most of them find comes first.
const MOST_WORDS = 3;
const MOST_PRODUCTS = 5;
const PER_WORD = 10;
const STOP_WORDS = new Set(
  `about after and any are back can could did does for from get give good had has have help how into its just like long many may much need
  not one our out please price recommend send should show some tell than thank thanks that the them then there these they this want was
  what when where which who why will with without work would you your`.split(/\s+/),
);

/** Products that fit a question, through the shop's upstream. */
export async function searchProducts(
  { url, key, secret }: ShopService,
  upstream: Upstream,
  question: string,
  signal: AbortSignal,
): Promise<Product[]> {
  const authorization = `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`;
  const find = async (word: string, signal: AbortSignal): Promise<Product[]> => {
    const query = new URLSearchParams({ search: word, per_page: String(PER_WORD), status: 'publish' });
    const response = await fetch(`${url}/wp-json/wc/v3/products?${query}`, { headers: { authorization }, signal });
    if (!response.ok) throw new ShopError(response);
    return ((await response.json()) as WooProduct[]).map(productOf);
  };
  // The shelves look the same to everybody, so the key needs no view. A word of one question is often a word of the next.
  const found = await Promise.all(
    wordsOf(question).map((word) =>
      upstream.execute(({ signal }) => find(word, signal), { key: ['products', word], signal }),
    ),
  );
  return byHits(found.flat()).slice(0, MOST_PRODUCTS);
}

/** The longest ones say most. Singular, as `jacket` finds `jackets` but not the other way round. */
export function wordsOf(question: string): string[] {
  const words = question.toLowerCase().match(/\p{L}[\p{L}\p{N}]{2,}/gu) ?? [];
  const telling = words.filter((word) => !STOP_WORDS.has(word)).map((word) => word.replace(/(?<=\p{L}{3}[^s])s$/u, ''));
  return [...new Set(telling)].sort((a, b) => b.length - a.length).slice(0, MOST_WORDS);
}

function byHits(found: readonly Product[]): Product[] {
  const hits = new Map<number, { product: Product; count: number }>();
  for (const product of found) hits.set(product.id, { product, count: (hits.get(product.id)?.count ?? 0) + 1 });
  return [...hits.values()].sort((a, b) => b.count - a.count).map(({ product }) => product);
}

interface WooProduct {
  readonly id: number;
  readonly name: string;
  readonly price: string;
  readonly short_description: string;
  readonly stock_status: string;
}

function productOf({ id, name, price, short_description, stock_status }: WooProduct): Product {
  const text = short_description
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return { id, name, price, text, isInStock: stock_status === 'instock' };
}
