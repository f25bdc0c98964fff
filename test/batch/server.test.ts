import { afterEach, expect, test } from 'vitest';
import { chunkAllSettled } from '../../src/batch/index.js';
import { type BatchServer, type InnerResponse, startBatchServer } from './fixtures/batch-server.js';
import { upTo } from './support.js';

let server: BatchServer | undefined;
afterEach(async () => {
  await server?.close();
});

// BATCH-29, guides to MS Graph `$batch`: 20 requests a call, outer 200, inner 429 with Retry-After, answers in any order. In real time.
test('a server that answers 20-item calls shuffled, with two items at 429 and a Retry-After', async () => {
  server = await startBatchServer(
    new Map([
      ['7', { seconds: 1 }],
      ['12', { seconds: 1 }],
    ]),
  );
  const { url, calls, waits } = server;
  const requests = upTo(40).map((n) => ({ id: `${n}`, url: `/items/${n}` }));

  const report = await chunkAllSettled(
    requests,
    async (chunk, { fail, signal }) => {
      const body = JSON.stringify({ requests: chunk });
      const response = await fetch(url, { method: 'POST', body, signal });
      if (!response.ok) throw new Error(`${response.status}`);
      const { responses } = (await response.json()) as { responses: readonly InnerResponse[] };
      // Status and Retry-After are found in the reason.
      return new Map(responses.map((each) => [each.id, each.status === 200 ? each.body : fail(each)]));
    },
    { size: 20, concurrency: 2, key: ({ id }) => id, retry: {} },
  );

  expect(report.unwrap()).toEqual(requests.map((request) => `body of ${request.url}`));
  expect(report.results.filter(({ attempts }) => attempts === 2).map(({ item }) => item.id)).toEqual(['7', '12']);
  expect(report.results.filter(({ attempts }) => attempts === 1)).toHaveLength(38);
  // What failed is sent again together, and nothing else.
  expect(calls.map((ids) => ids.length)).toEqual([20, 20, 2]);
  expect([...waits.keys()].sort()).toEqual(['12', '7']);
  for (const waited of waits.values()) expect(waited).toBeGreaterThanOrEqual(1_000);
  expect(report.stats).toMatchObject({ calls: 3, retries: 1, fulfilled: 40 });
});
