import { Events, type Message } from 'discord.js';
import { describe, expect, test } from 'vitest';
import { replyTo } from '../src/places.js';
import { MemoryStore } from '../src/store.js';
import { stage, until } from './support/stage.js';

const QUESTION = 'When do I use Promise.allSettled?';

describe('an answer', () => {
  test('is streamed into a message that is edited, no more often than told, and whole in the end', async () => {
    const { say, answers, discord, gemini } = await stage({
      gemini: { tokensPerSecond: 100 },
      config: { editEvery: 100 },
    });
    const id = await say('Mira', QUESTION);
    const [answer] = await answers(1);
    expect(answer).toMatchObject({ replyTo: id, text: expect.stringMatching(/^Mira: .*may be missing\.$/) });
    const { revisions = [] } = answer ?? {};
    expect(revisions.length).toBeGreaterThan(2);
    // Each shows more than the one before, and the last whole one is not bound to wait for its turn.
    for (const [i, { text, at }] of revisions.entries()) {
      const before = revisions[i - 1];
      if (before === undefined) continue;
      expect(text.startsWith(before.text.replace(' ▌', ''))).toBe(true);
      if (i < revisions.length - 1) expect(at - before.at).toBeGreaterThan(40);
    }
    expect((await discord.stats()).counts.typing).toBe(1);
    expect((await gemini.stats()).counts.generated).toBe(1);
  });

  test('uses the channel, its pins, emojis and the name in this server', async () => {
    const { discord, say, answers, gemini } = await stage();
    await discord.control('pin', { channel: 'general', user: 'Otto', text: 'Be kind.' });
    const messages = Array.from({ length: 130 }, (_, i) => ({ user: 'Otto', text: `line ${i}` }));
    await discord.control('history', { channel: 'general', messages });
    await say('Mira', QUESTION);
    await answers(1);
    const { routes } = await discord.stats();
    const count = (route: string) => routes[`GET /api/:version${route}`]?.requests;
    expect(count('/channels/:channel/messages')).toBe(2);
    expect(count('/channels/:channel/messages/pins')).toBe(1);
    expect(count('/guilds/:guild/emojis')).toBe(1);
    expect(count('/guilds/:guild/members/:user')).toBe(1);
    // 132 lines of some characters: the prompt holds them.
    expect((await gemini.stats()).counts.promptTokens).toBeGreaterThan(500);
  });

  test('comes without a part that fails', async () => {
    const pins = 'GET /api/:version/channels/:channel/messages/pins';
    const faults = { rate: 1, kinds: ['broken'] as const };
    const { say, answers, discord, logs } = await stage({
      config: { timeScale: 10 },
      discord: { weather: { routes: { [pins]: { faults } } } },
    });
    await say('Mira', QUESTION);
    const [answer] = await answers(1);
    expect(answer?.text).toContain('may be missing.');
    expect((await discord.stats()).routes[pins]?.byStatus[500]).toBe(3);
    expect(logs).toContainEqual(expect.objectContaining({ data: expect.objectContaining({ part: 'pins' }) }));
  });

  test('a history page that fails is asked for again', async () => {
    const page = 'GET /api/:version/channels/:channel/messages';
    const faults = { every: 1, kinds: ['broken'] as const };
    const { bot, discord, say } = await stage({
      config: { timeScale: 10 },
      discord: { weather: { routes: { [page]: { faults } } } },
    });
    const channel = bot.client.channels.cache.find((channel) => 'name' in channel && channel.name === 'general');
    if (!channel?.isSendable()) throw new Error('No channel');
    const user = { id: '1', name: 'Mira' };
    await say('Mira', 'hi', 'help');
    const history = bot.responder.context.server({ text: 'x', user, guild: null, channel, audience: 'server' });
    await until(async () => (await discord.stats()).routes[page]?.byStatus[500] !== undefined);
    await discord.setWeather({ routes: {} });
    expect(await history).toEqual([]);
    expect(bot.globals.discordRetry.getMetrics().retries).toBeGreaterThan(0);
  });
});

describe('who asks the same', () => {
  test('at the same time shares a generation, if the view is the same: one person, or all with /faq', async () => {
    const { say, run, answers, gemini, bot } = await stage({ gemini: { tokensPerSecond: 300 } });
    await Promise.all([say('Mira', QUESTION), say('Mira', QUESTION), say('Otto', QUESTION)]);
    const personal = await answers(3);
    expect(personal.map(({ text }) => text.split(':')[0]).sort()).toEqual(['Mira', 'Mira', 'Otto']);
    expect((await gemini.stats()).counts.generated).toBe(2);

    await Promise.all(['Mira', 'Otto', 'Ada', 'Lin'].map((user) => run(user, 'faq', QUESTION, 'help')));
    const shared = await answers(4, 'help');
    expect(new Set(shared.map(({ text }) => text)).size).toBe(1);
    expect(shared[0]?.text).not.toMatch(/Mira|Otto/);
    expect((await gemini.stats()).counts.generated).toBe(3);
    expect(bot.globals.globalCoalescers.geminiGeneration.getMetrics()).toMatchObject({ calls: 7, loads: 3 });
  });

  test('later gets the stored answer, without a call of the model', async () => {
    const { say, answers, gemini, bot, store } = await stage({ config: { timeScale: 20 } });
    await say('Mira', QUESTION);
    await answers(1);
    await bot.globals.background.drain();
    // Past what the coalescer keeps: 2 s, twenty times as fast.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await say('Mira', QUESTION);
    const [first, second] = await answers(2);
    expect(second?.text).toBe(first?.text);
    expect((await gemini.stats()).counts.generated).toBe(1);
    expect(bot.globals.globalCoalescers.geminiGeneration.getMetrics().calls).toBe(1);
    expect(await store.conversations()).toEqual({ people: 1, exchanges: 1 });
  });
});

describe('checks', () => {
  test('an empty or long question, and too many of one person, get a word instead of an answer', async () => {
    const { say, answers, gemini } = await stage({ config: { perPerson: 3 } });
    await say('Mira', '');
    await say('Mira', `Why ${'x'.repeat(1600)}`);
    await answers(2);
    await say('Mira', QUESTION);
    await answers(3);
    await say('Mira', QUESTION);
    const texts = (await answers(4)).map(({ text }) => text);
    expect(texts[0]).toBe('What would you like to know?');
    expect(texts[1]).toContain('up to 1500 characters');
    expect(texts[3]).toContain('more than 3 questions');
    expect((await gemini.stats()).counts.generated).toBe(1);
  });

  test('what the operators want said is said', async () => {
    const store = new MemoryStore();
    store.noticeText = 'Back at noon.';
    const { say, answers, gemini } = await stage({ store });
    await say('Mira', QUESTION);
    expect((await answers(1))[0]?.text).toBe('Back at noon.');
    expect((await gemini.stats()).requests).toBe(0);
  });

  test('a cache that is down costs nobody an answer', async () => {
    const store = new MemoryStore();
    store.answer = () => Promise.reject(new Error('The cache is down'));
    const { say, answers, logs } = await stage({ store });
    await say('Mira', QUESTION);
    expect((await answers(1))[0]?.text).toContain('may be missing.');
    expect(logs).toContainEqual(expect.objectContaining({ message: 'A check failed' }));
  });
});

describe('work that nobody waits for', () => {
  test('fails without a word in the chat, logged and counted', async () => {
    const store = new MemoryStore();
    store.saveExchange = () => Promise.reject(new Error('The disk is full'));
    const { say, answers, bot, logs } = await stage({ store });
    await say('Mira', 'thanks! retry or backoff?');
    expect((await answers(1)).length).toBe(1);
    await bot.globals.background.drain();
    const failure = logs.find(({ message }) => message === 'Background task failed');
    expect(failure).toMatchObject({ level: 'error', data: { task: 'save-exchange' } });
    expect(bot.globals.background.getMetrics()).toMatchObject({ failed: 1, refused: 0 });
    const [mood] = await Promise.all(
      bot.client.users.cache.filter(({ bot }) => !bot).map(({ id }) => store.profile(id)),
    );
    expect(mood?.mood).toBeGreaterThan(0);
  });
});

describe('commands', () => {
  test('/ask answers in place, /status tells quota, cache and pools', async () => {
    const { run, answers, discord } = await stage();
    const { commands } = (await discord.control('who', {})) as { commands: string[] };
    expect(commands).toEqual(['ask', 'faq', 'status']);
    await run('Mira', 'ask', QUESTION);
    expect((await answers(1))[0]).toMatchObject({ command: 'ask', text: expect.stringMatching(/^Mira: /) });
    await run('Mira', 'status');
    const [, status] = await answers(2);
    expect(status?.ephemeral).toBe(true);
    expect(status?.text).toMatch(/^model: up, 0 running, 0 queued; answers p50 0\.\d\d s/);
    expect(status?.text).toContain('quota: 150 requests and 250000 tokens a minute');
    expect(status?.text).toContain('conversations: 1 with 1 people');
    expect(status?.text).toContain('GeminiGeneration: 1 calls, 0 % hits, 0 % saved');
    expect(status?.text).toContain('background failures: 0 %');
  });
});

test('a command that has to wait is acknowledged in time', async () => {
  const { run, answers, discord, bot } = await stage({
    // 3 s, three times as fast.
    discord: { timeScale: 3 },
    gemini: { weather: { latency: 700 } },
    config: { answering: 1 },
  });
  const people = ['Mira', 'Otto', 'Ada'];
  await run('Mira', 'ask', QUESTION);
  await until(() => bot.globals.globalPools.handlers.running === 1);
  await Promise.all(['Otto', 'Ada'].map((user) => run(user, 'ask', QUESTION)));
  expect((await answers(3)).map(({ text }) => text.split(':')[0]).sort()).toEqual([...people].sort());
  expect((await discord.stats()).counts.acknowledged).toBe(3);
});

test('a reply whose confirmation was lost is not written twice', async () => {
  const { bot, say, answers, discord } = await stage();
  const heard = new Promise<Message>((resolve) => bot.client.once(Events.MessageCreate, resolve));
  await say('Mira', QUESTION);
  await answers(1);
  // What a repeat sends that does not know of the first.
  await replyTo(await heard).show('again');
  expect((await answers(1)).length).toBe(1);
  expect((await discord.stats()).counts).toMatchObject({ messages: 1, repeats: 1 });
});

test('a direct message and a command there are answered, apart from what is asked in the server', async () => {
  const { discord, run, answers, say, gemini } = await stage();
  await discord.control('say', { channel: '@Mira', user: 'Mira', text: QUESTION });
  expect((await answers(1, '@Mira'))[0]?.text).toMatch(/^Mira: .*may be missing\.$/);
  await run('Mira', 'ask', 'retry or not?', '@Mira');
  expect((await answers(2, '@Mira'))[1]?.text).toMatch(/^Mira: .*jitter/);
  await say('Mira', QUESTION);
  await answers(1);
  expect((await gemini.stats()).counts.generated).toBe(3);
});

test('the metrics are logged at the interval, with percentiles, rates and depths', async () => {
  const { say, answers, logs } = await stage({ config: { reportEvery: 300 } });
  await say('Mira', QUESTION);
  await answers(1);
  await until(() =>
    logs.some(({ message }) => /^GeminiGeneration +calls 1, loads 1; hits 0 %, saved 0 %$/.test(message)),
  );
  const lines = logs.map(({ message }) => message).join('\n');
  expect(lines).toMatch(
    /^GeminiAPI +running \d, queued 0 \(peak \d\), refused 0; waited p50\/p90\/p99 [\d/]+ ms; ran p50/m,
  );
  expect(lines).toMatch(/^gemini +calls 1, failed 0, refused 0, repeats 0, breaker closed; took p50/m);
  expect(lines).toMatch(/^background +tasks \d+, failed 0 \(0 %\), refused 0$/m);
});
