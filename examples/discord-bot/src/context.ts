import { gatherAllSettled } from 'paceline';
import type { BotConfig } from './config.js';
import type { Globals } from './globals.js';
import { channelHistory, type Line } from './history.js';
import type { Log } from './log.js';
import type { Question } from './question.js';
import type { Store } from './store.js';

export interface UserContext {
  readonly name: string;
  readonly mood: number;
}

export interface Context {
  readonly emojis: readonly string[];
  readonly pins: readonly string[];
  readonly user: UserContext | undefined;
  /** Newest first. */
  readonly history: readonly Line[];
}

/** What the model is told besides the question. */
export class ContextBuilder {
  readonly #globals: Globals;
  readonly #store: Store;
  readonly #config: BotConfig;
  readonly #log: Log;

  constructor(globals: Globals, store: Store, config: BotConfig, log: Log) {
    this.#globals = globals;
    this.#store = store;
    this.#config = config;
    this.#log = log;
  }

  /** All at once, and without what fails: an answer without the pins is still an answer. */
  async build(question: Question, signal?: AbortSignal): Promise<Context> {
    const { values, errors } = await gatherAllSettled(
      {
        emojis: () => this.emojis(question),
        pins: () => this.pins(question),
        user: () => this.user(question),
        history: () => this.server(question),
      },
      { timeout: 5_000 / this.#config.timeScale, signal },
    );
    const { emojis = [], pins = [], user, history = [] } = values;
    for (const [part, error] of Object.entries(errors))
      this.#log('warn', 'A part of the context is missing', { part, error });
    return { emojis, pins, user, history };
  }

  emojis({ guild }: Question): Promise<readonly string[]> {
    if (guild === null) return Promise.resolve([]);
    return this.#shared(['emojis', guild.id], guild.id, async () =>
      (await guild.emojis.fetch()).map(({ name }) => `:${name}:`),
    );
  }

  pins({ channel }: Question): Promise<readonly string[]> {
    return this.#shared(['pins', channel.id], channel.id, async () =>
      (await channel.messages.fetchPins()).items.map(({ message }) => message.cleanContent),
    );
  }

  /** The name that the person has in this server, and what we know of them. Nothing of one person where the answer is for all. */
  user({ user, guild, audience }: Question): Promise<UserContext | undefined> {
    if (audience === 'server') return Promise.resolve(undefined);
    const { globalCoalescers, globalPools, discordRetry, shared } = this.#globals;
    return globalCoalescers.userContext.execute(shared([guild?.id ?? 'dm', user.id]), async ({ signal }) => {
      const member = () => guild?.members.fetch({ user: user.id, force: true });
      const { values, errors } = await gatherAllSettled(
        {
          member: ({ signal }) =>
            discordRetry.execute(({ signal }) => globalPools.discord.execute(member, { signal, group: user.id }), {
              signal,
            }),
          profile: () => this.#store.profile(user.id),
        },
        { signal },
      );
      if (errors.member !== undefined) throw errors.member;
      return { name: values.member?.displayName ?? user.name, mood: values.profile?.mood ?? 0 };
    });
  }

  server({ channel }: Question): Promise<readonly Line[]> {
    return channelHistory(this.#globals, channel, this.#config.history);
  }

  #shared<T>(key: readonly [kind: string, id: string], group: string, fetch: () => Promise<T>): Promise<T> {
    const { globalCoalescers, globalPools, discordRetry, shared } = this.#globals;
    return globalCoalescers.serverContext.execute(shared(key), ({ signal }) =>
      discordRetry.execute(({ signal }) => globalPools.discord.execute(fetch, { signal, group }), { signal }),
    );
  }
}
