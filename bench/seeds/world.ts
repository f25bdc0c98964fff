import type { FarDatabase } from './database.js';
import type { Servers } from './servers/start.js';

/** What the operations of a run share. */
export interface World {
  readonly servers: Servers;
  readonly database: FarDatabase;
}
