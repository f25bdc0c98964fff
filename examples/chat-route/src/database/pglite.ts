import { typeScriptWorker } from 'upstreams';
import { UserError } from '../errors.js';
import type { Database } from './database.js';
import type { Reply, Request } from './pglite-worker.js';

type Body = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

/**
 * PostgreSQL as WebAssembly, with pgvector. In a thread of its own: a running query blocks its thread, and here that would stop
 * every timer and every token of the answers under way.
 *
 * @param folder where it is kept. Without one: in memory.
 * @throws {UserError} it does not open.
 */
export async function openPglite(folder?: string): Promise<Database> {
  const worker = typeScriptWorker(new URL('./pglite-worker.ts', import.meta.url));
  const waiting = new Map<number, PromiseWithHandlers>();
  let lastId = 0;
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.on('message', (reply: Reply) => {
    const caller = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('error' in reply) caller?.reject(Object.assign(new Error(reply.error), { code: reply.code }));
    else caller?.resolve(reply.rows);
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('The database has stopped.')));

  const ask = (body: Body): Promise<readonly unknown[]> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) throw failure;
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...body, id });
    });

  try {
    await ask({ kind: 'open', folder });
  } catch (error) {
    await worker.terminate();
    const where = folder === undefined ? 'in memory' : `in ${folder}`;
    throw new UserError(`Cannot open the database ${where}: ${(error as Error).message}`, { cause: error });
  }
  return {
    query: async <Row>(text: string, params: readonly unknown[] = []) =>
      (await ask({ kind: 'query', text, params })) as Row[],
    async close() {
      if (failure === undefined) await ask({ kind: 'close' });
      await worker.terminate();
    },
  };
}

interface PromiseWithHandlers {
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (reason: unknown) => void;
}
