import { batchAllSettled } from 'paceline';
import { connect } from '../../../examples/embedding-batcher/src/embed.js';
import { EMBEDDING_MODEL } from '../../../examples/upstreams/src/index.js';
import { type Extract, extract } from '../extract.js';
import { LATENCIES } from '../latencies.js';
import type { Bench } from '../operation.js';
import type { World } from '../world.js';

const MOST_PAGES = 12;
const AT_ONCE = 5;

interface Found extends Extract {
  readonly path: string;
}

/** Seed 1, 4: a site is crawled, and what is found is parsed, embedded and indexed. */
export async function scraping({ servers, database }: World): Promise<Bench> {
  const [site, llm] = await Promise.all([
    servers.site({ routes: { 'GET /pages/:id': { latency: LATENCIES.page } } }),
    servers.upstream('llm', { embedder: 'trigrams', weather: { latency: LATENCIES.pageVectors } }),
  ]);
  const api = connect({ baseURL: `${llm.url}/v1`, apiKey: 'local', model: EMBEDDING_MODEL });
  const near = await database.near;
  await near.query('create table scraped (path text primary key, title text, digest text)');
  await near.query('create table chunks (path text, position integer, text text, vector real[])');

  /** One page at a time, from link to link, as a polite crawler goes: the same in every way. */
  async function* crawl(): AsyncGenerator<Found, void, undefined> {
    const seen = new Set(['/pages/1']);
    let visited = 0;
    for (const path of seen) {
      if (visited++ === MOST_PAGES) return;
      const response = await fetch(site.url + path);
      const page = extract(await response.text());
      for (const link of page.links) seen.add(link);
      yield { path, ...page };
    }
  }

  /** The statements of one page are in series: each needs the one before. */
  async function index({ path, title, digest, passages }: Found, signal = new AbortController().signal): Promise<void> {
    const [known] = await database.query<{ digest: string }>('select digest from scraped where path = $1', [path]);
    if (known?.digest === digest) return;
    const vectors = await api.embed(passages, signal);
    await database.query(
      'insert into scraped values ($1, $2, $3) on conflict (path) do update set title = $2, digest = $3',
      [path, title, digest],
    );
    await database.query('delete from chunks where path = $1', [path]);
    await database.query(
      'insert into chunks select $1, p, t, v::real[] from unnest($2::integer[], $3::text[], $4::text[]) as rows(p, t, v)',
      [path, passages.map((_, i) => i), passages, vectors.map((vector) => `{${vector.join(',')}}`)],
    );
  }

  const stored = () =>
    near.query(`select path, title, digest, count(*)::integer as chunks, sum(vector[1])::numeric(12, 4)::text as sum
      from scraped join chunks using (path) group by 1, 2, 3 order by 1`);
  const claim = { gain: { kind: 'less', from: 0.2, to: 0.3 } } as const;
  return {
    ways: {
      async sequential() {
        for await (const page of crawl()) await index(page);
        return stored;
      },
      async paceline() {
        const work = (page: Found, { signal }: { signal: AbortSignal }) => index(page, signal);
        (await batchAllSettled(crawl(), work, { concurrency: AT_ONCE })).unwrap();
        return stored;
      },
      async 'as in the seed'() {
        const pages: Found[] = [];
        for await (const page of crawl()) pages.push(page);
        for (let i = 0; i < pages.length; i += AT_ONCE)
          await Promise.allSettled(pages.slice(i, i + AT_ONCE).map((page) => index(page)));
        return stored;
      },
    },
    rows: [
      {
        name: `Scraping, ${MOST_PAGES} pages, indexed ${AT_ONCE} at once`,
        before: 'sequential',
        after: 'paceline',
        claim,
      },
      {
        name: 'Scraping by the code of the seed',
        before: 'sequential',
        after: 'as in the seed',
        claim,
        isTheirs: true,
      },
    ],
    async reset() {
      await near.query('truncate scraped, chunks');
    },
    async close() {
      await Promise.all([site.stop(), llm.stop()]);
    },
  };
}
