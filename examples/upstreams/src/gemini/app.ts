import { type App, Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import { trigramVector } from '../llm/trigrams.js';
import { answerTo, countTokens } from './answer.js';
import { type GeminiLimits, Quota, QuotaProblem } from './quota.js';

export const GEMINI_MODEL = 'gemini-local';

export interface GeminiOptions {
  /** Default `local`. */
  readonly apiKey?: string;
  /** Speed of an answer, once it has begun. Default 100. */
  readonly tokensPerSecond?: number;
  /** Default: none. */
  readonly limits?: GeminiLimits;
}

export interface GeminiCounts {
  /** Answers that were begun. */
  generated: number;
  promptTokens: number;
  answerTokens: number;
  /** Of streams that were left before their end: what was not written any more. */
  tokensSaved: number;
  embedded: number;
}

interface Content {
  readonly role?: string;
  readonly parts?: readonly { readonly text?: string }[];
}

interface Asked {
  readonly content: string;
  readonly answer: string;
  readonly promptTokens: number;
}

const WORDS_IN_A_PART = /(?:\s*\S+){1,6}\s*/g;

const STATUS: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** The part of the Gemini API that generates, streams and embeds. Errors have no headers of use: what to wait is in their body. */
export function createGemini(options: GeminiOptions): App<GeminiCounts> {
  const { apiKey = 'local', tokensPerSecond = 100 } = options;
  const quota = new Quota(options.limits);

  const ask = async (exchange: Exchange): Promise<Asked> => {
    const model = admit(exchange, apiKey);
    const asked = read(await exchange.json());
    quota.take(exchange, model, asked.content, asked.promptTokens);
    return asked;
  };

  return {
    routes: {
      'POST /:version/models/:model:generateContent': async (exchange, counts) => {
        const asked = await ask(exchange);
        const tokens = countTokens(asked.answer);
        await exchange.through(asked.content, () => exchange.pause((1000 * tokens) / tokensPerSecond));
        count(counts, asked, tokens);
        exchange.send(200, part(asked, asked.answer, tokens, true));
      },
      'POST /:version/models/:model:streamGenerateContent': async (exchange, counts) => {
        const asked = await ask(exchange);
        const parts = asked.answer.match(WORDS_IN_A_PART) ?? [];
        const beforePart = await exchange.opening(asked.content);
        count(counts, asked, 0);
        exchange.startStream('text/event-stream');
        const whole = countTokens(asked.answer);
        let told = '';
        try {
          for (const [i, text] of parts.entries()) {
            // There are few parts, so with this one: a cut then falls before the last one at the latest.
            await beforePart((i + 1) / parts.length);
            await exchange.pause((1000 * countTokens(text)) / tokensPerSecond);
            told += text;
            counts.answerTokens += countTokens(text);
            const data = part(asked, text, countTokens(told), i === parts.length - 1);
            await exchange.write(`data: ${JSON.stringify(data)}\r\n\r\n`);
          }
          exchange.endStream();
        } finally {
          counts.tokensSaved += Math.max(0, whole - countTokens(told));
        }
      },
      'POST /:version/models/:model:batchEmbedContents': async (exchange, counts) => {
        const model = admit(exchange, apiKey);
        const { requests } = (await exchange.json()) as { requests?: readonly { content?: Content }[] };
        if (!Array.isArray(requests) || requests.length === 0 || requests.length > 100)
          throw new Problem(400, 'INVALID_ARGUMENT', 'BatchEmbedContentsRequest.requests: 1 to 100 are allowed.');
        const texts = requests.map(({ content }) => textOf(content));
        if (texts.includes('')) throw new Problem(400, 'INVALID_ARGUMENT', 'Text content is empty.');
        const content = texts.join('\n');
        quota.take(exchange, model, content, countTokens(content));
        await exchange.through(content, () => {});
        counts.embedded += texts.length;
        exchange.send(200, { embeddings: texts.map((text) => ({ values: trigramVector(text) })) });
      },
    },
    errorBody,
    newCounts: () => ({ generated: 0, promptTokens: 0, answerTokens: 0, tokensSaved: 0, embedded: 0 }),
  };
}

/** Returns the model. @throws {Problem} 400, 404. */
function admit({ request, params }: Exchange, apiKey: string): string {
  if (request.headers['x-goog-api-key'] !== apiKey)
    throw new Problem(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.');
  const { model = '' } = params;
  if (!model.startsWith('gemini'))
    throw new Problem(404, 'NOT_FOUND', `models/${model} is not found for API version v1beta.`);
  return model;
}

/** @throws {Problem} 400. */
function read({ contents, systemInstruction }: Readonly<Record<string, unknown>>): Asked {
  if (!Array.isArray(contents) || contents.length === 0)
    throw new Problem(400, 'INVALID_ARGUMENT', '* GenerateContentRequest.contents: contents is not specified');
  const system = textOf(systemInstruction as Content | undefined);
  const texts = contents.map(textOf);
  const content = [system, ...texts].join('\n');
  return { content, answer: answerTo(system, texts.at(-1) ?? ''), promptTokens: countTokens(content) };
}

function textOf(content: Content | undefined): string {
  return content?.parts?.map(({ text = '' }) => text).join('') ?? '';
}

function count(counts: GeminiCounts, { promptTokens }: Asked, answerTokens: number): void {
  counts.generated += 1;
  counts.promptTokens += promptTokens;
  counts.answerTokens += answerTokens;
}

function part({ promptTokens }: Asked, text: string, tokens: number, isLast: boolean): object {
  return {
    candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0, ...(isLast && { finishReason: 'STOP' }) }],
    usageMetadata: {
      promptTokenCount: promptTokens,
      candidatesTokenCount: tokens,
      totalTokenCount: promptTokens + tokens,
    },
    modelVersion: GEMINI_MODEL,
  };
}

function errorBody(problem: Problem): object {
  const { status, message, retryAfter } = problem;
  const details = [
    ...(problem instanceof QuotaProblem
      ? [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [problem.violation] }]
      : []),
    ...(retryAfter === undefined
      ? []
      : [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryAfter / 1000}s` }]),
  ];
  return {
    error: { code: status, message, status: STATUS[status] ?? 'UNKNOWN', ...(details.length > 0 && { details }) },
  };
}
