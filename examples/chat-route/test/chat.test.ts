import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/database/database.js';
import { openPglite } from '../src/database/pglite.js';
import { CHAT, EMBED, startApp, until } from './support/app.js';
import { answerOf, newConversation, requestOf } from './support/ask.js';

let database: Database;
beforeAll(async () => {
  database = await openPglite();
}, 60_000);
afterAll(() => database.close());

const QUESTION = 'Which waterproof jacket do you have, and may I send it back within 30 days?';

interface Row {
  text: string;
  view: string;
  reply_to: string | null;
  is_complete: boolean;
}
const rowsOf = (conversation: string) =>
  database.query<Row>('select * from messages where conversation = $1 order by at', [conversation]);

describe('an answer', () => {
  test('uses passages, products and history, comes in pieces, and is saved with its question', async () => {
    const { services, POST } = await startApp({ database });
    const conversation = newConversation();
    const response = await POST(requestOf({ conversation, message: QUESTION }));
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const answer = await answerOf(response);
    expect(answer).toMatchObject({ status: 200, notices: [], error: undefined, order: ['token', 'done'] });
    expect(answer.text).toContain('You may send back anything within 30 days');
    expect(answer.text).toContain('Storm Jacket, $189.00');
    expect(answer.sources).toContain('returns.md');

    await until(async () => (await rowsOf(conversation)).length === 2);
    const second = await answerOf(await POST(requestOf({ conversation, message: 'And a tent for two?' })));
    // The local model says what was asked before, if it was told.
    expect(second.text).toContain('your earlier question, "Which waterproof jacket');

    await services.close({ grace: 5_000 });
    const rows = await rowsOf(conversation);
    expect(rows.map(({ text }) => text)).toEqual([QUESTION, answer.text, 'And a tent for two?', second.text]);
    expect(rows.every(({ view, is_complete }) => view === 'visitor' && is_complete)).toBe(true);
    const [tracked] = await database.query<{ data: object }>(`select data from analytics order by at desc limit 1`);
    expect(tracked?.data).toMatchObject({ outcome: 'complete', missing: [] });
  });

  test('what it needs is gathered at once: it takes about as long as the slowest, not as their sum', async () => {
    const slow = { ...database, query: delayed(database, 100) };
    const { POST } = await startApp({
      database: slow,
      llm: { weather: { routes: { [EMBED]: { latency: 200 }, [CHAT]: { latency: 50 } } } },
      shop: { weather: { latency: 180 } },
    });
    // Save, history, vector, passages, products, first token.
    const sum = 100 + 100 + 200 + 100 + 180 + 50;
    const slowest = 200 + 100 + 50;
    const startedAt = performance.now();
    const response = await POST(requestOf({ message: QUESTION }));
    const took = performance.now() - startedAt;
    expect((await answerOf(response)).notices).toEqual([]);
    expect(took).toBeGreaterThanOrEqual(slowest - 5);
    expect(took).toBeLessThan((sum + slowest) / 2);
  });

  test('a stranger who knows the name of a conversation is told nothing of it', async () => {
    const { POST } = await startApp({ database });
    const conversation = newConversation();
    await answerOf(await POST(requestOf({ conversation, user: 'ada', message: QUESTION })));
    await until(async () => (await rowsOf(conversation)).length === 2);
    const told = await answerOf(await POST(requestOf({ conversation, user: 'ada', message: 'And a tent?' })));
    expect(told.text).toContain('your earlier question');
    const stranger = await answerOf(await POST(requestOf({ conversation, user: 'eve', message: 'And a tent?' })));
    expect(stranger.text).not.toContain('your earlier question');
  });
});

describe('with a part missing', () => {
  test.each([
    ['broken', 'broken'],
    ['hanging', 'hang'],
  ] as const)('a %s shop is told in a notice, and the answer goes on without products', async (_, outage) => {
    const { POST } = await startApp({ database, shop: { weather: { outage } }, limits: { contextTimeout: 600 } });
    const answer = await answerOf(await POST(requestOf({ message: QUESTION })));
    expect(answer).toMatchObject({ status: 200, notices: ['products'], order: ['notice', 'token', 'done'] });
    expect(answer.text).toContain('You may send back anything');
    expect(answer.text).not.toContain('Storm Jacket');
  });

  test('a shop that is gone opens its breaker, and is no longer asked', async () => {
    const { POST, services, shop, lines } = await startApp({ database, limits: { searchConcurrency: 2 } });
    await shop.stop();
    for (const n of [1, 2, 3, 4, 5])
      expect((await answerOf(await POST(requestOf({ message: `Which jacket for ${n} people?` })))).notices).toEqual([
        'products',
      ]);
    expect(lines).toEqual(['shop: breaker closed -> open']);
    expect(services.shop.getMetrics()).toMatchObject({ breaker: { state: 'open' }, fulfilled: 0 });
  });

  test('a shop that only hangs opens its breaker too, although nobody waits for it that long', async () => {
    const { POST, services } = await startApp({
      database,
      shop: { weather: { outage: 'hang' } },
      limits: { contextTimeout: 100, searchTimeout: 300, searchConcurrency: 2 },
    });
    for (const word of ['jacket', 'tent', 'stove', 'helmet', 'trailer']) {
      const answer = await answerOf(await POST(requestOf({ message: `Which ${word}?` })));
      expect(answer.notices).toContain('products');
    }
    await until(() => services.shop.getMetrics().breaker?.state === 'open');
  });

  test('without vectors it answers without passages', async () => {
    const weather = { routes: { [EMBED]: { faults: { rate: 1, kinds: ['broken' as const] } } } };
    const { POST } = await startApp({ database, llm: { weather } });
    const answer = await answerOf(await POST(requestOf({ message: QUESTION })));
    expect(answer).toMatchObject({ status: 200, notices: ['passages'], sources: [] });
    expect(answer.text).toContain('Storm Jacket');
  });

  test('a database that is away for a moment costs history and passages, but no message', async () => {
    let isAway = false;
    const shaky: Database = {
      query: (text, params) => (isAway ? Promise.reject(new Error('away')) : database.query(text, params)),
      close: async () => {},
    };
    const { POST, services } = await startApp({ database: shaky });
    const conversation = newConversation();
    isAway = true;
    const answer = await answerOf(await POST(requestOf({ conversation, message: QUESTION })));
    expect(answer.notices).toEqual(['passages', 'history']);
    isAway = false;
    expect((await services.close({ grace: 10_000 })).clean).toBe(true);
    expect((await rowsOf(conversation)).map(({ text }) => text).sort()).toEqual([QUESTION, answer.text].sort());
  });
});

describe('without the model', () => {
  test('a dead one is told in one line; then the breaker answers at once, and says when to come again', async () => {
    const { POST, llm, lines } = await startApp({ database, limits: { openFor: 20_000, llmConcurrency: 2 } });
    await llm.stop();
    const first = await POST(requestOf({ message: 'Is anybody there?' }));
    expect(await answerOf(first)).toMatchObject({
      status: 502,
      error: 'The assistant cannot be reached. Please try again.',
    });
    // Three attempts each, so the fourth bad call in a row is the second question's.
    await answerOf(await POST(requestOf({ message: 'Anybody now?' })));
    expect(lines).toContain('llm: breaker closed -> open');
    const startedAt = performance.now();
    const refused = await POST(requestOf({ message: 'And now?' }));
    expect(performance.now() - startedAt).toBeLessThan(400);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(15);
    const { status, error } = await answerOf(refused);
    expect(status).toBe(503);
    expect(error).toMatch(/^The assistant is out of order\. Please try again in \d+ seconds\.$/);
  });

  test('one that hangs is given up', async () => {
    const weather = { routes: { [CHAT]: { faults: { rate: 1, kinds: ['hang' as const] } } } };
    const { POST } = await startApp({ database, llm: { weather }, limits: { tokenTimeout: 150 } });
    const answer = await answerOf(await POST(requestOf()));
    expect(answer).toMatchObject({ status: 504, error: 'The assistant took too long. Please try again.' });
  });

  test('one that breaks off in the middle is told as an event, and what was said is saved as incomplete', async () => {
    const weather = { routes: { [CHAT]: { faults: { rate: 1, kinds: ['cut' as const] } } } };
    const { POST, services } = await startApp({ database, llm: { weather } });
    const conversation = newConversation();
    const answer = await answerOf(await POST(requestOf({ conversation, message: QUESTION })));
    expect(answer.order).toEqual(['token', 'error']);
    expect(answer.error).toBe('The answer broke off. Please ask again.');
    await services.close({ grace: 5_000 });
    const [, saved] = await rowsOf(conversation);
    expect(saved).toMatchObject({ text: answer.text, is_complete: false });
  });

  test('one that this key may not use is nothing that who asks can put right, and is logged for who can', async () => {
    const { POST, lines, llm } = await startApp({ database, chatModel: 'gpt-nobody-has' });
    const answer = await answerOf(await POST(requestOf()));
    expect(answer).toMatchObject({ status: 502, error: 'The assistant cannot be reached. Please try again.' });
    expect(lines).toEqual([expect.stringMatching(/^chat: .*The model `gpt-nobody-has` does not exist/)]);
    expect((await llm.stats()).routes[CHAT]?.requests).toBe(1);
  });
});

function delayed(database: Database, ms: number): Database['query'] {
  return async (text, params) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return database.query(text, params);
  };
}
