import { messageOf, UserError } from '../errors.js';
import type { Database } from './database.js';

/** Tables that are not there yet. Returns whether the database has pgvector; where not, vectors are plain arrays. */
export async function migrate(database: Database): Promise<boolean> {
  try {
    const hasVectors = await database.query('create extension if not exists vector').then(
      () => true,
      // Not installed, or not ours to install.
      () => false,
    );
    for (const statement of statements(hasVectors ? 'vector' : 'real[]')) await database.query(statement);
    const [column] = await database.query<{ type: string }>(
      `select udt_name as type from information_schema.columns where table_name = 'passages' and column_name = 'vector'`,
    );
    // A table of an earlier run stays as it was made.
    return column?.type === 'vector';
  } catch (error) {
    throw new UserError(`Cannot prepare the database: ${messageOf(error)}`, { cause: error });
  }
}

function statements(vector: 'vector' | 'real[]'): readonly string[] {
  return [
    // An answer that is saved before its question, because that had to be repeated, must not fail: so `reply_to` has no constraint.
    `create table if not exists messages (
       id uuid primary key, conversation text not null, view text not null, reply_to uuid, text text not null,
       is_complete boolean not null default true, at timestamptz not null)`,
    'create index if not exists messages_of_conversation on messages (conversation, view, at)',
    'create unique index if not exists one_answer_each on messages (reply_to)',
    'create table if not exists analytics (id uuid primary key, at timestamptz not null, kind text not null, data jsonb not null)',
    `create table if not exists passages (
       corpus text not null, id integer not null, file text not null, line integer not null, text text not null,
       vector ${vector} not null, primary key (corpus, id))`,
  ];
}
