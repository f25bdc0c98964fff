import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../examples/chat-route/src/database/database.js';
import { openPglite } from '../../examples/chat-route/src/database/pglite.js';
import { LATENCIES } from './latencies.js';

/** PostgreSQL in a thread, one statement at a time as it is, and as far away as a hosted one. Opened with the first use. */
export class FarDatabase implements Database {
  #opened: Promise<Database> | undefined;

  async query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    await sleep(LATENCIES.statement);
    return (await this.near).query<Row>(text, params);
  }

  /** Without the way to it, for what is outside the clock. */
  get near(): Promise<Database> {
    this.#opened ??= openPglite();
    return this.#opened;
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close();
  }
}
