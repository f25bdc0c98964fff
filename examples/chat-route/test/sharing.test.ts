import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/database/database.js';
import { openPglite } from '../src/database/pglite.js';
import { CHAT, startApp, until } from './support/app.js';
import { answerOf, eventsOf, newConversation, requestOf } from './support/ask.js';

let database: Database;
beforeAll(async () => {
  database = await openPglite();
}, 60_000);
afterAll(() => database.close());

const QUESTION = 'Which waterproof jacket do you have, and may I send it back within 30 days?';

const rowsOf = (conversation: string) =>
  database.query<{ text: string; is_complete: boolean }>(
    'select text, is_complete from messages where conversation = $1 order by at',
    [conversation],
  );

describe('sharing', () => {
  test('identical questions of one view are one call to the model, those of other views are not', async () => {
    const { POST, llm } = await startApp({ database, llm: { tokensPerSecond: 200, weather: { latency: 50 } } });
    const ask = async (user?: string) =>
      answerOf(await POST(requestOf({ message: QUESTION, ...(user !== undefined && { user }) })));
    const visitors = await Promise.all(Array.from({ length: 10 }, () => ask()));
    expect(new Set(visitors.map(({ text }) => text)).size).toBe(1);
    expect((await llm.stats()).routes[CHAT]?.requests).toBe(1);
    const users = await Promise.all(['ada', 'ada', 'bob'].map(ask));
    expect(users.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await llm.stats()).routes[CHAT]?.requests).toBe(3);
  });

  test('who presses send twice in a conversation is read the same answer', async () => {
    const { POST, llm } = await startApp({ database, llm: { tokensPerSecond: 200 } });
    const asked = { conversation: newConversation(), message: QUESTION };
    const first = POST(requestOf(asked));
    await until(async () => (await rowsOf(asked.conversation)).length === 1);
    const second = POST(requestOf(asked));
    const [a, b] = await Promise.all([first.then(answerOf), second.then(answerOf)]);
    expect(a.text).toBe(b.text);
    expect((await llm.stats()).routes[CHAT]?.requests).toBe(1);
  });

  test('the same words in another conversation that went before are another question', async () => {
    const { POST, llm } = await startApp({ database });
    const conversation = newConversation();
    await answerOf(await POST(requestOf({ conversation, message: 'Do you have a tent?' })));
    await until(async () => (await rowsOf(conversation)).length === 2);
    const [later, fresh] = await Promise.all([
      POST(requestOf({ conversation, message: QUESTION })).then(answerOf),
      POST(requestOf({ message: QUESTION })).then(answerOf),
    ]);
    expect(later.text).toContain('your earlier question, "Do you have a tent?"');
    expect(fresh.text).not.toContain('earlier question');
    expect((await llm.stats()).routes[CHAT]?.requests).toBe(3);
  });
});

describe('a client that leaves', () => {
  test.each(['by its signal', 'by dropping the body'])('in the middle frees its slot at the model: %s', async (how) => {
    const { POST, llm, services } = await startApp({ database, llm: { tokensPerSecond: 50 } });
    const abort = new AbortController();
    const conversation = newConversation();
    const response = await POST(requestOf({ conversation, message: QUESTION }, abort.signal));
    let read = 0;
    if (how === 'by its signal') {
      const reading = (async () => {
        for await (const _ of eventsOf(response)) if (++read === 5) abort.abort();
      })();
      await reading.catch(() => {});
    } else {
      for await (const _ of eventsOf(response)) if (++read === 5) break;
    }
    await until(async () => (await llm.stats()).inFlight === 0);
    const { closedEarly, counts } = await llm.stats();
    expect(closedEarly).toBe(1);
    expect(counts.tokensAfterLeaving).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await llm.stats()).counts.tokens).toBe(counts.tokens);
    expect(services.llm.getMetrics().pool).toMatchObject({ running: 0 });

    await services.close({ grace: 5_000 });
    const rows = await rowsOf(conversation);
    expect(rows.map(({ is_complete }) => is_complete)).toEqual([true, false]);
  });

  test('leaves the others who share its answer', async () => {
    const { POST, llm } = await startApp({ database, llm: { tokensPerSecond: 200 } });
    const abort = new AbortController();
    const [leaving, staying] = await Promise.all([
      POST(requestOf({ message: QUESTION }, abort.signal)),
      POST(requestOf({ message: QUESTION })),
    ]);
    const answer = answerOf(staying);
    for await (const _ of eventsOf(leaving)) break;
    abort.abort();
    expect(await answer).toMatchObject({ status: 200, error: undefined });
    expect(await llm.stats()).toMatchObject({ closedEarly: 0 });
  });
});

test('100 questions at once: never more at the model than it may have, and each is answered or politely refused', {
  timeout: 60_000,
}, async () => {
  const { POST, llm, services } = await startApp({
    database,
    llm: { tokensPerSecond: 500, weather: { latency: { median: 50 } } },
    limits: { llmConcurrency: 8, llmQueue: 40, contextTimeout: 20_000 },
  });
  const asked = Array.from({ length: 100 }, (_, n) => ({
    conversation: newConversation(),
    message: `Which jacket is good for tour number ${n}?`,
  }));
  const responses = await Promise.all(
    asked.map((one) => POST(requestOf(one)).then(async (r) => [r, await answerOf(r)] as const)),
  );
  const answered = responses.filter(([, { status }]) => status === 200);
  const refused = responses.filter(([, { status }]) => status === 503);
  expect(answered.length + refused.length).toBe(100);
  expect(answered.length).toBeGreaterThanOrEqual(48);
  for (const [response, { error }] of refused) {
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(error).toContain('Too many people are asking');
  }
  const stats = (await llm.stats()).routes[CHAT];
  expect(stats?.peakInFlight).toBe(8);
  expect(stats?.requests).toBe(answered.length);
  expect((await services.close({ grace: 20_000 })).clean).toBe(true);
  for (const [i, [, { status, text }]] of responses.entries()) {
    const rows = await rowsOf(asked[i]?.conversation ?? '');
    expect(rows.map((row) => row.text)).toEqual(status === 200 ? [asked[i]?.message, text] : [asked[i]?.message]);
  }
});
