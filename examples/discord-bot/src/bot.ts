import {
  Client,
  Events,
  GatewayIntentBits,
  type Message,
  Partials,
  RESTEvents,
  type SendableChannels,
} from 'discord.js';
import { BackgroundTasks, fireAndForget } from 'paceline';
import { COMMANDS, onCommand } from './commands.js';
import type { BotConfig } from './config.js';
import { messageOf, UserError } from './errors.js';
import { createGlobals, type Globals } from './globals.js';
import { consoleLog, type Log } from './log.js';
import { replyTo } from './places.js';
import { reportOf } from './report.js';
import { Responder } from './responder.js';
import { MemoryStore, type Store } from './store.js';

const NOTICE_MS = 1_000;

export interface BotParts {
  readonly log?: Log;
  readonly store?: Store;
}

/** Connects, and answers until it is stopped. @throws {UserError} Discord does not let it in. */
export async function startBot(
  config: BotConfig,
  { log = consoleLog, store = storeOf(config) }: BotParts = {},
): Promise<Bot> {
  const bot = new Bot(config, store, log);
  // Where `fireAndForget` puts its work.
  BackgroundTasks.shared = bot.globals.background;
  await bot.connect();
  return bot;
}

function storeOf({ timeScale }: BotConfig): Store {
  return new MemoryStore({ minute: 60_000 / timeScale });
}

export class Bot {
  readonly globals: Globals;
  readonly responder: Responder;
  readonly client: Client;
  readonly #config: BotConfig;
  readonly #store: Store;
  readonly #log: Log;
  readonly #stopReporting: () => void;
  #stopped: Promise<string[]> | undefined;

  constructor(config: BotConfig, store: Store, log: Log) {
    this.#config = config;
    this.#store = store;
    this.#log = log;
    this.globals = createGlobals(config, (error, { name }) =>
      log('error', 'Background task failed', { task: name, error }),
    );
    this.responder = new Responder(this.globals, store, config, log);
    const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;
    const { api } = config.discord;
    // Its own repeats after a 5xx are off: `discordRetry` does that. 429s it waits out in any case.
    this.client = new Client({
      intents: [Guilds, GuildMessages, DirectMessages, MessageContent],
      // Direct messages come from channels that nobody announced.
      partials: [Partials.Channel],
      rest: { retries: 0, ...(api && { api }) },
    });
    this.#listen();
    this.#stopReporting = this.globals.registry.report({
      every: config.reportEvery / config.timeScale,
      log: (snapshot) => {
        for (const line of reportOf(snapshot)) log('info', line);
      },
    });
  }

  async connect(): Promise<void> {
    const ready = new Promise((resolve) => this.client.once(Events.ClientReady, resolve));
    try {
      await this.client.login(this.#config.discord.token);
    } catch (error) {
      await this.stop();
      throw new UserError(`Discord did not let the bot in: ${messageOf(error)}`, { cause: error });
    }
    await ready;
    // For all servers and for direct messages.
    await this.client.application?.commands.set(COMMANDS);
    const guilds = this.client.guilds.cache;
    this.#log('info', 'Ready', { as: this.client.user?.username ?? '', servers: guilds.size });
  }

  /**
   * Takes nothing new, answers what it has taken, does the work after that, and leaves. Returns what it could not finish, by name.
   * @param grace for all of it, ms. Default 20_000.
   */
  stop(grace = 20_000): Promise<string[]> {
    this.#stopped ??= this.#stop(grace);
    return this.#stopped;
  }

  async #stop(grace: number): Promise<string[]> {
    const { globalPools, globalCoalescers, gemini, background } = this.globals;
    const until = performance.now() + grace;
    // From the outside in: who asks is closed before whom it asks.
    const reports = [await globalPools.handlers.close({ grace })];
    reports.push(await background.close({ grace: Math.max(0, until - performance.now()) }));
    const inner = [
      ...Object.values(globalCoalescers),
      gemini,
      globalPools.context,
      globalPools.discord,
      globalPools.gemini,
    ];
    // Nobody waits for them any more, but a last notice may be on its way.
    for (const part of inner) reports.push(await part.close({ grace: NOTICE_MS }));
    this.#stopReporting();
    await this.client.destroy();
    return reports.flatMap(({ left }) => left);
  }

  #listen(): void {
    const { client } = this;
    const services = { globals: this.globals, responder: this.responder, store: this.#store, config: this.#config };
    client.on(Events.MessageCreate, (message) => {
      this.#onMessage(message).catch((error: unknown) => this.#log('error', 'A message was not handled', { error }));
    });
    client.on(Events.InteractionCreate, (interaction) => {
      if (!interaction.isChatInputCommand()) return;
      onCommand(interaction, services).catch((error: unknown) =>
        this.#log('error', 'A command was not handled', { command: interaction.commandName, error }),
      );
    });
    client.on(Events.Error, (error) => this.#log('error', 'Discord', { error }));
    client.on(Events.ShardReconnecting, () => {
      // The end of a stop looks like it.
      if (this.#stopped === undefined) this.#log('warn', 'Gateway lost, reconnecting');
    });
    client.on(Events.ShardResume, (_, replayed) => this.#log('info', 'Gateway resumed', { replayed }));
    client.rest.on(RESTEvents.RateLimited, ({ route, timeToReset }) =>
      this.#log('info', 'Discord limits the rate', { route, wait: `${timeToReset} ms` }),
    );
  }

  async #onMessage(message: Message): Promise<void> {
    const { author, guild, channel, client } = message;
    if (author.bot || !channel.isSendable()) return;
    if (this.#stopped === undefined) this.responder.after.analyze(author.id, message.cleanContent);
    if (guild !== null && !message.mentions.users.has(client.user.id)) return;
    if (this.#stopped === undefined) this.#showTyping(channel);
    const question = {
      text: message.content.replaceAll(`<@${client.user.id}>`, '').trim(),
      user: { id: author.id, name: message.member?.displayName ?? author.displayName },
      guild,
      channel,
      audience: 'user' as const,
    };
    // One notice for the channel: many are waiting, and each reply would wait in the same line.
    const refuse = (why: string) => this.#once('notice', channel, () => channel.send(why));
    await this.responder.take(question, replyTo(message), refuse);
  }

  #showTyping(channel: SendableChannels): void {
    fireAndForget(() => this.#once('typing', channel, () => channel.sendTyping()), { name: 'typing' });
  }

  #once(kind: string, { id }: SendableChannels, work: () => Promise<unknown>): Promise<unknown> {
    return this.globals.globalCoalescers.notices.execute([kind, id], work);
  }
}
