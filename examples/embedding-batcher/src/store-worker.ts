import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { messageOf } from './errors.js';
import type { Passage } from './passages.js';

export interface Row extends Passage {
  readonly vector: readonly number[];
}

export interface Hit extends Passage {
  /** Cosine, -1..1. */
  readonly similarity: number;
}

export interface StoreRequest {
  readonly id: number;
  readonly method: keyof StoreMethods;
  readonly args: readonly unknown[];
}
export type StoreReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };
export type StoreMethods = typeof methods;

const db = PGlite.create({ extensions: { vector } });

const methods = {
  async create(dimensions: number): Promise<void> {
    await (await db).exec(`
      create extension if not exists vector;
      drop table if exists passages;
      create table passages (id integer primary key, file text not null, line integer not null, text text not null, vector vector(${dimensions}) not null)`);
  },

  /** One statement, so all of them or none. */
  async save(rows: readonly Row[]): Promise<void> {
    await (await db).query(
      `insert into passages select id, file, line, text, vector::vector
       from unnest($1::integer[], $2::text[], $3::integer[], $4::text[], $5::text[]) as t(id, file, line, text, vector)`,
      [
        rows.map((row) => row.id),
        rows.map((row) => row.file),
        rows.map((row) => row.line),
        rows.map((row) => row.text),
        rows.map((row) => JSON.stringify(row.vector)),
      ],
    );
  },

  /** An exact search: below some ten thousand rows it takes milliseconds and an index (HNSW) would only make it approximate. */
  async nearest(to: readonly number[], limit: number): Promise<Hit[]> {
    const found = await (await db).query<Hit>(
      'select id, file, line, text, 1 - (vector <=> $1) as similarity from passages order by vector <=> $1, id limit $2',
      [JSON.stringify(to), limit],
    );
    return found.rows;
  },

  /** As they were stored: physical order, not sorted. */
  async all(): Promise<Row[]> {
    const found = await (await db).query<Passage & { vector: string }>(
      'select id, file, line, text, vector::text from passages',
    );
    return found.rows.map((row) => ({ ...row, vector: JSON.parse(row.vector).map(Math.fround) }));
  },
};

parentPort?.on('message', ({ id, method, args }: StoreRequest) => {
  const run = methods[method] as (...args: readonly unknown[]) => Promise<unknown>;
  run(...args).then(
    (value) => parentPort?.postMessage({ id, value } satisfies StoreReply),
    (error: unknown) => parentPort?.postMessage({ id, error: messageOf(error) } satisfies StoreReply),
  );
});
