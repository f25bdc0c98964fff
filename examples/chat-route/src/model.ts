import OpenAI from 'openai';
import type { Message } from './prompt.js';

export interface ModelService {
  readonly baseURL: string;
  readonly apiKey: string;
  readonly model: string;
}

export interface ChatModel {
  readonly model: string;
  /** One call, streamed: the answer in pieces. Whoever makes it goes through the upstream. */
  answer(messages: readonly Message[], signal: AbortSignal): AsyncGenerator<string, void, undefined>;
}

export function connectModel({ baseURL, apiKey, model }: ModelService): ChatModel {
  // Retries in two places multiply, and the upstream has some.
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return {
    model,
    async *answer(messages, signal) {
      const stream = await client.chat.completions.create({ model, stream: true, messages: [...messages] }, { signal });
      for await (const { choices } of stream) {
        const text = choices[0]?.delta.content ?? '';
        // The first chunk only names the role. Not passed on, it does not count as one yet: a stream is repeated until its first chunk.
        if (text !== '') yield text;
      }
    },
  };
}
