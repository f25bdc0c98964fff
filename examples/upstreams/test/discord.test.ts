import {
  type ChatInputCommandInteraction,
  Client,
  DiscordAPIError,
  Events,
  GatewayIntentBits,
  type Message,
  SlashCommandBuilder,
} from 'discord.js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type DiscordOptions, type ReadMessage, type StartOptions, startUpstream } from '../src/index.js';
import { serve, until } from './support/serve.js';

const { Guilds, GuildMessages, MessageContent } = GatewayIntentBits;
const POST = 'POST /api/:version/channels/:channel/messages';

async function discord(options: DiscordOptions & StartOptions<'discord'> = {}) {
  const server = await serve('discord', { limits: {}, ...options });
  const client = newClient(server.url);
  const ready = new Promise((resolve) => client.once(Events.ClientReady, resolve));
  await client.login('local');
  await ready;
  const guild = client.guilds.cache.first();
  if (guild === undefined) throw new Error('No guild');
  const channel = guild.channels.cache.find(({ name }) => name === 'general');
  if (!channel?.isTextBased()) throw new Error('No channel');
  const say = (text: string, user = 'Mira') => server.control('say', { channel: 'general', user, text });
  const read = async () => (await server.control('read', { channel: 'general' })) as ReadMessage[];
  return { server, client, guild, channel, say, read };
}

function newClient(url: string): Client {
  const client = new Client({
    intents: [Guilds, GuildMessages, MessageContent],
    rest: { api: `${url}/api`, retries: 0 },
  });
  onTestFinished(() => client.destroy());
  return client;
}

function onCommand(client: Client, answer: (interaction: ChatInputCommandInteraction) => Promise<void>): void {
  client.on(Events.InteractionCreate, (interaction) => {
    if (interaction.isChatInputCommand()) void answer(interaction);
  });
}

describe('messages', () => {
  test('a mention reaches the bot, and its reply, typing and edits reach the channel', async () => {
    const { server, client, say, read } = await discord();
    const heard = new Promise<Message>((resolve) =>
      client.on(Events.MessageCreate, (message) => message.author.bot || resolve(message)),
    );
    await say('@paceline what is a promise?');
    const message = await heard;
    expect(message.mentions.users.has(client.user?.id ?? '')).toBe(true);
    expect(message.member?.displayName).toBe('Mira');
    if (message.channel.isSendable()) await message.channel.sendTyping();
    const reply = await message.reply('A pro');
    await reply.edit('A promise is a value to come.');
    const [question, answer] = await read();
    expect(question).toMatchObject({ author: 'Mira', text: expect.stringMatching(/^<@\d+> what/) });
    expect(answer).toMatchObject({ author: 'paceline', text: 'A promise is a value to come.', replyTo: question?.id });
    expect(answer?.revisions.map(({ text }) => text)).toEqual(['A pro', 'A promise is a value to come.']);
    expect((await server.stats()).counts).toMatchObject({ messages: 1, edits: 1, typing: 1 });
  });

  test('history comes in pages, newest first, before, after and around a message', async () => {
    const { server, channel } = await discord();
    const messages = Array.from({ length: 122 }, (_, i) => ({ user: 'Mira', text: `line ${i}` }));
    await server.control('history', { channel: 'general', messages });
    const first = await channel.messages.fetch({ limit: 100, cache: false });
    expect([first.size, first.first()?.content, first.last()?.content]).toEqual([100, 'line 121', 'line 22']);
    const rest = await channel.messages.fetch({ limit: 100, before: first.lastKey() ?? '', cache: false });
    expect([rest.size, rest.first()?.content, rest.last()?.content]).toEqual([22, 'line 21', 'line 0']);
    const after = await channel.messages.fetch({ limit: 3, after: rest.lastKey() ?? '', cache: false });
    expect(after.map(({ content }) => content)).toEqual(['line 3', 'line 2', 'line 1']);
    const around = await channel.messages.fetch({ limit: 3, around: first.lastKey() ?? '', cache: false });
    expect(around.map(({ content }) => content)).toEqual(['line 23', 'line 22', 'line 21']);
  });

  test('pins, emojis and members', async () => {
    const { server, guild, channel, say } = await discord();
    await say('hello');
    await server.control('pin', { channel: 'general', user: 'Otto', text: 'Read this first' });
    const { items } = await channel.messages.fetchPins();
    expect(items.map(({ message }) => message.content)).toEqual(['Read this first']);
    expect((await guild.emojis.fetch()).map(({ name }) => name)).toContain('shipit');
    const [author] = (await channel.messages.fetch({ limit: 10 })).map(({ author }) => author).reverse();
    const member = await guild.members.fetch({ user: author?.id ?? '', force: true });
    expect(member.displayName).toBe('Mira');
    await expect(guild.members.fetch({ user: '1', force: true })).rejects.toMatchObject({ code: 10013, status: 404 });
  });

  test('texts are checked, and a nonce makes a message once', async () => {
    const { server, channel } = await discord();
    if (!channel.isSendable()) throw new Error('Not sendable');
    await expect(channel.send('x'.repeat(2001))).rejects.toBeInstanceOf(DiscordAPIError);
    const once = { content: 'once', nonce: '7', enforceNonce: true };
    const [first, second] = [await channel.send(once), await channel.send(once)];
    expect(second.id).toBe(first.id);
    expect((await server.stats()).counts).toMatchObject({ messages: 1, repeats: 1 });
  });
});

describe('commands', () => {
  const commands = [
    new SlashCommandBuilder()
      .setName('ask')
      .setDescription('Ask')
      .addStringOption((o) => o.setName('question').setDescription('What'))
      .toJSON(),
  ];

  test('a command is registered, run, deferred and answered', async () => {
    const { server, client, guild, read } = await discord();
    onCommand(client, async (interaction) => {
      await interaction.deferReply();
      await interaction.editReply(`You asked: ${interaction.options.getString('question')}`);
      await interaction.followUp('Anything else?');
    });
    await guild.commands.set(commands);
    await server.control('run', { channel: 'general', user: 'Mira', name: 'ask', options: { question: 'why?' } });
    await until(async () => (await read()).length === 2);
    expect(await read()).toMatchObject([
      { text: 'You asked: why?', command: 'ask', ephemeral: false },
      { text: 'Anything else?', command: 'ask' },
    ]);
    await expect(server.control('run', { channel: 'general', user: 'Mira', name: 'tell' })).rejects.toThrow('/tell');
  });

  test('one that is acknowledged too late, or twice, is refused', async () => {
    const { server, client, guild } = await discord({ timeScale: 30 });
    await guild.commands.set(commands);
    const codes: unknown[] = [];
    onCommand(client, async (interaction) => {
      if (codes.length > 0) await new Promise((resolve) => setTimeout(resolve, 150));
      else await interaction.deferReply();
      const body = { type: 5 };
      const again = client.rest.post(`/interactions/${interaction.id}/${interaction.token}/callback`, {
        body,
        auth: false,
      });
      codes.push(await again.catch(({ code }) => code));
    });
    for (const n of [1, 2]) {
      await server.control('run', { channel: 'general', user: 'Mira', name: 'ask' });
      await until(async () => codes.length === n);
    }
    expect(codes).toEqual([40060, 10062]);
  });
});

describe('the gateway', () => {
  test.each(['reconnect', 'drop'])(
    'after `%s` the session is resumed, and nothing said meanwhile is lost',
    async (command) => {
      const { server, client, say } = await discord();
      const heard: string[] = [];
      client.on(Events.MessageCreate, ({ content }) => heard.push(content));
      await say('before');
      await server.control(command, {});
      await say('meanwhile');
      await until(async () => (await server.stats()).counts.resumes === 1);
      await say('after');
      await until(async () => heard.length === 3);
      expect(heard).toEqual(['before', 'meanwhile', 'after']);
      expect((await server.stats()).counts).toMatchObject({ identifies: 1, resumes: 1 });
    },
  );

  test('heartbeats are answered', async () => {
    const { server } = await discord({ heartbeatInterval: 20 });
    await until(async () => (await server.stats()).counts.heartbeats >= 2);
    expect(((await server.control('who', {})) as { isConnected: boolean }).isConnected).toBe(true);
  });

  test('a wrong token is refused by REST and gateway', async () => {
    const server = await startUpstream('discord', { limits: {}, token: 'other' });
    onTestFinished(() => server.stop());
    await expect(newClient(server.url).login('local')).rejects.toThrow(/token/i);
    const socket = new WebSocket(server.url.replace('http', 'ws'));
    socket.onmessage = () => socket.send(JSON.stringify({ op: 2, d: { token: 'local' } }));
    const code = await new Promise((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
    expect(code).toBe(4004);
  });
});

describe('limits', () => {
  test('the client keeps to a limit of which the headers told it', async () => {
    const { server, channel } = await discord({ limits: { [POST]: { limit: 2, interval: 200 } } });
    if (!channel.isSendable()) throw new Error('Not sendable');
    const started = performance.now();
    for (let i = 0; i < 5; i++) await channel.send(`${i}`);
    expect(performance.now() - started).toBeGreaterThan(390);
    expect((await server.stats()).byStatus[429]).toBeUndefined();
  });

  test('who does not keep to it is told the wait and whose limit it was, of the route or of all', async () => {
    const limits = { [POST]: { limit: 1, interval: 5_000 }, global: { limit: 12, interval: 60_000 } };
    const { server, channel } = await discord({ limits });
    const send = (method: 'GET' | 'POST') =>
      fetch(`${server.url}/api/v10/channels/${channel.id}/messages`, {
        method,
        headers: { authorization: 'Bot local' },
        ...(method === 'POST' && { body: JSON.stringify({ content: 'hi' }) }),
      });
    expect((await send('POST')).headers.get('x-ratelimit-remaining')).toBe('0');
    const refused = await send('POST');
    expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('x-ratelimit-scope')]).toEqual([
      429,
      '5',
      'user',
    ]);
    expect(await refused.json()).toMatchObject({ global: false, message: 'You are being rate limited.' });
    let last = refused;
    while (last.headers.get('x-ratelimit-scope') !== 'global') last = await send('GET');
    expect(last.headers.get('x-ratelimit-global')).toBe('true');
    expect(((await last.json()) as { global: boolean; retry_after: number }).retry_after).toBeGreaterThan(50);
  });

  test('a 429 of the weather is waited out by the client', async () => {
    const faults = { every: 2, kinds: ['rate-limited'] as const, retryAfter: 100 };
    const { server, channel } = await discord({ weather: { routes: { [POST]: { faults } } } });
    if (!channel.isSendable()) throw new Error('Not sendable');
    for (let i = 0; i < 2; i++) await channel.send(`${i}`);
    const { counts, routes, tooEarly } = await server.stats();
    expect([counts.messages, routes[POST]?.byStatus[429], tooEarly]).toEqual([2, 1, 0]);
  });
});
