import { ApiError, GoogleGenAI } from '@google/genai';
import { classifyError, retryAfter } from 'paceline';
import { describe, expect, test } from 'vitest';
import { GEMINI_MODEL, type GeminiOptions, type StartOptions } from '../src/index.js';
import { serve, until } from './support/serve.js';

const model = GEMINI_MODEL;

async function gemini(options: GeminiOptions & StartOptions<'gemini'> = {}) {
  const server = await serve('gemini', { tokensPerSecond: 5_000, ...options });
  const client = new GoogleGenAI({ apiKey: 'local', httpOptions: { baseUrl: server.url } });
  const ask = (contents = 'When do I use Promise.allSettled?') => client.models.generateContent({ model, contents });
  return { server, client, ask };
}

const errorOf = (promise: Promise<unknown>): Promise<ApiError> =>
  promise.then(
    () => expect.fail('It answered'),
    (e) => e,
  );

describe('answers', () => {
  test('the same question gets the same answer, whole or streamed, with its usage', async () => {
    const { server, client } = await gemini();
    const config = { systemInstruction: 'You help. You talk to Mira.' };
    const request = { model, contents: 'When do I use Promise.allSettled?', config };
    const whole = await client.models.generateContent(request);
    const parts: string[] = [];
    let usage: unknown;
    for await (const part of await client.models.generateContentStream(request)) {
      parts.push(part.text ?? '');
      usage = part.usageMetadata;
    }
    expect(whole.text).toMatch(/^Mira: .*allSettled/);
    expect(parts.join('')).toBe(whole.text);
    expect(parts.length).toBeGreaterThan(3);
    expect(usage).toMatchObject({ promptTokenCount: whole.usageMetadata?.promptTokenCount });
    expect((await server.stats()).counts).toMatchObject({ generated: 2, tokensSaved: 0 });
  });

  test('embeddings, one for each text', async () => {
    const { client, server } = await gemini();
    const { embeddings = [] } = await client.models.embedContent({
      model: 'gemini-embedding-001',
      contents: ['one', 'two'],
    });
    expect(embeddings.map(({ values }) => values?.length)).toEqual([256, 256]);
    expect((await server.stats()).counts.embedded).toBe(2);
  });

  test('a stream that is aborted is not written on', async () => {
    const { client, server } = await gemini({ tokensPerSecond: 50 });
    const stop = new AbortController();
    const config = { abortSignal: stop.signal };
    const stream = await client.models.generateContentStream({ model, contents: 'await in a loop?', config });
    await stream.next();
    stop.abort();
    await expect(stream.next()).rejects.toThrow();
    await until(async () => (await server.stats()).closedEarly === 1);
    expect((await server.stats()).counts.tokensSaved).toBeGreaterThan(20);
  });
});

describe('errors, of which the client gives only a status and a text', () => {
  test('requests a minute: the wait is in the details, and the library finds it', async () => {
    const { server, ask } = await gemini({ limits: { requestsPerMinute: 2, minute: 400 } });
    await Promise.all([ask(), ask('retry?')]);
    const error = await errorOf(ask());
    expect(error).toBeInstanceOf(ApiError);
    expect(error.status).toBe(429);
    expect(error.message).toContain('GenerateRequestsPerMinutePerProjectPerModel');
    expect(classifyError(error)).toBe('overload');
    const wait = retryAfter(error) ?? Number.NaN;
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(400);
    await new Promise((resolve) => setTimeout(resolve, wait));
    await ask();
    expect((await server.stats()).tooEarly).toBe(0);
  });

  test('tokens a minute are those of the prompts', async () => {
    const { ask } = await gemini({ limits: { tokensPerMinute: 100 } });
    await ask('a'.repeat(240));
    const error = await errorOf(ask('b'.repeat(240)));
    expect(error.status).toBe(429);
    expect(error.message).toContain('GenerateContentInputTokensPerModelPerMinute');
    expect(retryAfter(error)).toBeGreaterThan(50_000);
    await ask('a short one');
  });

  test('an outage, a wrong key, an unknown model', async () => {
    const { server, client, ask } = await gemini({ weather: { outage: 'unavailable' } });
    const down = await errorOf(ask());
    expect([down.status, classifyError(down), retryAfter(down)]).toEqual([503, 'overload', 1000]);
    await server.setWeather({ outage: false });
    await ask();
    const stranger = new GoogleGenAI({ apiKey: 'wrong', httpOptions: { baseUrl: server.url } });
    expect((await errorOf(stranger.models.generateContent({ model, contents: 'hi' }))).status).toBe(400);
    expect((await errorOf(client.models.generateContent({ model: 'other', contents: 'hi' }))).status).toBe(404);
  });
});
