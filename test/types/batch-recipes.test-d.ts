// The recipes of docs/guide/batches.md, as they stand there.
import { expectTypeOf, test } from 'vitest';
import { batchAllSettled, chunkAllSettled, gatherAllSettled, streamSettled } from '../../src/batch/index.js';

interface Page {
  readonly url: string;
}
interface Part {
  readonly id: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
declare function embed(texts: readonly string[], options: { signal: AbortSignal }): Promise<number[][]>;
declare function refresh(url: string, signal: AbortSignal): Promise<'changed' | 'same'>;
declare function post(path: string, body: object, signal: AbortSignal): Promise<{ responses: readonly Part[] }>;
declare function sync(row: { id: number }, signal: AbortSignal): Promise<void>;
declare function isWrongKey(error: unknown): boolean;
declare function writeFile(path: string, text: string): Promise<void>;
declare function save(values: readonly unknown[]): Promise<void>;
declare const db: {
  cursor(query: string): AsyncGenerator<{ id: number }>;
  mark(id: number, status: 'fulfilled' | 'rejected' | 'skipped'): Promise<void>;
  history(id: number): Promise<string[]>;
};
declare const shop: { search(question: string, options: { signal: AbortSignal }): Promise<{ name: string }[]> };
declare const log: { info(text: string, facts?: object): void; warn(text: string, facts: object): void };
const texts: readonly string[] = [];
const pages: readonly Page[] = [];
const requests: readonly { id: string; url: string }[] = [];

test('embeddings, 20 texts a call', async () => {
  const report = await chunkAllSettled(texts, (chunk, { signal }) => embed(chunk, { signal }), {
    size: 20,
    concurrency: 3,
    weight: { of: (text) => text.length / 4, max: 8_000 },
    retry: { maxAttempts: 5 },
    onChunkError: 'split',
    onProgress: ({ fulfilled, total, remainingMs }) => log.info(`${fulfilled} of ${total}`, { remainingMs }),
  });
  const rows = report.results.flatMap((r) => (r.status === 'fulfilled' ? [{ text: r.item, vector: r.value }] : []));
  expectTypeOf(rows).toEqualTypeOf<{ text: string; vector: number[] }[]>();
  expectTypeOf(report.unwrap()).toEqualTypeOf<readonly number[][]>();
});

test('an endpoint like `$batch`', async () => {
  const report = await chunkAllSettled(
    requests,
    async (chunk, { fail, signal }) => {
      const { responses } = await post('/$batch', { requests: chunk }, signal);
      return new Map(responses.map((part) => [part.id, part.status < 400 ? part.body : fail(part)]));
    },
    { size: 20, key: (request) => request.id, retry: {} },
  );
  expectTypeOf(report.values).toEqualTypeOf<readonly string[]>();
});

test('rows of a database', async () => {
  for await (const result of streamSettled(db.cursor('select * from orders'), (row, { signal }) => sync(row, signal), {
    concurrency: 8,
    order: 'completion',
    retry: { maxAttempts: 3 },
  })) {
    await db.mark(result.item.id, result.status);
  }
});

test('refreshing content; Ctrl-C; the first hopeless error', async () => {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  const report = await batchAllSettled(
    pages,
    async (page, { signal }) => {
      try {
        return await refresh(page.url, signal);
      } catch (error) {
        if (isWrongKey(error)) stop.abort(error);
        throw error;
      }
    },
    { concurrency: 5, delay: 100, timeout: 30_000, signal: stop.signal },
  );
  expectTypeOf(report.values).toEqualTypeOf<readonly ('changed' | 'same')[]>();
  await save(report.values);
  const rest = report.results.flatMap((r) => (r.status === 'fulfilled' ? [] : [r.item]));
  expectTypeOf(rest).toEqualTypeOf<Page[]>();
  if (report.aborted) await writeFile('todo.json', JSON.stringify(rest));
  log.info(`${report.stats.perSecond.toFixed(1)} pages a second, ${report.errors.length} failed`);
});

test('different tasks with names', async () => {
  const {
    values: { history = [], products = [] },
    errors,
  } = await gatherAllSettled(
    { history: () => db.history(1), products: ({ signal }) => shop.search('?', { signal }) },
    { timeout: 400 },
  );
  expectTypeOf(history).toEqualTypeOf<string[]>();
  expectTypeOf(products).toEqualTypeOf<{ name: string }[]>();
  expectTypeOf(errors.history).toEqualTypeOf<unknown>();
});
