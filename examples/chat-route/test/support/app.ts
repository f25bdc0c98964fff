import { BackgroundTasks } from 'paceline';
import {
  CHAT_MODEL,
  EMBEDDING_MODEL,
  type LlmCounts,
  type LlmOptions,
  type ShopCounts,
  startUpstream,
  type UpstreamServer,
  type Weather,
} from 'upstreams';
import { onTestFinished } from 'vitest';
import { createChatRoute } from '../../src/chat.js';
import { prepareCorpus } from '../../src/corpus.js';
import type { Database } from '../../src/database/database.js';
import { createServices, type Limits, type Services } from '../../src/services.js';

export interface AppOptions {
  /** Closed by the file that opened it: a database takes some seconds to start. */
  readonly database: Database;
  readonly llm?: LlmOptions & { readonly weather?: Weather };
  readonly shop?: { readonly weather?: Weather };
  readonly limits?: Partial<Limits>;
  readonly chatModel?: string;
}

export interface App {
  readonly services: Services;
  readonly llm: UpstreamServer<LlmCounts>;
  readonly shop: UpstreamServer<ShopCounts>;
  /** What was logged. */
  readonly lines: readonly string[];
  readonly POST: (request: Request) => Promise<Response>;
}

export const CHAT = 'POST /v1/chat/completions';
export const EMBED = 'POST /v1/embeddings';

/** The application over servers of its own, for one test. Its limits are generous: tests of a limit set it. */
export async function startApp(options: AppOptions): Promise<App> {
  const { database, llm: llmOptions, shop: shopOptions, limits, chatModel = CHAT_MODEL } = options;
  const [llm, shop] = await Promise.all([
    startUpstream('llm', { embedder: 'trigrams', tokensPerSecond: 1000, ...llmOptions, weather: {} }),
    startUpstream('shop', {}),
  ]);
  const lines: string[] = [];
  BackgroundTasks.shared = new BackgroundTasks({ concurrency: 8, maxQueue: 10_000 });
  const services = await createServices({
    openai: {
      baseURL: `${llm.url}/v1`,
      apiKey: 'local',
      chatModel,
      embeddingModel: EMBEDDING_MODEL,
      embeddingVersion: llmOptions?.embedder ?? 'trigrams',
    },
    shop: { url: shop.url, key: 'ck_local', secret: 'cs_local' },
    database: { query: database.query, close: async () => {} },
    limits: { contextTimeout: 5_000, searchTimeout: 4_000, ...limits },
    log: (line) => lines.push(line),
  });
  onTestFinished(async () => {
    await services.close({ grace: 5_000 });
    await Promise.all([llm.stop(), shop.stop()]);
  });
  await prepareCorpus(services);
  // Weather is for the requests of the test.
  await Promise.all([llm.setWeather(llmOptions?.weather ?? {}), shop.setWeather(shopOptions?.weather ?? {})]);
  await Promise.all([llm.reset(), shop.reset()]);
  return { services, llm, shop, lines, POST: createChatRoute(services) };
}

/** Looks until it is so. */
export async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 5));
}
