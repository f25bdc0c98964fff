import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';

export type Request = { readonly id: number } & (
  | { readonly kind: 'open'; readonly folder: string | undefined }
  | { readonly kind: 'query'; readonly text: string; readonly params: readonly unknown[] }
  | { readonly kind: 'close' }
);
export type Reply =
  | { readonly id: number; readonly rows: readonly unknown[] }
  | { readonly id: number; readonly error: string; readonly code: string | undefined };

let db: Promise<PGlite> | undefined;

async function answer(request: Request): Promise<readonly unknown[]> {
  if (request.kind === 'open') {
    const { folder } = request;
    db = PGlite.create({ extensions: { vector }, ...(folder === undefined ? {} : { dataDir: folder }) });
  }
  const open = await db;
  if (open === undefined) throw new Error('The database is not open.');
  if (request.kind === 'query') return (await open.query(request.text, [...request.params])).rows;
  if (request.kind === 'close') await open.close();
  return [];
}

parentPort?.on('message', (request: Request) => {
  const { id } = request;
  answer(request).then(
    (rows) => parentPort?.postMessage({ id, rows } satisfies Reply),
    (error: { message?: string; code?: string }) =>
      parentPort?.postMessage({ id, error: error.message ?? String(error), code: error.code } satisfies Reply),
  );
});
