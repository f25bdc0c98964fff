import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { typeScriptWorker } from '../typescript.js';
import type { ModelReply, ModelRequest } from './model-worker.js';

/**
 * The model, once per core. A sentence is some 5 to 60 ms of CPU without a pause, so on the server's own thread it would hold up the
 * timers that play the network.
 */
export class Model {
  readonly #workers: readonly Worker[];
  readonly #waiting = new Map<number, (vector: readonly number[]) => void>();
  #lastId = 0;

  constructor(threads = Math.min(4, availableParallelism())) {
    this.#workers = Array.from({ length: threads }, () => {
      const worker = typeScriptWorker(new URL('./model-worker.ts', import.meta.url));
      worker.on('message', ({ id, vector }: ModelReply) => {
        this.#waiting.get(id)?.(vector);
        this.#waiting.delete(id);
      });
      return worker;
    });
  }

  vectorOf(text: string): Promise<readonly number[]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#workers[id % this.#workers.length]?.postMessage({ id, text } satisfies ModelRequest);
    });
  }
}
