/** An answer that is no answer: a status and one line for the person who asked. */
export class Problem extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'Problem';
    this.status = status;
    this.headers = headers;
  }
}

export interface Ask {
  readonly conversation: string;
  readonly message: string;
  /** Whose view of the shop it is. A real application takes it from the session, never from the body. */
  readonly view: string;
}

const MOST_BYTES = 16_384;
const MOST_CHARACTERS = 2_000;
const NAME = /^[\w.@-]{1,64}$/;

/** @throws {Problem} what is wrong with the request. */
export async function readAsk(request: Request): Promise<Ask> {
  if (request.method !== 'POST') throw new Problem(405, 'Send a POST.', { allow: 'POST' });
  const { conversation, message, user } = objectOf(await bodyOf(request));
  if (typeof conversation !== 'string' || !NAME.test(conversation))
    throw new Problem(400, '`conversation` must be a name of 1 to 64 letters, digits, dots or dashes.');
  if (typeof message !== 'string' || textOf(message) === '') throw new Problem(400, '`message` must be a text.');
  if (textOf(message).length > MOST_CHARACTERS)
    throw new Problem(
      400,
      `\`message\` is too long: ${textOf(message).length} characters, ${MOST_CHARACTERS} at most.`,
    );
  if (user !== undefined && (typeof user !== 'string' || !NAME.test(user)))
    throw new Problem(400, '`user` must be a name of 1 to 64 letters, digits, dots or dashes, or absent.');
  // Visitors who have not signed in all see the same.
  return { conversation, message: textOf(message), view: user === undefined ? 'visitor' : `user:${user}` };
}

/** Without characters that PostgreSQL's text cannot hold. */
function textOf(message: string): string {
  return message.replaceAll('\0', '').trim();
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Problem(400, 'The body is not JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Problem(400, 'The body must be an object: { "conversation", "message", "user" }.');
  return body as Readonly<Record<string, unknown>>;
}

/** Stops reading where it is too long, whatever the headers say. */
async function bodyOf(request: Request): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw new Problem(413, `The body is too long: ${MOST_BYTES} bytes at most.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
