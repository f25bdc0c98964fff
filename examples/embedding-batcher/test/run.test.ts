import { PromisePool } from 'paceline';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../src/api.js';
import { sourceOf } from '../src/files.js';
import { readPassages } from '../src/passages.js';
import { embedAndStore } from '../src/run.js';
import { LocalServer } from '../src/server/start.js';
import { trigramVector } from '../src/server/trigrams.js';
import { Store } from '../src/store.js';
import { book, sentence } from './support/texts.js';

test('every passage is stored once, in order and with its own vector, when every tenth call fails', {
  timeout: 120_000,
}, async () => {
  const server = await LocalServer.start({ embedder: 'trigrams', delay: 20, failEvery: 10 });
  onTestFinished(() => server.stop());
  const store = new Store();
  onTestFinished(() => store.close());
  await store.create(256);

  const path = await book(300);
  const { passages } = await readPassages([sourceOf(path, path)], 300);
  const pool = new PromisePool({ name: 'test', concurrency: 3 });
  const report = await embedAndStore(connect(server), passages, store, { pool, size: 10, stop: new AbortController() });

  expect(await store.all()).toEqual(
    Array.from({ length: 300 }, (_, id) => {
      const text = `Chapter ${sentence(id)}`;
      // As the wire's float32 leaves it.
      return { id, file: 'book.md', line: 1 + 4 * id, text, vector: [...new Float32Array(trigramVector(text))] };
    }),
  );
  expect(report.ok).toBe(true);
  // 30 chunks. The 10th, the 20th and the 30th call fail, as a 429 or a 500, and are made again.
  expect(await server.stats()).toMatchObject({ calls: 33, answered: 30, passages: 300, rateLimited: 2, broken: 1 });
});
