import { trigramVector } from 'upstreams';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { Store } from '../src/store.js';
import { passages } from './support/texts.js';

// One for the file: a database takes some seconds to start.
const store = new Store();
afterAll(() => store.close());
beforeEach(() => store.create(256), 60_000);

const rows = passages(250).map((passage) => ({ ...passage, vector: trigramVector(passage.text) }));

test('passages are stored once each, as they were and in input order', async () => {
  await store.save(rows);
  expect(await store.all()).toEqual(rows.map((row) => ({ ...row, vector: [...new Float32Array(row.vector)] })));
});

test('the nearest passages come first, with their cosine', async () => {
  await store.save(rows);
  const hits = await store.nearest(trigramVector('Passage number 42 is about the 1554th thing'), 3);
  expect(hits).toHaveLength(3);
  expect(hits[0]).toMatchObject({ id: 42, file: 'file-0.md', line: 43 });
  const similarities = hits.map(({ similarity }) => similarity);
  expect(similarities).toEqual([...similarities].sort((a, b) => b - a));
  expect(similarities[0]).toBeLessThanOrEqual(1);
});

test('saving is all or nothing, and a passage cannot be stored twice', async () => {
  await store.save(rows.slice(0, 3));
  await expect(store.save(rows.slice(2))).rejects.toThrow(/The store failed: .*duplicate key/);
  expect(await store.all()).toHaveLength(3);
});

test('a query does not hold up the timers of the program', async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const started = performance.now();
  await store.save(rows);
  const took = performance.now() - started;
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(took / 5 / 4);
});

test('a closed store answers with an error instead of never', async () => {
  const closed = new Store();
  const pending = closed.create(4);
  await Promise.all([expect(pending).rejects.toThrow('The store has stopped.'), closed.close()]);
  await expect(closed.all()).rejects.toThrow('The store has stopped.');
});
