import { CHAT_MODEL, EMBEDDING_MODEL, startUpstream, type UpstreamServer } from 'upstreams';
import { messageOf, UserError } from './errors.js';
import type { LocalOptions } from './options.js';
import type { ServicesOptions } from './services.js';

type Service = Pick<ServicesOptions, 'openai' | 'shop'>;

/** A local server for each service that is not given. They end with this process. @throws {UserError} */
export async function withLocal(
  { openai, shop }: { [N in keyof Service]: Service[N] | undefined },
  { latency, faultRate, embedder }: LocalOptions,
  onDeath: (reason: string) => void,
): Promise<Service & { readonly servers: readonly UpstreamServer[] }> {
  const weather = { latency: { median: latency }, faults: { rate: faultRate } };
  try {
    const [llm, store] = await Promise.all([
      openai === undefined ? startUpstream('llm', { weather, embedder }) : undefined,
      shop === undefined ? startUpstream('shop', { weather }) : undefined,
    ]);
    const servers = [llm, store].filter((server) => server !== undefined);
    for (const server of servers) void server.died.then(onDeath);
    return {
      openai: openai ?? {
        baseURL: `${llm?.url}/v1`,
        apiKey: 'local',
        chatModel: CHAT_MODEL,
        embeddingModel: EMBEDDING_MODEL,
        embeddingVersion: embedder,
      },
      shop: shop ?? { url: store?.url ?? '', key: 'ck_local', secret: 'cs_local' },
      servers,
    };
  } catch (error) {
    throw new UserError(messageOf(error), { cause: error });
  }
}
