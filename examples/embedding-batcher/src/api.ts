import OpenAI, { APIConnectionError, APIError } from 'openai';
import { getRetryInfo, isPacelineError } from 'paceline';
import { codeOf, messageOf, UserError } from './errors.js';

export interface Service {
  readonly baseURL: string;
  readonly apiKey: string;
  readonly model: string;
}

export interface EmbeddingApi {
  readonly baseURL: string;
  readonly model: string;
  /** One call. Whoever makes it goes through an upstream: see `embeddingUpstream`. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<number[][]>;
}

export function connect({ baseURL, apiKey, model }: Service): EmbeddingApi {
  // Retries in two places multiply: 3 calls of the client's for each of our 5 is 15, and nobody counts them.
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return {
    baseURL,
    model,
    async embed(texts, signal) {
      try {
        const { data } = await client.embeddings.create({ model, input: [...texts] }, { signal });
        return data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
      } catch (error) {
        // The client trips over an answer that is not of this API, such as the login page of a proxy.
        throw error instanceof APIError
          ? error
          : new UserError(`No embedding API at ${baseURL}: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}

/** True for what no other passage fares better with: a wrong key, an unknown model. */
export function isHopeless(error: unknown): boolean {
  return error instanceof APIError && [401, 403, 404].includes(error.status ?? 0);
}

/** True where no answer came. It may be a moment's trouble, or a server that is gone. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof APIConnectionError;
}

/** What went wrong with the API in one line. Anything else is a bug of ours and passes as it is. */
export function explain(error: unknown, { baseURL, model }: Pick<EmbeddingApi, 'baseURL' | 'model'>): unknown {
  const line = (() => {
    if (isPacelineError(error, 'TIMEOUT'))
      return `The embedding API at ${baseURL} did not answer within ${error.timeout} ms`;
    if (error instanceof APIConnectionError)
      return `Cannot reach the embedding API at ${baseURL}: ${rootCauseOf(error)}`;
    if (!(error instanceof APIError)) return undefined;
    if (error.status === 401 || error.status === 403)
      return `The embedding API at ${baseURL} refuses the key: ${error.message}`;
    if (error.status === 404)
      return `The embedding API at ${baseURL} does not know the model ${model}: ${error.message}`;
    return `The embedding API at ${baseURL} failed: ${error.message}`;
  })();
  if (line === undefined) return error;
  const attempts = getRetryInfo(error)?.attempts ?? 1;
  return new UserError(attempts > 1 ? `${line} (tried ${attempts} times)` : line, { cause: error });
}

function rootCauseOf(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  return codeOf(root) ?? messageOf(root);
}
