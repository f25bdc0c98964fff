import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import type { LlmCounts } from './app.js';
import type { RateLimits } from './limits.js';
import { EMBEDDING_MODEL } from './names.js';
import { countTokens } from './tokens.js';

export type Embedder = (text: string) => Promise<readonly number[]>;

const MOST_INPUTS = 2048;

/** `POST /v1/embeddings`. */
export async function embeddings(
  exchange: Exchange,
  counts: LlmCounts,
  { vectorOf, limits, refuse }: { vectorOf: Embedder; limits: RateLimits | undefined; refuse: string | undefined },
): Promise<void> {
  const body = await exchange.json();
  const texts = textsOf(body, refuse);
  const content = texts.join('\n');
  const tokens = countTokens(content);
  limits?.take(exchange, content, tokens);

  const vectors = await exchange.through(content, () => Promise.all(texts.map(vectorOf)));
  counts.embedded += texts.length;
  exchange.send(200, {
    object: 'list',
    model: EMBEDDING_MODEL,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: body.encoding_format === 'base64' ? base64(vector) : vector,
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

function textsOf({ model, input, dimensions }: Readonly<Record<string, unknown>>, refuse: string | undefined) {
  if (model !== EMBEDDING_MODEL)
    throw new Problem(404, 'model_not_found', `The model \`${model}\` does not exist; try \`${EMBEDDING_MODEL}\`.`);
  if (dimensions !== undefined)
    throw new Problem(400, 'invalid_dimensions', 'This model does not support specifying dimensions.');
  const texts: unknown = typeof input === 'string' ? [input] : input;
  if (!Array.isArray(texts) || texts.length === 0 || texts.length > MOST_INPUTS)
    throw new Problem(400, 'invalid_input', `\`input\` must be a text or an array of 1 to ${MOST_INPUTS} texts.`);
  const isText = (text: unknown) =>
    typeof text === 'string' && text.trim() !== '' && (refuse === undefined || !text.includes(refuse));
  if (!texts.every(isText)) throw new Problem(400, 'invalid_input', 'An input is empty, too long or not a text.');
  return texts as readonly string[];
}

/** The openai client asks for float32 in base64, a quarter of the bytes of JSON numbers. */
function base64(vector: readonly number[]): string {
  return Buffer.from(new Float32Array(vector).buffer).toString('base64');
}
