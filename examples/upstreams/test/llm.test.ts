import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { describe, expect, test } from 'vitest';
import { CHAT_MODEL, EMBEDDING_MODEL, type LlmOptions, type StartOptions, trigramVector } from '../src/index.js';
import { serve, until } from './support/serve.js';

async function llm(options: LlmOptions & StartOptions<'llm'> = {}) {
  const server = await serve('llm', { embedder: 'trigrams', tokensPerSecond: 2000, ...options });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'local', maxRetries: 0 });
  return { server, client };
}

const messages = [
  {
    role: 'system' as const,
    content: `You help the customers of a shop.

Passages:
[1] Returns: you may send back anything within 30 days, and we pay for the parcel.
[2] Opening hours: the workshop is open from Monday to Friday.

Products:
- Storm Jacket, $189.00, in stock: waterproof jacket for bike and trail.
- Steel Bottle 0.75, $27.90, in stock: keeps tea hot for twelve hours.`,
  },
  { role: 'user' as const, content: 'Which waterproof jacket do you have, and may I return it within 30 days?' },
];
const chat = { model: CHAT_MODEL, messages };

describe('chat with the openai client', () => {
  test('an answer uses the passages and products that it was given, and is the same each time', async () => {
    const { server, client } = await llm();
    const [first, second] = [await client.chat.completions.create(chat), await client.chat.completions.create(chat)];
    const text = first.choices[0]?.message.content ?? '';
    expect(text).toContain('you may send back anything within 30 days');
    expect(text).toContain('- Storm Jacket, $189.00');
    expect(text).not.toContain('Steel Bottle');
    expect(second.choices).toEqual(first.choices);
    expect(first.usage?.completion_tokens).toBeGreaterThan(40);
    expect(await server.stats()).toMatchObject({ requests: 2, byStatus: { 200: 2 }, peakInFlight: 1, inFlight: 0 });
  });

  test('a stream has the same text in small pieces, and its usage if asked for', async () => {
    const { server, client } = await llm();
    const whole = await client.chat.completions.create(chat);
    await server.reset();
    const stream = await client.chat.completions.create({
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    let usage: unknown;
    for await (const { choices, usage: told } of stream) {
      if (choices[0]?.delta.content) pieces.push(choices[0].delta.content);
      usage = told ?? usage;
    }
    expect(pieces.join('')).toBe(whole.choices[0]?.message.content);
    expect(pieces.length).toBe(whole.usage?.completion_tokens);
    expect(usage).toEqual(whole.usage);
    expect((await server.stats()).counts).toMatchObject({ tokens: pieces.length, tokensAfterLeaving: 0 });
  });

  test('tokens come at their rate, the first after the latency', async () => {
    const { client } = await llm({ tokensPerSecond: 100, weather: { latency: 200 } });
    const started = performance.now();
    const at: number[] = [];
    const stream = await client.chat.completions.create({ ...chat, stream: true, max_completion_tokens: 30 });
    for await (const { choices } of stream) if (choices[0]?.delta.content) at.push(performance.now() - started);
    expect(at).toHaveLength(30);
    expect(at[0]).toBeGreaterThanOrEqual(199);
    expect((at.at(-1) ?? 0) - (at[0] ?? 0)).toBeGreaterThan(200);
  });

  test('a client that leaves a stream is seen at once, and no further token is made for it', async () => {
    const { server, client } = await llm({ tokensPerSecond: 50 });
    const abort = new AbortController();
    const stream = await client.chat.completions.create({ ...chat, stream: true }, { signal: abort.signal });
    let read = 0;
    for await (const _ of stream) if (++read === 5) abort.abort();
    await until(async () => (await server.stats()).inFlight === 0);
    const { counts, closedEarly, byStatus } = await server.stats();
    expect({ closedEarly, byStatus }).toEqual({ closedEarly: 1, byStatus: {} });
    expect(counts.tokensAfterLeaving).toBe(0);
    expect(counts.tokens).toBeLessThan(20);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await server.stats()).counts).toEqual(counts);
  });

  test('a client that leaves before the answer is seen too', async () => {
    const { server, client } = await llm({ weather: { outage: 'hang' } });
    const answer = client.chat.completions.create(chat, { signal: AbortSignal.timeout(50) });
    await expect(answer).rejects.toBeInstanceOf(APIUserAbortError);
    await until(async () => (await server.stats()).inFlight === 0);
    expect(await server.stats()).toMatchObject({ requests: 1, closedEarly: 1, peakInFlight: 1 });
  });

  test('a stream that is cut ends in an error after some of its text', async () => {
    const { server, client } = await llm({ weather: { outage: 'cut' } });
    const stream = await client.chat.completions.create({ ...chat, stream: true });
    let text = '';
    const reading = (async () => {
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    })();
    await expect(reading).rejects.toThrow('terminated');
    expect(text.length).toBeGreaterThan(10);
    expect(await server.stats()).toMatchObject({ cut: 1, closedEarly: 0, inFlight: 0 });
  });

  test('a stream that stalls stays open after some of its text, until the client has had enough', async () => {
    const { server, client } = await llm({ weather: { outage: 'stall' } });
    const stream = await client.chat.completions.create({ ...chat, stream: true });
    setTimeout(() => stream.controller.abort(), 300);
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    expect(text.length).toBeGreaterThan(10);
    await until(async () => (await server.stats()).inFlight === 0);
    expect(await server.stats()).toMatchObject({ closedEarly: 1, byStatus: {} });
  });
});

describe('embeddings with the openai client', () => {
  test('base64, which the client asks for, and numbers give the same vectors, in order', async () => {
    const { server, client } = await llm();
    const input = ['rain', 'sunshine'];
    const expected = input.map((text) => [...new Float32Array(trigramVector(text))]);
    for (const encoding_format of [undefined, 'float'] as const) {
      const { data, usage } = await client.embeddings.create({
        model: EMBEDDING_MODEL,
        input,
        ...(encoding_format && { encoding_format }),
      });
      expect(data.map(({ embedding }) => [...new Float32Array(embedding)])).toEqual(expected);
      expect(usage.prompt_tokens).toBeGreaterThan(0);
    }
    expect((await server.stats()).counts.embedded).toBe(4);
  });

  test('the model knows what is meant, not what is spelled', { timeout: 60_000 }, async () => {
    const { client } = await llm({ embedder: 'model' });
    const input = [
      'Should sick people rest?',
      'The doctor told the patient to stay in bed.',
      'The program limits requests.',
    ];
    const { data } = await client.embeddings.create({ model: EMBEDDING_MODEL, input });
    const [question = [], near = [], far = []] = data.map(({ embedding }) => embedding);
    const cosine = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
    expect(question).toHaveLength(512);
    expect(cosine(question, question)).toBeCloseTo(1, 2);
    expect(cosine(question, near)).toBeGreaterThan(cosine(question, far) + 0.1);
  });
});

describe('errors as the openai client knows them', () => {
  test('a wrong key, a bad body, an unknown model and an unknown route', async () => {
    const { server, client } = await llm();
    const stranger = client.withOptions({ apiKey: 'wrong' });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError);
    await expect(client.chat.completions.create({ ...chat, messages: [] })).rejects.toBeInstanceOf(BadRequestError);
    const blank = client.embeddings.create({ model: EMBEDDING_MODEL, input: ['a', ' '] });
    await expect(blank).rejects.toMatchObject({ status: 400, code: 'invalid_input', type: 'invalid_request_error' });
    await expect(client.chat.completions.create({ ...chat, model: 'gpt' })).rejects.toBeInstanceOf(NotFoundError);
    await expect(client.get('/nothing')).rejects.toMatchObject({ status: 404, code: 'not_found' });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([CHAT_MODEL, EMBEDDING_MODEL]);
    expect((await server.stats()).byStatus).toEqual({ 200: 1, 400: 2, 401: 1, 404: 2 });
  });

  test('the limit of requests per minute is told in headers, and kept', async () => {
    const { client } = await llm({ limits: { requestsPerMinute: 60 } });
    const models = Array.from({ length: 60 }, (_, i) =>
      client.embeddings.create({ model: EMBEDDING_MODEL, input: `${i}` }),
    );
    await Promise.all(models);
    const { response } = await client.chat.completions
      .create(chat)
      .withResponse()
      .catch((error) => ({ response: error }));
    expect(response).toBeInstanceOf(RateLimitError);
    expect(response).toMatchObject({ status: 429, code: 'rate_limit_exceeded', requestID: expect.any(String) });
    const header = (name: string) => response.headers.get(name);
    expect(header('x-ratelimit-limit-requests')).toBe('60');
    expect(header('x-ratelimit-remaining-requests')).toBe('0');
    expect(header('x-ratelimit-reset-requests')).toMatch(/^\d+(\.\d+)?(s|ms)$/);
    expect(header('retry-after')).toBe('1');
    expect(Number(header('retry-after-ms'))).toBeGreaterThan(0);
    expect(Number(header('retry-after-ms'))).toBeLessThanOrEqual(1000);
  });

  test('the limit of tokens per minute counts what is asked and answered', async () => {
    const { client } = await llm({ limits: { tokensPerMinute: 1000 } });
    const { response, data } = await client.chat.completions.create(chat).withResponse();
    const used = data.usage?.total_tokens ?? 0;
    expect(Number(response.headers.get('x-ratelimit-remaining-tokens'))).toBeGreaterThanOrEqual(1000 - used);
    expect(Number(response.headers.get('x-ratelimit-remaining-tokens'))).toBeLessThan(1000 - used + 60);
    const tooLarge = client.embeddings.create({ model: EMBEDDING_MODEL, input: 'word '.repeat(1200) });
    const error = await tooLarge.catch((reason) => reason);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.headers.get('x-should-retry')).toBe('false');
  });
});
