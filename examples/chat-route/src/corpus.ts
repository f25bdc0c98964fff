import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { embedAll, explain } from 'embedding-batcher/embed';
import { readPassages } from 'embedding-batcher/passages';
import { messageOf, UserError } from './errors.js';
import type { Services } from './services.js';

const MOST_PASSAGES = 5_000;
const TEXTS_IN_A_CALL = 20;

/**
 * The shop's pages, cut, embedded and stored, unless this database has them already: by this model, word for word.
 *
 * @throws {UserError} they cannot be read or embedded.
 */
export async function prepareCorpus(services: Services, folder = defaultFolder()): Promise<number> {
  const { store, embeddingApi, embeddings, vectorsBy } = services;
  const source = { label: folder, path: folder, base: folder, packages: false };
  const { passages } = await readPassages([source], MOST_PASSAGES);
  const digest = createHash('sha256').update(JSON.stringify([vectorsBy, passages]));
  store.corpus = digest.digest('hex').slice(0, 16);
  if ((await store.countPassages()) === passages.length) return passages.length;

  const stop = new AbortController();
  const report = await embedAll(embeddingApi, passages, { upstream: embeddings, size: TEXTS_IN_A_CALL, stop });
  const [failed] = report.errors;
  if (!report.ok) {
    const reason = stop.signal.aborted ? stop.signal.reason : failed?.reason;
    throw new UserError(messageOf(explain(reason, embeddingApi)), { cause: reason });
  }
  await store.savePassages(
    report.results.flatMap((result) =>
      result.status === 'fulfilled' ? [{ ...result.item, vector: result.value }] : [],
    ),
  );
  return passages.length;
}

function defaultFolder(): string {
  return fileURLToPath(new URL('./texts/', import.meta.url));
}
