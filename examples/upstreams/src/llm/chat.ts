import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import { hash } from '../random.js';
import { answerTo, type Message } from './answer.js';
import type { LlmCounts } from './app.js';
import type { RateLimits } from './limits.js';
import { CHAT_MODEL } from './names.js';
import { countTokens, tokensOf } from './tokens.js';

interface ChatOptions {
  readonly tokensPerSecond: number;
  readonly limits: RateLimits | undefined;
  readonly refuse: string | undefined;
}

interface Answer {
  readonly id: string;
  readonly tokens: readonly string[];
  readonly finishReason: 'stop' | 'length';
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number };
}

/** `POST /v1/chat/completions`. */
export async function chat(exchange: Exchange, counts: LlmCounts, options: ChatOptions): Promise<void> {
  const body = await exchange.json();
  const messages = messagesOf(body, options.refuse);
  const content = messages.map(({ role, content }) => `${role}: ${content}`).join('\n');
  const answer = compose(messages, content, body.max_completion_tokens ?? body.max_tokens);
  options.limits?.take(exchange, content, answer.usage.total_tokens);

  if (body.stream === true) {
    const includeUsage = (body.stream_options as { include_usage?: unknown } | undefined)?.include_usage === true;
    const beforePart = await exchange.opening(content);
    return stream(exchange, counts, answer, { beforePart, includeUsage, tokensPerSecond: options.tokensPerSecond });
  }
  await exchange.through(content, () => exchange.pause((1000 * answer.tokens.length) / options.tokensPerSecond));
  counts.tokens += answer.tokens.length;
  const message = { role: 'assistant', content: answer.tokens.join(''), refusal: null };
  exchange.send(200, {
    ...header(answer, 'chat.completion'),
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finishReason }],
    usage: answer.usage,
  });
}

async function stream(
  exchange: Exchange,
  counts: LlmCounts,
  answer: Answer,
  options: {
    readonly beforePart: (share: number) => Promise<void>;
    readonly includeUsage: boolean;
    readonly tokensPerSecond: number;
  },
): Promise<void> {
  const event = (choices: readonly unknown[], rest: object = {}) =>
    exchange.write(`data: ${JSON.stringify({ ...header(answer, 'chat.completion.chunk'), choices, ...rest })}\n\n`);
  const delta = (delta: object, finish_reason: string | null = null) =>
    event([{ index: 0, delta, logprobs: null, finish_reason }]);

  exchange.startStream('text/event-stream; charset=utf-8');
  await delta({ role: 'assistant', content: '' });
  const startedAt = performance.now();
  for (const [i, token] of answer.tokens.entries()) {
    await options.beforePart(i / answer.tokens.length);
    const due = startedAt + (1000 * i) / options.tokensPerSecond - performance.now();
    if (due >= 1) await exchange.pause(due);
    if (exchange.left.aborted) counts.tokensAfterLeaving += 1;
    await delta({ content: token });
    counts.tokens += 1;
  }
  await delta({}, answer.finishReason);
  if (options.includeUsage) await event([], { usage: answer.usage });
  await exchange.write('data: [DONE]\n\n');
  exchange.endStream();
}

function header({ id }: Answer, object: string) {
  return { id, object, created: Math.floor(Date.now() / 1000), model: CHAT_MODEL, system_fingerprint: 'fp_local' };
}

function compose(messages: readonly Message[], content: string, most: unknown): Answer {
  const all = tokensOf(answerTo(messages));
  const tokens = typeof most === 'number' && most >= 1 ? all.slice(0, most) : all;
  const asked = countTokens(content);
  return {
    id: `chatcmpl-${hash(content).toString(36)}`,
    tokens,
    finishReason: tokens.length < all.length ? 'length' : 'stop',
    usage: { prompt_tokens: asked, completion_tokens: tokens.length, total_tokens: asked + tokens.length },
  };
}

function messagesOf({ model, messages }: Readonly<Record<string, unknown>>, refuse: string | undefined): Message[] {
  if (model !== CHAT_MODEL)
    throw new Problem(404, 'model_not_found', `The model \`${model}\` does not exist; try \`${CHAT_MODEL}\`.`);
  if (!Array.isArray(messages) || messages.length === 0)
    throw new Problem(400, 'invalid_messages', '`messages` must be an array with at least one message.');
  return messages.map((message: unknown, i) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    const text = Array.isArray(content)
      ? content.map((part: { text?: unknown }) => part?.text ?? '').join('')
      : content;
    if (typeof role !== 'string' || typeof text !== 'string')
      throw new Problem(400, 'invalid_messages', `\`messages[${i}]\` needs a role and a content that is text.`);
    if (refuse !== undefined && text.includes(refuse))
      throw new Problem(400, 'context_length_exceeded', `\`messages[${i}]\` is too long for this model.`);
    return { role, content: text };
  });
}
