import {
  EMBEDDING_MODEL,
  type Faults,
  type LlmCounts,
  startUpstream,
  trigramVector,
  type UpstreamServer,
} from 'upstreams';
import { onTestFinished } from 'vitest';
import type { Service } from '../../src/embed.js';

export interface ServerOptions {
  /** ms */
  readonly delay?: number;
  readonly faults?: Faults;
  readonly refuse?: string;
}

/** A server with instant vectors for one test, and how to reach it. */
export async function serve({ delay = 20, faults = {}, refuse }: ServerOptions = {}): Promise<{
  server: UpstreamServer<LlmCounts>;
  service: Service;
}> {
  const weather = { latency: { median: delay }, faults };
  const server = await startUpstream('llm', {
    embedder: 'trigrams',
    weather,
    ...(refuse === undefined ? {} : { refuse }),
  });
  onTestFinished(() => server.stop());
  return { server, service: { baseURL: `${server.url}/v1`, apiKey: 'local', model: EMBEDDING_MODEL } };
}

/** The vectors that the texts must end up with, as the wire's float32 leaves them. */
export function vectorsOf(texts: readonly { text: string }[]): number[][] {
  return texts.map(({ text }) => [...new Float32Array(trigramVector(text))]);
}
