import type { Database } from './database.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';

export interface DatabaseOptions {
  /** A real server. Without it: PGlite. */
  readonly url?: string | undefined;
  /** Where PGlite keeps its data. Without it: in memory. */
  readonly folder?: string | undefined;
}

/** @throws {UserError} it cannot be reached or opened. */
export function openDatabase({ url, folder }: DatabaseOptions): Promise<Database> {
  return url === undefined ? openPglite(folder) : openPostgres(url);
}
