import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Counters, type ServerStats } from './stats.js';
import { delayOf, faultDelay, faultOf, type WeatherOptions } from './weather.js';

export interface AppOptions extends WeatherOptions {
  readonly apiKey: string;
  /** Seconds, in the header of every 429. */
  readonly retryAfter: number;
  /** A text that contains this is a 400, as one over the model's length would be. */
  readonly refuse?: string | undefined;
  readonly vectorOf: (text: string) => Promise<readonly number[]>;
}

interface EmbeddingRequest {
  readonly model: string;
  readonly input: readonly string[];
  readonly base64: boolean;
}

/**
 * The part of the OpenAI API that embeds, and three routes of its own: `GET /stats`, `POST /reset` (a new run: counters at zero) and
 * `POST /warm` (vectors computed ahead).
 */
export function createApp(options: AppOptions): Server {
  let counters = new Counters();
  let limitedAt = new Map<string, number>();
  const vectors = new Map<string, Promise<readonly number[]>>();
  const vectorOf = (text: string) => {
    const known = vectors.get(text) ?? options.vectorOf(text);
    vectors.set(text, known);
    return known;
  };

  async function embeddings(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const run = counters;
    run.calls += 1;
    run.inFlight += 1;
    run.peakInFlight = Math.max(run.peakInFlight, run.inFlight);
    const callNumber = run.calls;
    const left = new AbortController();
    response.on('close', () => {
      run.inFlight -= 1;
      if (response.writableFinished) return;
      run.abandoned += 1;
      left.abort();
    });

    if (request.headers.authorization !== `Bearer ${options.apiKey}`) {
      run.rejected += 1;
      return fail(response, 401, 'Incorrect API key provided.', 'invalid_api_key');
    }
    const asked = parse(await bodyOf(request));
    if (
      asked === undefined ||
      asked.input.some((text) => options.refuse !== undefined && text.includes(options.refuse))
    ) {
      run.rejected += 1;
      return fail(response, 400, 'An input is empty, too long or not a text.', 'invalid_input');
    }
    noteReturn(asked.input, run);

    const fault = faultOf(callNumber, options);
    if (fault !== undefined) {
      await sleep(faultDelay(options), undefined, { signal: left.signal });
      if (fault === 'broken') {
        run.broken += 1;
        return fail(response, 500, 'The server had an error.', 'server_error');
      }
      run.rateLimited += 1;
      limitedAt.set(asked.input.join('\n'), performance.now());
      return fail(response, 429, 'Rate limit reached.', 'rate_limit_exceeded', {
        'retry-after': String(options.retryAfter),
      });
    }

    const [answers] = await Promise.all([
      Promise.all(asked.input.map(vectorOf)),
      sleep(delayOf(asked.input, options), undefined, { signal: left.signal }),
    ]);
    run.answered += 1;
    run.passages += asked.input.length;
    send(response, 200, {
      object: 'list',
      model: asked.model,
      data: answers.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: asked.base64 ? base64(vector) : vector,
      })),
      usage: { prompt_tokens: 0, total_tokens: 0 },
    });
  }

  function noteReturn(input: readonly string[], run: Counters): void {
    const key = input.join('\n');
    const at = limitedAt.get(key);
    if (at === undefined) return;
    limitedAt.delete(key);
    const away = performance.now() - at;
    run.cameBackAfterMs.push(Math.round(away));
    if (away < options.retryAfter * 1000) run.tooEarly += 1;
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (`${request.method} ${request.url}`) {
      case 'POST /v1/embeddings':
        return embeddings(request, response);
      case 'GET /stats':
        return send(response, 200, counters satisfies ServerStats);
      case 'POST /reset':
        counters = new Counters();
        limitedAt = new Map();
        return send(response, 200, {});
      case 'POST /warm': {
        const asked = parse(await bodyOf(request));
        await Promise.all((asked?.input ?? []).map(vectorOf));
        return send(response, 200, {});
      }
      default:
        return fail(response, 404, 'No such route.', 'not_found');
    }
  }

  return createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      // A caller that left takes the rest of its call with it; anything else is a bug, and must not look like one of the faults.
      if (!response.destroyed) response.destroy();
      if (!(error instanceof Error && error.name === 'AbortError') && !request.destroyed) throw error;
    });
  });
}

function parse(body: string): EmbeddingRequest | undefined {
  try {
    const { model, input, encoding_format } = JSON.parse(body) as {
      model?: unknown;
      input?: unknown;
      encoding_format?: unknown;
    };
    const texts = typeof input === 'string' ? [input] : input;
    if (!Array.isArray(texts) || texts.length === 0) return undefined;
    if (!texts.every((text): text is string => typeof text === 'string' && text.trim() !== '')) return undefined;
    return { model: String(model), input: texts, base64: encoding_format === 'base64' };
  } catch {
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  request.setEncoding('utf8');
  for await (const chunk of request) body += chunk;
  return body;
}

/** The openai client asks for float32 in base64, a quarter of the bytes of JSON numbers. */
function base64(vector: readonly number[]): string {
  return Buffer.from(new Float32Array(vector).buffer).toString('base64');
}

function fail(
  response: ServerResponse,
  status: number,
  message: string,
  code: string,
  headers: Record<string, string> = {},
): void {
  send(response, status, { error: { message, type: code, code, param: null } }, headers);
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
