import { describe, expect, test } from 'vitest';
import { stage, until } from './support/stage.js';

const QUESTION = 'When do I use Promise.allSettled?';
const POST = 'POST /api/:version/channels/:channel/messages';

describe('Discord', () => {
  test.each(['reconnect', 'drop', 'invalidate'])(
    'after `%s` the bot answers on, without a second answer to anybody',
    async (command) => {
      const { say, answers, discord, bot } = await stage({ gemini: { tokensPerSecond: 200 } });
      const before = await say('Mira', QUESTION);
      await until(() => bot.globals.globalPools.gemini.running === 1);
      await discord.control(command, {});
      const resumed = command !== 'invalidate';
      if (!resumed) await until(async () => (await discord.stats()).counts.identifies === 2);
      const meanwhile = await say('Otto', 'retry?');
      const all = await answers(2);
      expect(all.map(({ replyTo }) => replyTo).sort()).toEqual([before, meanwhile].sort());
      expect((await discord.stats()).counts).toMatchObject({ messages: 2, resumes: resumed ? 1 : 0 });
    },
  );

  test('429s of Discord delay answers, and lose none', async () => {
    const faults = { every: 3, kinds: ['rate-limited'] as const, retryAfter: 1 };
    const { say, answers, discord } = await stage({
      config: { editEvery: 5_000 },
      discord: { weather: { routes: { [POST]: { faults } } } },
    });
    const asked = await Promise.all(['Mira', 'Otto', 'Ada', 'Lin'].map((user) => say(user, QUESTION)));
    const all = await answers(4);
    expect(all.map(({ replyTo }) => replyTo).sort()).toEqual(asked.sort());
    const { counts, routes, tooEarly } = await discord.stats();
    expect(counts.messages).toBe(4);
    expect(routes[POST]?.byStatus[429]).toBeGreaterThan(0);
    expect(tooEarly).toBe(0);
  });

  test('with Discord’s own limits edits become fewer, never a queue', async () => {
    const patch = 'PATCH /api/:version/channels/:channel/messages/:message';
    const limit = { limit: 2, interval: 600 };
    const { say, answers, discord } = await stage({
      discord: { limits: { [patch]: limit } },
      gemini: { tokensPerSecond: 60 },
      config: { editEvery: 20 },
    });
    const started = performance.now();
    await say('Mira', QUESTION);
    await answers(1);
    expect(performance.now() - started).toBeLessThan(4_000);
    const { counts, routes } = await discord.stats();
    expect(counts.edits).toBeGreaterThan(1);
    expect(counts.edits).toBeLessThan(8);
    expect(routes[patch]?.byStatus[429]).toBeUndefined();
  });

  test('a request that failed on the way is made again, and shows once', async () => {
    const faults = { every: 1, kinds: ['broken'] as const };
    const { say, answers, discord, bot } = await stage({ discord: { weather: { routes: { [POST]: { faults } } } } });
    await say('Mira', QUESTION);
    await until(async () => (await discord.stats()).routes[POST]?.byStatus[500] === 1);
    await discord.setWeather({ routes: {} });
    expect((await answers(1)).length).toBe(1);
    expect((await discord.stats()).counts.messages).toBe(1);
    expect(bot.globals.discordRetry.getMetrics().retries).toBeGreaterThan(0);
  });
});

describe('Gemini', () => {
  test('an outage opens the breaker: degraded answers at once, and recovery by itself', async () => {
    const { say, answers, discord, gemini, bot } = await stage({
      config: { timeScale: 10, answerTtl: 500, restFor: 8_000 },
    });
    const reads = async () => (await discord.stats()).routes['GET /api/:version/channels/:channel/messages']?.requests;
    await say('Mira', QUESTION);
    const [known] = await answers(1);
    await bot.globals.background.drain();

    await gemini.setWeather({ outage: 'unavailable' });
    await say('Otto', QUESTION);
    expect((await answers(2))[1]?.text).toContain('not reachable just now');
    expect(bot.globals.gemini.breaker?.state).toBe('open');

    const asked = (await gemini.stats()).requests;
    const read = await reads();
    const started = performance.now();
    await say('Mira', QUESTION);
    await say('Ada', 'retry?');
    const texts = (await answers(4)).slice(2).map(({ text }) => text);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(texts).toContain(`${known?.text}\n-# From an earlier answer: my language model is not reachable just now.`);
    // Neither the model nor the context is asked for.
    expect([(await gemini.stats()).requests, await reads()]).toEqual([asked, read]);

    await gemini.setWeather({ outage: false });
    await until(() => bot.globals.gemini.breaker?.state === 'half-open');
    await say('Lin', 'retry?');
    expect((await answers(5))[4]?.text).toMatch(/^Lin: .*jitter/);
    expect(bot.globals.gemini.breaker?.state).toBe('closed');
  });

  test('429s of Gemini are waited out for as long as their body says', async () => {
    const { say, answers, gemini, bot } = await stage({
      // The bot does not know how little is allowed.
      gemini: { limits: { requestsPerMinute: 2, minute: 700 } },
      config: { timeScale: 2 },
    });
    await Promise.all(['Mira', 'Otto', 'Ada', 'Lin'].map((user) => say(user, QUESTION)));
    for (const { text } of await answers(4)) expect(text).toContain('may be missing.');
    const { byStatus, tooEarly } = await gemini.stats();
    expect(byStatus[429]).toBeGreaterThan(0);
    expect(tooEarly).toBe(0);
    expect(bot.globals.gemini.getMetrics().retry?.retries).toBeGreaterThan(0);
  });

  test('within the quota that it was told, of requests and of tokens, the bot never sees a 429', async () => {
    const quota = { requestsPerMinute: 6, tokensPerMinute: 1_200 };
    const { say, answers, gemini } = await stage({
      gemini: { limits: { ...quota, minute: 2_600 } },
      config: { quota, timeScale: 20, editEvery: 3_000, answerWithin: 600_000 },
    });
    const people = Array.from({ length: 8 }, (_, i) => `guest${i}`);
    await Promise.all(people.map((user, i) => say(user, `${QUESTION} ${'x'.repeat(10 * i)}`)));
    for (const { text } of await answers(8)) expect(text).toContain('may be missing.');
    expect((await gemini.stats()).byStatus).toEqual({ 200: 8 });
  });

  test('an answer that breaks off says so, and is not kept', async () => {
    const { say, answers, gemini, bot, store } = await stage({
      gemini: { tokensPerSecond: 150 },
      config: { editEvery: 20 },
    });
    await gemini.setWeather({ outage: 'cut' });
    await say('Mira', QUESTION);
    const [answer] = await answers(1);
    expect(answer?.text).toMatch(/^Mira: .*\n-# My answer broke off here\. Please ask again\.$/);
    await bot.globals.background.drain();
    expect(await store.conversations()).toEqual({ people: 0, exchanges: 0 });
  });
});

test('a burst of 300: bounded, oldest first, and the others are told politely, once in a channel', {
  timeout: 30_000,
}, async () => {
  const { say, read, bot, gemini } = await stage({
    gemini: { tokensPerSecond: 5_000, weather: { latency: 30 } },
    config: {
      answering: 10,
      waiting: 60,
      editEvery: 5_000,
      history: 20,
      quota: { requestsPerMinute: 9_000, tokensPerMinute: 9_000_000 },
    },
  });
  const asked: string[] = [];
  for (let i = 0; i < 300; i += 20)
    asked.push(...(await Promise.all(Array.from({ length: 20 }, (_, j) => say(`guest${i + j}`, 'retry?')))));
  const { handlers } = bot.globals.globalPools;
  await until(() => handlers.running === 0 && handlers.queued === 0);
  const all = (await read()).filter(({ author }) => author === 'paceline');
  const replies = all.filter(({ replyTo }) => replyTo !== undefined);
  const notices = all.filter(({ replyTo }) => replyTo === undefined);
  const { refused, peakRunning, peakQueued } = handlers.getMetrics();
  expect(replies.length + refused).toBe(300);
  expect(peakRunning).toBe(10);
  expect(peakQueued).toBeLessThanOrEqual(60);
  expect((await gemini.stats()).peakInFlight).toBeLessThanOrEqual(5);
  // Ten at a time may pass one another, but no one is passed by those who came much later.
  const sorted = asked.sort();
  const ranks = replies.map(({ replyTo = '' }) => sorted.indexOf(replyTo));
  for (const [i, rank] of ranks.entries()) expect(ranks.slice(0, i).filter((other) => other > rank + 40)).toEqual([]);
  if (refused > 0) {
    expect(notices.map(({ text }) => text)).toEqual([expect.stringContaining('Please ask again in a minute.')]);
  }
  expect(refused).toBeGreaterThan(0);
});

test('stopping finishes what was accepted, waiting questions and background work included, and refuses the rest', async () => {
  const { say, answers, bot, store } = await stage({ gemini: { tokensPerSecond: 150 }, config: { answering: 2 } });
  const asked = await Promise.all(['Mira', 'Otto', 'Ada', 'Lin'].map((user) => say(user, QUESTION)));
  await until(() => bot.globals.globalPools.handlers.queued === 2);
  const stopped = bot.stop();
  await say('Late', QUESTION);
  expect(await stopped).toEqual([]);
  const all = await answers(5);
  const replies = all.filter(({ replyTo }) => replyTo !== undefined);
  expect(replies.map(({ replyTo }) => replyTo).sort()).toEqual(asked.sort());
  for (const { text } of replies) expect(text).toContain('may be missing.');
  expect(all.find(({ replyTo }) => replyTo === undefined)?.text).toContain('being restarted');
  expect(await store.conversations()).toEqual({ people: 4, exchanges: 4 });
});

test('what cannot be finished in time is told so', async () => {
  const { say, answers, bot } = await stage({ gemini: { weather: { latency: 20_000 } }, config: { answering: 2 } });
  const asked = await Promise.all(['Mira', 'Otto', 'Ada'].map((user) => say(user, QUESTION)));
  await until(() => bot.globals.gemini.getMetrics().inFlight === 2);
  expect(await bot.stop(100)).toEqual([]);
  const all = await answers(3);
  expect(all.map(({ text }) => text)).toEqual(Array(3).fill('I am being restarted. Please ask again in a minute.'));
  // Two that were being answered, and one notice for whoever waited.
  expect(
    all
      .map(({ replyTo }) => replyTo)
      .filter((id) => id !== undefined)
      .sort(),
  ).toEqual(asked.sort().slice(0, 2));
});
