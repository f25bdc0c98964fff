import type { PromisePool } from 'paceline';

/** As little of a database as this application needs, so that PGlite and PostgreSQL look alike. */
export interface Database {
  /** One statement with its parameters. `signal` ends the wait for a connection. */
  query<Row>(text: string, params?: readonly unknown[], signal?: AbortSignal): Promise<Row[]>;
  close(): Promise<void>;
}

/**
 * Never more queries at once than the pool allows. Smaller than the server's `max_connections`, shared out among all processes that
 * connect to it: one connection too many is error 53300 for whoever comes last. A driver's own pool has a limit too, but its queue
 * has no end, no signal and no metrics.
 */
export function bounded(database: Database, pool: PromisePool): Database {
  return {
    query: (text, params, signal) => pool.execute(() => database.query(text, params), { signal }),
    close: () => database.close(),
  };
}
