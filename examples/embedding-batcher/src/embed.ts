import {
  type BatchReport,
  chunkAllSettled,
  Upstream,
  type UpstreamExecuteOptions,
  type UpstreamOptions,
} from 'paceline';
import { type EmbeddingApi, isHopeless, isUnreachable } from './api.js';

export { connect, type EmbeddingApi, explain, type Service } from './api.js';

const MAX_ATTEMPTS = 5;
// A call that hangs is given up after this, and tried again.
const CALL_TIMEOUT_MS = 30_000;

/**
 * Everything that stands between this program and the API. One for all who call it: the limit belongs to the API, so a batch that fills
 * the store and a question that must be answered meanwhile share its slots.
 *
 * @param options more layers, such as `coalesce` for questions that many ask.
 */
export function embeddingUpstream(concurrency: number, options?: Partial<UpstreamOptions>): Upstream {
  return new Upstream({
    name: 'embedding-api',
    timeout: CALL_TIMEOUT_MS,
    // The wait before an attempt is never below what the server asked for with Retry-After, and holds no slot.
    retry: { maxAttempts: MAX_ATTEMPTS, baseDelay: 200 },
    pool: { concurrency },
    ...options,
  });
}

/** The vectors of a few texts, such as a question, in one call. */
export function embedTexts(
  api: EmbeddingApi,
  upstream: Upstream,
  texts: readonly string[],
  options?: UpstreamExecuteOptions,
): Promise<number[][]> {
  return upstream.execute(({ signal }) => api.embed(texts, signal), options);
}

/** What is embedded, with whatever else it carries. */
interface Text {
  readonly text: string;
}

export interface EmbedOptions {
  /** Every call goes through it: it bounds and repeats them, and its metrics are the figures of the run. */
  readonly upstream: Upstream;
  /** Passages in one call. */
  readonly size: number;
  /** Ends the run early. Aborted from within by the first error that all later calls would meet too. */
  readonly stop: AbortController;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** As many calls in flight as the upstream allows. Every passage is in the report, in input order, with its vector or why it has none. */
export function embedAll<P extends Text>(
  api: EmbeddingApi,
  passages: readonly P[],
  { upstream, size, stop, onProgress }: EmbedOptions,
): Promise<BatchReport<P, number[]>> {
  return chunkAllSettled(passages, (chunk, context) => embedChunk(api, chunk, context, stop), {
    size,
    // Without `retry`: the upstream has one.
    pool: upstream,
    // A chunk that waits for its next attempt holds no slot of the upstream, but a lane of the batch. So there are more lanes than slots.
    concurrency: 2 * (upstream.pool?.concurrency ?? 1),
    // One text that the API refuses must not cost its neighbours their vectors.
    onChunkError: 'split',
    signal: stop.signal,
    onProgress: ({ fulfilled, rejected }) => onProgress?.(fulfilled + rejected),
  });
}

/** The same calls one after the other, as a plain loop makes them: what `embedAll` is measured against. */
export async function embedOneByOne(
  api: EmbeddingApi,
  passages: readonly Text[],
  { upstream, size, stop, onProgress }: EmbedOptions,
): Promise<void> {
  for (let done = 0; done < passages.length; done += size) {
    const chunk = passages.slice(done, done + size);
    await upstream
      .execute((context) => embedChunk(api, chunk, context, stop), { signal: stop.signal })
      .catch(() => {
        // This run is about time only: what cannot be embedded is told by the other.
        stop.signal.throwIfAborted();
      });
    onProgress?.(done + chunk.length);
  }
}

async function embedChunk(
  api: EmbeddingApi,
  chunk: readonly Text[],
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
