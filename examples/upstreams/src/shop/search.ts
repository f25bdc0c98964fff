import { Problem } from '../app.js';
import type { Product } from './catalogue.js';

// WordPress leaves these out of a search.
const STOP_WORDS = new Set(
  'about an are as at be by com for from how in is it of on or that the this to was what when where who will with www'.split(
    ' ',
  ),
);

/** As a shop finds them: every word must occur in the name or a description, as it is written. So ask for words, not for a sentence. */
export function search(products: readonly Product[], query: URLSearchParams): Product[] {
  checkQuery(query);
  const words = (query.get('search') ?? '')
    .toLowerCase()
    .split(/[\s,+]+/)
    .filter((word) => word.length > 1 && !STOP_WORDS.has(word));
  const list = (name: string) => (query.get(name) ?? '').split(',').filter(Boolean);
  const [ids, categoryIds, skus] = [list('include'), list('category'), list('sku')];
  const least = Number(query.get('min_price') ?? 0);
  const most = Number(query.get('max_price') ?? Number.POSITIVE_INFINITY);
  const stock = query.get('stock_status');

  const found = products.filter((product) => {
    const text = `${product.name} ${product.short_description} ${product.description}`.toLowerCase();
    const price = Number(product.price);
    return (
      words.every((word) => text.includes(word)) &&
      (ids.length === 0 || ids.includes(String(product.id))) &&
      (skus.length === 0 || skus.includes(product.sku)) &&
      (categoryIds.length === 0 || product.categories.some(({ id }) => categoryIds.includes(String(id)))) &&
      price >= least &&
      price <= most &&
      (stock === null || product.stock_status === stock)
    );
  });
  return sorted(found, query.get('orderby') ?? 'date', query.get('order') ?? 'desc');
}

function sorted(found: readonly Product[], by: string, order: string): Product[] {
  const compare: Record<string, (a: Product, b: Product) => number> = {
    date: (a, b) => (a.date_created < b.date_created ? -1 : 1),
    id: (a, b) => a.id - b.id,
    title: (a, b) => (a.name < b.name ? -1 : 1),
    price: (a, b) => Number(a.price) - Number(b.price),
  };
  const ascending = found.toSorted(compare[by]);
  return order === 'asc' ? ascending : ascending.reverse();
}

/** @throws {Problem} 400. */
export function checkQuery(query: URLSearchParams): { page: number; perPage: number } {
  const page = Number(query.get('page') ?? 1);
  const perPage = Number(query.get('per_page') ?? 10);
  if (!(Number.isInteger(page) && page >= 1)) throw invalid('page');
  if (!(Number.isInteger(perPage) && perPage >= 1 && perPage <= 100)) throw invalid('per_page');
  if (!['date', 'id', 'title', 'price'].includes(query.get('orderby') ?? 'date')) throw invalid('orderby');
  return { page, perPage };
}

function invalid(name: string): Problem {
  return new Problem(400, 'rest_invalid_param', `Invalid parameter(s): ${name}`);
}
