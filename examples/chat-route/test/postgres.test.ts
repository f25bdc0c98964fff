import { PromisePool } from 'paceline';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { notRun } from '../../../test/support/not-run.js';
import { bounded, type Database } from '../src/database/database.js';
import { openPostgres } from '../src/database/postgres.js';
import { codeOf } from '../src/errors.js';
import { startApp } from './support/app.js';
import { answerOf, newConversation, requestOf } from './support/ask.js';
import { type PostgresServer, postgresPrograms, startPostgres } from './support/postgres.js';

// Three of them are kept for the superuser, whom we connect as.
const MAX_CONNECTIONS = 20;
const CLIENTS = 80;
const TOO_MANY_CONNECTIONS = '53300';

const bin = postgresPrograms();
let server: PostgresServer | undefined;
let database: Database | undefined;

beforeAll(async () => {
  if (bin === undefined) return;
  server = await startPostgres(bin, { max_connections: MAX_CONNECTIONS });
  database = await openPostgres(server.url);
}, 60_000);
afterAll(async () => {
  await database?.close();
  await server?.stop();
});
beforeEach((context) => {
  if (bin === undefined) notRun(context, 'PostgreSQL is not installed (apt-get install postgresql)');
});

/** Those of 80 clients who met an error, by its code, and the most connections that were open. */
async function clients(url: string, limited: boolean) {
  const open = await openPostgres(url);
  const pool = new PromisePool({ name: 'database', concurrency: MAX_CONNECTIONS / 2 });
  const database = limited ? bounded(open, pool) : open;
  const results = await Promise.allSettled(
    Array.from({ length: CLIENTS }, () =>
      database.query<{ count: number }>('select count(*)::integer from pg_stat_activity, pg_sleep(0.05)'),
    ),
  );
  await open.close();
  return {
    codes: results.flatMap((result) => (result.status === 'rejected' ? [codeOf(result.reason)] : [])),
    answered: results.filter(({ status }) => status === 'fulfilled').length,
    pool: pool.getMetrics(),
  };
}

test('80 clients without the pool: those who come last meet error 53300', async () => {
  const { codes, answered } = await clients(server?.url ?? '', false);
  expect(codes.length).toBeGreaterThanOrEqual(CLIENTS - MAX_CONNECTIONS);
  expect(new Set(codes)).toEqual(new Set([TOO_MANY_CONNECTIONS]));
  expect(answered + codes.length).toBe(CLIENTS);
});

test('80 clients with a pool smaller than max_connections: nobody does', async () => {
  const { codes, answered, pool } = await clients(server?.url ?? '', true);
  expect(codes).toEqual([]);
  expect(answered).toBe(CLIENTS);
  expect(pool).toMatchObject({ peakRunning: MAX_CONNECTIONS / 2, refused: 0 });
});

test('the route: 80 questions at once, all answered and saved, and passages are found without pgvector', {
  timeout: 60_000,
}, async () => {
  if (database === undefined) throw new Error('There is no database.');
  const { POST, services } = await startApp({
    database,
    llm: { tokensPerSecond: 5_000 },
    limits: { llmConcurrency: 20, llmQueue: 100, databaseConcurrency: MAX_CONNECTIONS / 2, contextTimeout: 20_000 },
  });
  const extensions = await database.query<{ name: string }>('select extname as name from pg_extension');
  expect(extensions.map(({ name }) => name)).not.toContain('vector');

  const conversation = newConversation();
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, (_, n) =>
      POST(requestOf({ conversation, message: `May I send back a jacket within 30 days, asks number ${n}?` })).then(
        answerOf,
      ),
    ),
  );
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 200, notices: [], error: undefined });
    expect(answer.sources).toContain('returns.md');
  }
  expect((await services.close({ grace: 20_000 })).clean).toBe(true);
  const rows = await database.query('select 1 from messages where conversation = $1', [conversation]);
  expect(rows).toHaveLength(2 * CLIENTS);
});
