import { expect, onTestFinished, test } from 'vitest';
import { connect, embeddingUpstream } from '../src/embed.js';
import { sourceOf } from '../src/files.js';
import { readPassages } from '../src/passages.js';
import { embedAndStore } from '../src/run.js';
import { Store } from '../src/store.js';
import { serve, vectorsOf } from './support/server.js';
import { book, sentence } from './support/texts.js';

test('every passage is stored once, in order and with its own vector, when every tenth call fails', {
  timeout: 120_000,
}, async () => {
  const { server, service } = await serve({ faults: { every: 10 } });
  const store = new Store();
  onTestFinished(() => store.close());
  await store.create(256);

  const path = await book(300);
  const { passages } = await readPassages([sourceOf(path, path)], 300);
  const options = { upstream: embeddingUpstream(3), size: 10, stop: new AbortController() };
  const report = await embedAndStore(connect(service), passages, store, options);

  expect(await store.all()).toEqual(
    Array.from({ length: 300 }, (_, id) => {
      const text = `Chapter ${sentence(id)}`;
      return { id, file: 'book.md', line: 1 + 4 * id, text, vector: vectorsOf([{ text }])[0] };
    }),
  );
  expect(report.ok).toBe(true);
  // 30 chunks. The 10th, the 20th and the 30th call fail, as a 429 or a 500, and are made again.
  expect(await server.stats()).toMatchObject({
    requests: 33,
    byStatus: { 200: 30, 429: 2, 500: 1 },
    counts: { embedded: 300 },
  });
});
