import { GEMINI_MODEL, type Kinds, type StartOptions, startUpstream, type UpstreamServer } from 'upstreams';
import { type Bot, startBot } from '../bot.js';
import { type BotConfig, DEFAULTS } from '../config.js';
import type { Log } from '../log.js';
import { MemoryStore, type Store } from '../store.js';

export interface Stage {
  readonly bot: Bot;
  readonly discord: UpstreamServer<Kinds['discord']['counts']>;
  readonly gemini: UpstreamServer<Kinds['gemini']['counts']>;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly discord?: StartOptions<'discord'>;
  readonly gemini?: StartOptions<'gemini'>;
  readonly config?: Partial<BotConfig>;
  readonly store?: Store;
  readonly log: Log;
}

/** A bot between a Discord and a Gemini of its own, each a process on this machine. */
export async function setStage({ discord, gemini, config, store, log }: StageOptions): Promise<Stage> {
  const [chat, model] = await Promise.all([startUpstream('discord', discord), startUpstream('gemini', gemini)]);
  const servers = [chat, model];
  try {
    const full: BotConfig = {
      ...DEFAULTS,
      discord: { token: 'local', api: `${chat.url}/api` },
      gemini: { apiKey: 'local', model: GEMINI_MODEL, baseUrl: model.url },
      ...config,
    };
    const minute = 60_000 / full.timeScale;
    const bot = await startBot(full, { store: store ?? new MemoryStore({ minute }), log });
    const close = async () => {
      await bot.stop(0);
      await Promise.all(servers.map((server) => server.stop()));
    };
    return { bot, discord: chat, gemini: model, close };
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}
