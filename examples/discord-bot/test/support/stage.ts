import {
  GEMINI_MODEL,
  type Kinds,
  type ReadMessage,
  type StartOptions,
  startUpstream,
  type UpstreamServer,
} from 'upstreams';
import { onTestFinished } from 'vitest';
import { type Bot, startBot } from '../../src/bot.js';
import { type BotConfig, DEFAULTS } from '../../src/config.js';
import { CURSOR } from '../../src/live-message.js';
import type { Level } from '../../src/log.js';
import { MemoryStore } from '../../src/store.js';

export interface StageOptions {
  readonly discord?: StartOptions<'discord'>;
  readonly gemini?: StartOptions<'gemini'>;
  readonly config?: Partial<BotConfig>;
  readonly store?: MemoryStore;
}

interface Line {
  readonly level: Level;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Stage {
  readonly bot: Bot;
  readonly store: MemoryStore;
  readonly logs: readonly Line[];
  readonly discord: UpstreamServer<Kinds['discord']['counts']>;
  readonly gemini: UpstreamServer<Kinds['gemini']['counts']>;
  /** Someone writes to the bot. Returns the id of the message. */
  say(user: string, text: string, channel?: string): Promise<string>;
  run(user: string, name: string, question?: string, channel?: string): Promise<void>;
  read(channel?: string): Promise<readonly ReadMessage[]>;
  /** What the bot wrote, when it is this many whole texts. */
  answers(count: number, channel?: string): Promise<readonly ReadMessage[]>;
}

/** A bot between a Discord and a Gemini of its own. Discord has no limits and edits are quick unless a test says otherwise. */
export async function stage({ discord, gemini, config, store = new MemoryStore() }: StageOptions = {}): Promise<Stage> {
  const [chat, model] = await Promise.all([
    startUpstream('discord', { limits: {}, ...discord }),
    startUpstream('gemini', { tokensPerSecond: 1_000, ...gemini }),
  ]);
  onTestFinished(async () => void (await Promise.all([chat.stop(), model.stop()])));
  const logs: Line[] = [];
  const full: BotConfig = {
    ...DEFAULTS,
    editEvery: 50,
    discord: { token: 'local', api: `${chat.url}/api` },
    gemini: { apiKey: 'local', model: GEMINI_MODEL, baseUrl: model.url },
    ...config,
  };
  const log = (level: Level, message: string, data: Line['data'] = {}) => void logs.push({ level, message, data });
  const bot = await startBot(full, { store, log });
  onTestFinished(async () => void (await bot.stop(0)));

  const read = async (channel = 'general') => (await chat.control('read', { channel })) as ReadMessage[];
  return {
    bot,
    store,
    logs,
    discord: chat,
    gemini: model,
    read,
    async say(user, text, channel = 'general') {
      return ((await chat.control('say', { channel, user, text: `@paceline ${text}` })) as { id: string }).id;
    },
    async run(user, name, question, channel = 'general') {
      await chat.control('run', { channel, user, name, options: question === undefined ? {} : { question } });
    },
    async answers(count, channel) {
      let found: readonly ReadMessage[] = [];
      await until(async () => {
        found = (await read(channel)).filter(({ author, text }) => author === 'paceline' && !text.endsWith(CURSOR));
        return found.length >= count;
      });
      return found;
    },
  };
}

/** Looks until it is so. */
export async function until(look: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 10));
}
