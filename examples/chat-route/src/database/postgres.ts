import pg from 'pg';
import { messageOf, UserError } from '../errors.js';
import type { Database } from './database.js';

const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 10_000;

/**
 * A real server. The driver keeps connections warm and opens one wherever none is idle: how many there may be is for `bounded` to say.
 *
 * @throws {UserError} it cannot be reached.
 */
export async function openPostgres(url: string): Promise<Database> {
  const driver = new pg.Pool({
    connectionString: url,
    max: Number.MAX_SAFE_INTEGER,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // A query cannot be aborted from here, so the server gives it up.
    statement_timeout: QUERY_TIMEOUT_MS,
    application_name: 'chat-route',
  });
  // An idle connection that breaks, as at a restart of the server. Without a listener it would end this process.
  driver.on('error', () => {});
  try {
    await driver.query('select 1');
  } catch (error) {
    await driver.end();
    throw new UserError(`Cannot reach the database at ${withoutPassword(url)}: ${messageOf(error)}`, { cause: error });
  }
  return {
    query: async (text, params = []) => (await driver.query(text, [...params])).rows,
    close: () => driver.end(),
  };
}

function withoutPassword(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  return `${protocol}//${hostname}${port === '' ? '' : `:${port}`}${pathname}`;
}
