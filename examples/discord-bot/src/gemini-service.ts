import { GoogleGenAI } from '@google/genai';
import type { BotConfig } from './config.js';
import type { ContextBuilder } from './context.js';
import type { Globals } from './globals.js';
import { type Prompt, promptOf } from './prompt.js';
import { keyOf, type Question } from './question.js';

/** The model behind everything that protects it. */
export class GeminiService {
  readonly #globals: Globals;
  readonly #context: ContextBuilder;
  readonly #client: GoogleGenAI;
  readonly #model: string;

  constructor(globals: Globals, context: ContextBuilder, { gemini }: BotConfig) {
    this.#globals = globals;
    this.#context = context;
    this.#model = gemini.model;
    const { apiKey, baseUrl } = gemini;
    // Its own repeats are off, which is its default: in two places they multiply.
    this.#client = new GoogleGenAI({ apiKey, ...(baseUrl && { httpOptions: { baseUrl } }) });
  }

  /** The answer as it is written. Who asks the same meanwhile, or just after, reads the same one: context and all. */
  answer(question: Question, signal: AbortSignal): AsyncIterable<string> {
    const { globalCoalescers, shared } = this.#globals;
    return globalCoalescers.geminiGeneration.stream(
      shared(keyOf(question)),
      async ({ signal }) =>
        this.generate(promptOf(question, await this.#context.build(question, signal)), question.user.id, signal),
      { signal },
    );
  }

  /** Retried until the first part, in a slot of the pool, within both quotas. */
  generate({ system, text, tokens }: Prompt, userId: string, signal: AbortSignal): AsyncIterable<string> {
    const request = { model: this.#model, contents: text };
    return this.#globals.gemini.stream(
      async ({ signal }) => {
        const config = { systemInstruction: system, abortSignal: signal };
        return textsOf(await this.#client.models.generateContentStream({ ...request, config }));
      },
      { signal, cost: tokens, group: userId },
    );
  }
}

async function* textsOf(parts: AsyncIterable<{ readonly text: string | undefined }>): AsyncGenerator<string> {
  for await (const { text } of parts) if (text) yield text;
}
