import { BackgroundTasks } from 'paceline';
import { CHAT_MODEL, EMBEDDING_MODEL, startUpstream } from 'upstreams';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { POST } from '../src/route.js';
import { answerOf, requestOf } from './support/ask.js';

afterEach(() => void vi.unstubAllEnvs());

test('as a Next.js route it takes its services from the environment, and says what is missing until it is there', {
  timeout: 60_000,
}, async () => {
  vi.stubEnv('OPENAI_BASE_URL', '');
  await expect(POST(requestOf())).rejects.toThrow('Set OPENAI_BASE_URL and OPENAI_API_KEY');

  const [llm, shop] = await Promise.all([startUpstream('llm', { embedder: 'trigrams' }), startUpstream('shop', {})]);
  onTestFinished(async () => {
    await BackgroundTasks.shared.close();
    await Promise.all([llm.stop(), shop.stop()]);
  });
  const env = {
    OPENAI_BASE_URL: `${llm.url}/v1`,
    OPENAI_API_KEY: 'local',
    OPENAI_CHAT_MODEL: CHAT_MODEL,
    OPENAI_EMBEDDING_MODEL: EMBEDDING_MODEL,
    WOOCOMMERCE_URL: shop.url,
    WOOCOMMERCE_KEY: 'ck_local',
    WOOCOMMERCE_SECRET: 'cs_local',
  };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const answers = await Promise.all([POST(requestOf()), POST(requestOf())].map(async (one) => answerOf(await one)));
  expect(answers).toMatchObject([{ status: 200 }, { status: 200 }]);
});
