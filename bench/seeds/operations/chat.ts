import { randomUUID } from 'node:crypto';
import { BackgroundTasks } from 'paceline';
import { createChatRoute } from '../../../examples/chat-route/src/chat.js';
import { prepareCorpus } from '../../../examples/chat-route/src/corpus.js';
import { promptOf } from '../../../examples/chat-route/src/prompt.js';
import { createServices, type Services } from '../../../examples/chat-route/src/services.js';
import { CHAT_MODEL, EMBEDDING_MODEL } from '../../../examples/upstreams/src/index.js';
import { LATENCIES } from '../latencies.js';
import type { Bench } from '../operation.js';
import type { World } from '../world.js';

const QUESTION = 'Which waterproof jacket do you have, and may I send it back within 30 days?';
const EARLIER = { question: 'Do you ship to Norway?', answer: 'Yes, within a week.' };
const EXCHANGES = 6;
const PASSAGES = 4;

/** Seed 1, 1: the route of the chat example, until the first token is there. */
export async function chat({ servers, database }: World): Promise<Bench> {
  const { embedding, shop: shopMs, firstToken } = LATENCIES.chat;
  const [llm, shop] = await Promise.all([
    servers.upstream('llm', {
      embedder: 'trigrams',
      tokensPerSecond: 1_000,
      weather: {
        routes: {
          'POST /v1/embeddings': { latency: embedding },
          'POST /v1/chat/completions': { latency: firstToken },
        },
      },
    }),
    servers.upstream('shop', { weather: { latency: shopMs } }),
  ]);
  const near = await database.near;
  await near.query('create table conversations (id text primary key, at timestamptz not null)');
  const create = (id: string) => database.query('insert into conversations values ($1, now())', [id]);

  // New ones for each turn: nothing is remembered from the turn before.
  let services: Services | undefined;
  let conversation = '';
  async function reset(): Promise<void> {
    await services?.close({ grace: 5_000 });
    BackgroundTasks.shared = new BackgroundTasks({ concurrency: 8, maxQueue: 1_000 });
    services = await createServices({
      openai: {
        baseURL: `${llm.url}/v1`,
        apiKey: 'local',
        chatModel: CHAT_MODEL,
        embeddingModel: EMBEDDING_MODEL,
        embeddingVersion: 'trigrams',
      },
      shop: { url: shop.url, key: 'ck_local', secret: 'cs_local' },
      database: { query: (text, params) => database.query(text, params), close: async () => {} },
    });
    await prepareCorpus(services);
    conversation = randomUUID();
    const earlier = questionOf(EARLIER.question, conversation);
    await services.store.saveQuestion(earlier);
    await services.store.saveAnswer(earlier, EARLIER.answer, true, new Date());
    await Promise.all([llm.reset(), shop.reset()]);
  }
  const current = (): Services => {
    if (services === undefined) throw new Error('Not ready.');
    return services;
  };
  /** What was answered, and how many calls that took. */
  const withCalls = async (text: string) => {
    const [asked, searched] = await Promise.all([llm.stats(), shop.stats()]);
    return { text, calls: { llm: asked.requests, shop: searched.requests } };
  };

  return {
    ways: {
      async sequential() {
        const { store, vectorOf, products, model } = current();
        const { signal } = new AbortController();
        const question = questionOf(QUESTION, conversation);
        await create(conversation);
        await store.saveQuestion(question);
        const vector = await vectorOf(question.text, signal);
        const passages = await store.nearest(vector, PASSAGES, signal);
        const found = await products(question.text, signal);
        const history = await store.history(question, EXCHANGES, signal);
        const tokens = model.answer(promptOf(question.text, { history, passages, products: found }), signal);
        const first = await tokens.next();
        return async () => {
          let text = first.value ?? '';
          for await (const token of tokens) text += token;
          return withCalls(text);
        };
      },
      async paceline() {
        const route = createChatRoute(current());
        const body = JSON.stringify({ conversation, message: QUESTION });
        await create(conversation);
        const response = await route(new Request('http://localhost/api/chat', { method: 'POST', body }));
        return async () => withCalls(textOf(await response.text()));
      },
    },
    rows: [
      {
        name: 'Chat route, until the first token',
        before: 'sequential',
        after: 'paceline',
        claim: { below: 500, gain: { kind: 'less', from: 0.3, to: 0.4 } },
      },
    ],
    reset,
    async close() {
      await services?.close({ grace: 5_000 });
      await Promise.all([llm.stop(), shop.stop()]);
    },
  };
}

function questionOf(text: string, conversation: string) {
  return { id: randomUUID(), conversation, view: 'visitor', text, at: new Date() };
}

/** @throws {Error} something was missing. */
function textOf(events: string): string {
  const all = [...events.matchAll(/^event: (\w+)\ndata: (.*)$/gm)];
  const odd = all.find(([, event]) => event !== 'token' && event !== 'done');
  if (odd !== undefined) throw new Error(`The route told a ${odd[1]}: ${odd[2]}`);
  const tokens = all.filter(([, event]) => event === 'token');
  return tokens.map(([, , data = '']) => (JSON.parse(data) as { text: string }).text).join('');
}
