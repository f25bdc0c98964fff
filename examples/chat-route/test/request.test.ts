import { expect, test } from 'vitest';
import { type Problem, readAsk } from '../src/request.js';
import { requestOf } from './support/ask.js';

const fine = { conversation: 'c-1', message: ' Hello? ' };

test('a good request is read, without what surrounds the question', async () => {
  expect(await readAsk(requestOf(fine))).toEqual({ conversation: 'c-1', message: 'Hello?', view: 'visitor' });
  expect(await readAsk(requestOf({ ...fine, user: 'ada' }))).toMatchObject({ view: 'user:ada' });
  // Nobody becomes a visitor, or somebody else, by name.
  expect(await readAsk(requestOf({ ...fine, user: 'visitor' }))).toMatchObject({ view: 'user:visitor' });
  expect(await readAsk(requestOf({ ...fine, message: 'a\0b' }))).toMatchObject({ message: 'ab' });
});

test.each([
  ['no JSON', '{', 400, 'The body is not JSON.'],
  ['no body', '', 400, 'The body is not JSON.'],
  ['a list', '[]', 400, 'The body must be an object: { "conversation", "message", "user" }.'],
  ['no message', '{"conversation":"c"}', 400, '`message` must be a text.'],
  ['a message of blanks', '{"conversation":"c","message":" \\n"}', 400, '`message` must be a text.'],
  [
    'no conversation',
    '{"message":"Hello"}',
    400,
    '`conversation` must be a name of 1 to 64 letters, digits, dots or dashes.',
  ],
  [
    'a user who is none',
    '{"conversation":"c","message":"Hello","user":7}',
    400,
    '`user` must be a name of 1 to 64 letters, digits, dots or dashes, or absent.',
  ],
  [
    'a long message',
    JSON.stringify({ ...fine, message: 'a'.repeat(2001) }),
    400,
    '`message` is too long: 2001 characters, 2000 at most.',
  ],
  ['a long body', ' '.repeat(20_000), 413, 'The body is too long: 16384 bytes at most.'],
])('%s is told in one line', async (_, body, status, message) => {
  await expect(readAsk(requestOf(body))).rejects.toMatchObject({ status, message } satisfies Partial<Problem>);
});

test('another method is told what to send', async () => {
  await expect(readAsk(new Request('http://localhost/'))).rejects.toMatchObject({
    status: 405,
    headers: { allow: 'POST' },
  });
});

test('a body without an end is not read to its end', async () => {
  let sent = 0;
  const body = new ReadableStream({
    pull(out) {
      sent += 1_000;
      out.enqueue(new Uint8Array(1_000).fill(32));
    },
  });
  const request = new Request('http://localhost/', { method: 'POST', body, duplex: 'half' } as RequestInit);
  await expect(readAsk(request)).rejects.toMatchObject({ status: 413 });
  expect(sent).toBeLessThan(30_000);
});
