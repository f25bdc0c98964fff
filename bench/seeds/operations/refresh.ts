import { equal } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchAllSettled } from 'paceline';
import { extract } from '../extract.js';
import { LATENCIES } from '../latencies.js';
import type { Bench, Way } from '../operation.js';
import { PAGES } from '../servers/site.js';
import type { World } from '../world.js';

const BATCH_SIZE = 5;
/** The seed: "a small delay between batches". */
const PAUSE_MS = 100;

/** Seed 1, 2: fetch, parse and store every page of a site. */
export async function refresh({ servers, database }: World): Promise<Bench> {
  const faults = { rate: 0.02, kinds: ['broken'] } as const;
  const site = await servers.site({ routes: { 'GET /pages/:id': { latency: LATENCIES.page, faults } } });
  const near = await database.near;
  await near.query('create table refreshed (path text primary key, title text, digest text, passages integer)');
  const paths = Array.from({ length: PAGES }, (_, i) => `/pages/${i + 1}`);

  async function refreshPage(path: string, signal?: AbortSignal): Promise<void> {
    const response = await fetch(site.url + path, { ...(signal && { signal }) });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    const { title, digest, passages } = extract(await response.text());
    await database.query('insert into refreshed values ($1, $2, $3, $4)', [path, title, digest, passages.length]);
  }

  /** One page that fails does not end it, in whatever way it is done. */
  const way =
    (atOnce: number, run: () => Promise<number>): Way =>
    async () => {
      const failed = await run();
      return async () => {
        const { requests, peakInFlight } = await site.stats();
        equal(peakInFlight, atOnce, `${peakInFlight} requests at once instead of ${atOnce}`);
        return { failed, requests, stored: await near.query('select * from refreshed order by path') };
      };
    };
  const window = async (concurrency: number) =>
    (await batchAllSettled(paths, (path, { signal }) => refreshPage(path, signal), { concurrency, timeout: 30_000 }))
      .errors.length;

  const claim = { gain: { kind: 'factor', from: 5, to: 10 } } as const;
  return {
    ways: {
      sequential: way(1, async () => {
        let failed = 0;
        for (const path of paths) await refreshPage(path).catch(() => failed++);
        return failed;
      }),
      paceline: way(BATCH_SIZE, () => window(BATCH_SIZE)),
      'as in the seed': way(BATCH_SIZE, async () => {
        let failed = 0;
        for (let i = 0; i < paths.length; i += BATCH_SIZE) {
          if (i > 0) await sleep(PAUSE_MS);
          const results = await Promise.allSettled(paths.slice(i, i + BATCH_SIZE).map((path) => refreshPage(path)));
          failed += results.filter(({ status }) => status === 'rejected').length;
        }
        return failed;
      }),
      'twice as many': way(2 * BATCH_SIZE, () => window(2 * BATCH_SIZE)),
    },
    rows: [
      {
        name: `Content refresh, ${PAGES} pages, ${BATCH_SIZE} at once`,
        before: 'sequential',
        after: 'paceline',
        claim,
        reason:
          'Five at once can be five times as fast at most, and only if all of them are busy to the end. See ten at once.',
      },
      {
        name: 'Content refresh by the code of the seed',
        before: 'sequential',
        after: 'as in the seed',
        claim,
        isTheirs: true,
      },
      { name: `Content refresh, ${2 * BATCH_SIZE} at once`, before: 'sequential', after: 'twice as many', claim },
    ],
    async reset() {
      await Promise.all([site.reset(), near.query('truncate refreshed')]);
    },
    close: () => site.stop(),
  };
}
