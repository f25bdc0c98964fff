import { readFileSync } from 'node:fs';

/** What is kept of a product. */
interface Item {
  readonly id: number;
  readonly name: string;
  readonly sku: string;
  readonly price: number;
  /** Before a sale. */
  readonly was?: number;
  readonly stock: number;
  readonly category: string;
  readonly short: string;
  readonly long: string;
}

/** The fields of a product in the API that clients read most. */
export type Product = ReturnType<typeof productOf>;

const { items, names } = JSON.parse(readFileSync(new URL('./catalogue.json', import.meta.url), 'utf8')) as {
  readonly names: Readonly<Record<string, string>>;
  readonly items: readonly Item[];
};

export const categories = Object.entries(names).map(([slug, name], i) => ({
  id: 15 + i,
  name,
  slug,
  parent: 0,
  count: items.filter(({ category }) => category === slug).length,
}));

export const products: readonly Product[] = items.map(productOf);

function productOf({ id, name, sku, price, was, stock, category, short, long }: Item) {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  // One new product every three days, up to a day that stays the same.
  const date = new Date(Date.UTC(2025, 0, 1 + 3 * (id - (items[0]?.id ?? 0)))).toISOString().slice(0, 19);
  return {
    id,
    name,
    slug,
    permalink: `https://shop.example/product/${slug}/`,
    date_created: date,
    date_modified: date,
    type: 'simple',
    status: 'publish',
    featured: id % 11 === 0,
    catalog_visibility: 'visible',
    description: `<p>${long}</p>\n`,
    short_description: `<p>${short}</p>\n`,
    sku,
    price: money(price),
    regular_price: money(was ?? price),
    sale_price: was === undefined ? '' : money(price),
    on_sale: was !== undefined,
    purchasable: true,
    total_sales: (id * 37) % 211,
    virtual: false,
    downloadable: false,
    tax_status: 'taxable',
    manage_stock: true,
    stock_quantity: stock,
    stock_status: stock > 0 ? 'instock' : 'outofstock',
    average_rating: (3.6 + ((id * 7) % 14) / 10).toFixed(2),
    rating_count: (id * 13) % 90,
    categories: categories.filter((one) => one.slug === category).map(({ id, name, slug }) => ({ id, name, slug })),
    tags: [],
    images: [],
    attributes: [],
    meta_data: [],
  };
}

function money(amount: number): string {
  return amount.toFixed(2);
}
