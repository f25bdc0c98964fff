import { equal, ok } from 'node:assert/strict';
import { connect, embedAll, embeddingUpstream, embedTexts } from '../../../examples/embedding-batcher/src/embed.js';
import { EMBEDDING_MODEL } from '../../../examples/upstreams/src/index.js';
import { LATENCIES } from '../latencies.js';
import type { Bench } from '../operation.js';
import type { World } from '../world.js';

const TEXTS = 320;
const SIZE = 20;
const AT_ONCE = 3;

/** Seed 1, 3: a long document, through the code of the embedding batcher. Some calls fail and are repeated. */
export async function embeddings({ servers }: World): Promise<Bench> {
  const llm = await servers.upstream('llm', {
    embedder: 'trigrams',
    weather: {
      seed: 2,
      latency: LATENCIES.embeddings,
      faults: { rate: 0.1, kinds: ['broken', 'rate-limited'], retryAfter: 300 },
    },
  });
  const api = connect({ baseURL: `${llm.url}/v1`, apiKey: 'local', model: EMBEDDING_MODEL });
  const passages = Array.from({ length: TEXTS }, (_, i) => ({
    text: `Passage ${i} of a long document: ${'what it says, '.repeat(1 + (i % 7))}and no more.`,
  }));
  const withCalls = (vectors: readonly (readonly number[])[], atOnce: number) => async () => {
    const { requests, peakInFlight } = await llm.stats();
    equal(peakInFlight, atOnce, `${peakInFlight} calls at once instead of ${atOnce}`);
    ok(requests > TEXTS / SIZE, 'No call failed');
    return { vectors, requests };
  };
  return {
    ways: {
      async sequential() {
        const upstream = embeddingUpstream(1);
        const vectors: number[][] = [];
        for (let i = 0; i < TEXTS; i += SIZE) {
          const texts = passages.slice(i, i + SIZE).map(({ text }) => text);
          vectors.push(...(await embedTexts(api, upstream, texts)));
        }
        return withCalls(vectors, 1);
      },
      async paceline() {
        const upstream = embeddingUpstream(AT_ONCE);
        const report = await embedAll(api, passages, { upstream, size: SIZE, stop: new AbortController() });
        return withCalls(report.unwrap(), AT_ONCE);
      },
    },
    rows: [
      {
        name: `Embeddings, ${TEXTS} texts, ${SIZE} a call, ${AT_ONCE} calls at once`,
        before: 'sequential',
        after: 'paceline',
        claim: { gain: { kind: 'factor', from: 2, to: 3 } },
      },
    ],
    reset: () => llm.reset(),
    close: () => llm.stop(),
  };
}
