import { type BatchReport, chunkAllSettled, type PromisePool, type RetryRules, retryWithBackoff } from 'paceline';
import { type EmbeddingApi, isHopeless, isUnreachable } from './api.js';
import type { Passage } from './passages.js';

// The wait before an attempt is never below what the server asked for with Retry-After.
const MAX_ATTEMPTS = 5;
const retry: RetryRules = { maxAttempts: MAX_ATTEMPTS, baseDelay: 200 };

export interface EmbedOptions {
  /** Every call goes through it: it bounds them, and its metrics are the figures of the run. */
  readonly pool: PromisePool;
  /** Passages in one call. */
  readonly size: number;
  /** Ends the run early. Aborted from within by the first error that all later calls would meet too. */
  readonly stop: AbortController;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * A few calls in flight. Every passage is in the report, in input order, with its vector or the reason why it has none.
 */
export function embedAll(
  api: EmbeddingApi,
  passages: readonly Passage[],
  { pool, size, stop, onProgress }: EmbedOptions,
): Promise<BatchReport<Passage, number[]>> {
  return chunkAllSettled(passages, (chunk, context) => embedChunk(api, chunk, context, stop), {
    size,
    pool,
    retry,
    // One text that the API refuses must not cost its neighbours their vectors.
    onChunkError: 'split',
    signal: stop.signal,
    onProgress: ({ fulfilled, rejected }) => onProgress?.(fulfilled + rejected),
  });
}

/**
 * The same calls one after the other, as a plain loop makes them: what `embedAll` is measured against. Returns how many
 * were retries.
 */
export async function embedOneByOne(
  api: EmbeddingApi,
  passages: readonly Passage[],
  { pool, size, stop, onProgress }: EmbedOptions,
): Promise<number> {
  let retries = 0;
  const rules = { ...retry, signal: stop.signal, hooks: { onRetry: () => void retries++ } };
  for (let done = 0; done < passages.length; done += size) {
    const chunk = passages.slice(done, done + size);
    await retryWithBackoff(({ signal, attempt }) => {
      return pool.execute((task) => embedChunk(api, chunk, { signal: task.signal, attempt }, stop), { signal });
    }, rules).catch(() => {
      // This run is about time only: what cannot be embedded is told by the other.
      stop.signal.throwIfAborted();
    });
    onProgress?.(done + chunk.length);
  }
  return retries;
}

async function embedChunk(
  api: EmbeddingApi,
  chunk: readonly Passage[],
  { signal, attempt }: { signal: AbortSignal; attempt: number },
  stop: AbortController,
): Promise<number[][]> {
  const texts = chunk.map(({ text }) => text);
  try {
    return await api.embed(texts, signal);
  } catch (error) {
    if (isHopeless(error) || (isUnreachable(error) && attempt >= MAX_ATTEMPTS)) stop.abort(error);
    throw error;
  }
}
