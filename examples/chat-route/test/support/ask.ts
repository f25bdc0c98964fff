import type { ChatEvent } from '../../src/sse.js';

export interface Asked {
  readonly conversation?: string;
  readonly message?: string;
  readonly user?: string;
}

let conversations = 0;

/** One that no other test has. */
export function newConversation(): string {
  return `test-${process.pid}-${++conversations}`;
}

export function requestOf(asked: Asked | string = {}, signal?: AbortSignal): Request {
  const body =
    typeof asked === 'string'
      ? asked
      : JSON.stringify({ conversation: newConversation(), message: 'Which waterproof jacket do you have?', ...asked });
  return new Request('http://localhost/api/chat', { method: 'POST', body, ...(signal && { signal }) });
}

/** As a reader of server-sent events gets them. */
export async function* eventsOf({ body }: Response): AsyncGenerator<ChatEvent> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      yield { event, data: JSON.parse(data ?? '') } as ChatEvent;
    }
  }
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly notices: readonly string[];
  readonly error: string | undefined;
  readonly sources: readonly string[] | undefined;
  /** Of each event, in order, repeats left out. */
  readonly order: readonly string[];
}

export async function answerOf(response: Response): Promise<Answer> {
  const { status } = response;
  if (!response.ok) {
    const { error } = (await response.json()) as { error: string };
    return { status, text: '', notices: [], error, sources: undefined, order: [] };
  }
  const answer = { text: '', notices: [] as string[], order: [] as string[] };
  let error: string | undefined;
  let sources: readonly string[] | undefined;
  for await (const { event, data } of eventsOf(response)) {
    if (answer.order.at(-1) !== event) answer.order.push(event);
    if (event === 'token') answer.text += data.text;
    if (event === 'notice') answer.notices.push(data.about);
    if (event === 'error') error = data.text;
    if (event === 'done') sources = data.sources;
  }
  return { status, ...answer, error, sources };
}
