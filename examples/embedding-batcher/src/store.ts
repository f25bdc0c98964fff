import { typeScriptWorker } from 'upstreams';
import { messageOf } from './errors.js';
import type { Hit, Row, StoreMethods, StoreReply, StoreRequest } from './store-worker.js';

/**
 * Text and vectors in PGlite with pgvector, in a thread of its own: a running query blocks its thread, and here that would stop every
 * timer and answer of the calls in flight.
 */
export class Store {
  readonly #worker = typeScriptWorker(new URL('./store-worker.ts', import.meta.url));
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: unknown) => void }>();
  #lastId = 0;
  #failure: Error | undefined;

  constructor() {
    this.#worker.on('message', (reply: StoreReply) => {
      const caller = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('error' in reply) caller?.reject(new Error(`The store failed: ${reply.error}`));
      else caller?.resolve(reply.value as never);
    });
    this.#worker.on('error', (error) =>
      this.#fail(new Error(`The store failed: ${messageOf(error)}`, { cause: error })),
    );
    this.#worker.on('exit', () => this.#fail(new Error('The store has stopped.')));
  }

  /** An empty table for vectors of this length. */
  create(dimensions: number): Promise<void> {
    return this.#call('create', dimensions);
  }

  save(rows: readonly Row[]): Promise<void> {
    return this.#call('save', rows);
  }

  nearest(vector: readonly number[], limit: number): Promise<Hit[]> {
    return this.#call('nearest', vector, limit);
  }

  /** Every row, as it was stored and in that order. */
  all(): Promise<Row[]> {
    return this.#call('all');
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #call<M extends keyof StoreMethods>(
    method: M,
    ...args: Parameters<StoreMethods[M]>
  ): Promise<Awaited<ReturnType<StoreMethods[M]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args } satisfies StoreRequest);
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const caller of this.#waiting.values()) caller.reject(this.#failure);
    this.#waiting.clear();
  }
}
