import { type App, Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import { chat } from './chat.js';
import { type Embedder, embeddings } from './embeddings.js';
import { type Limits, RateLimits } from './limits.js';
import { Model } from './model.js';
import { CHAT_MODEL, EMBEDDING_MODEL } from './names.js';
import { trigramVector } from './trigrams.js';

export interface LlmOptions {
  /** Default `local`. */
  readonly apiKey?: string;
  /** `model` (default): Universal Sentence Encoder lite, 512 dimensions. `trigrams`: instant, 256, and blind to meaning. */
  readonly embedder?: 'model' | 'trigrams';
  /** Speed of an answer, once it has begun. Default 80. */
  readonly tokensPerSecond?: number;
  /** Default: none. */
  readonly limits?: Limits;
  /** An input that contains this is a 400, as one over the model's length would be. */
  readonly refuse?: string;
}

export interface LlmCounts {
  /** Texts in answered calls for embeddings. */
  embedded: number;
  /** Tokens that were written to clients. */
  tokens: number;
  /** Written after the server knew that the client had left. A server that spends money on nobody would show it here. */
  tokensAfterLeaving: number;
}

/** The part of the OpenAI API that chats and embeds. `POST /_control/warm` with `{ input }` has vectors computed ahead. */
export function createLlm(options: LlmOptions): App<LlmCounts> {
  const { apiKey = 'local', embedder = 'model', tokensPerSecond = 80, refuse } = options;
  const limits = options.limits && new RateLimits(options.limits);
  const vectorOf = remembered(embedder === 'model' ? modelVectors() : async (text) => trigramVector(text));
  let requests = 0;

  /** @throws {Problem} 401. */
  const admit = (exchange: Exchange) => {
    exchange.setHeader('x-request-id', `req_${++requests}`);
    if (exchange.request.headers.authorization !== `Bearer ${apiKey}`)
      throw new Problem(401, 'invalid_api_key', 'Incorrect API key provided.');
  };

  return {
    routes: {
      'POST /v1/chat/completions': async (exchange, counts) => {
        admit(exchange);
        await chat(exchange, counts, { tokensPerSecond, limits, refuse });
      },
      'POST /v1/embeddings': async (exchange, counts) => {
        admit(exchange);
        await embeddings(exchange, counts, { vectorOf, limits, refuse });
      },
      'GET /v1/models': async (exchange) => {
        admit(exchange);
        const data = [CHAT_MODEL, EMBEDDING_MODEL].map((id) => ({
          id,
          object: 'model',
          created: 0,
          owned_by: 'local',
        }));
        exchange.send(200, { object: 'list', data });
      },
    },
    errorBody: ({ status, code, message }) => ({ error: { message, type: typeOf(status), code, param: null } }),
    newCounts: () => ({ embedded: 0, tokens: 0, tokensAfterLeaving: 0 }),
    controls: {
      warm: async (body) => {
        await Promise.all((body as { input: readonly string[] }).input.map(vectorOf));
      },
    },
  };
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

function modelVectors(): Embedder {
  const model = new Model();
  return (text) => model.vectorOf(text);
}

/** A text is embedded once, however often it is asked for. */
function remembered(embed: Embedder): Embedder {
  const vectors = new Map<string, ReturnType<Embedder>>();
  return (text) => {
    const known = vectors.get(text) ?? embed(text);
    vectors.set(text, known);
    return known;
  };
}
