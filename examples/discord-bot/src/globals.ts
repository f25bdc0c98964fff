import {
  BackgroundTasks,
  type KeyPart,
  MetricsRegistry,
  PromisePool,
  RequestCoalescer,
  RetryBudget,
  RetryPolicy,
  StreamCoalescer,
  Upstream,
} from 'paceline';
import type { BotConfig } from './config.js';

export type Globals = ReturnType<typeof createGlobals>;

/** What all parts of one bot share. Made at the start, closed at the end. */
export function createGlobals(config: BotConfig, onBackgroundError: (error: unknown, task: { name: string }) => void) {
  const scaled = (ms: number) => ms / config.timeScale;
  const { requestsPerMinute, tokensPerMinute } = config.quota;
  // A little more than the service's minute: it counts arrivals, and one request may be longer on its way than the next.
  const interval = scaled(62_000);
  let serial = 0;
  const shared = <K extends readonly KeyPart[]>(key: K): readonly KeyPart[] =>
    config.share ? key : [...key, serial++];

  const globalPools = {
    /** Reads. What is written goes past it: discord.js sends that in series anyway, and would hold the slots meanwhile. */
    discord: new PromisePool({ concurrency: 10, name: 'DiscordAPI' }),
    gemini: new PromisePool({
      concurrency: 5,
      name: 'GeminiAPI',
      rateLimit: [
        { limit: requestsPerMinute, interval },
        { limit: tokensPerMinute, interval, counts: 'cost' },
      ],
    }),
    context: new PromisePool({ concurrency: 20, name: 'ContextProcessing' }),
    /** Whole questions, from the first check to the last edit. Without groups it is first in, first out. */
    handlers: new PromisePool({ concurrency: config.answering, maxQueue: config.waiting, name: 'Handlers' }),
  };

  const globalCoalescers = {
    userContext: new RequestCoalescer({ ttl: scaled(500), name: 'UserContext' }),
    serverContext: new RequestCoalescer({ ttl: scaled(1_000), name: 'ServerContext' }),
    /** Whoever asks the same while an answer is written reads along, from its first word. */
    geminiGeneration: new StreamCoalescer<string>({ ttl: scaled(2_000), name: 'GeminiGeneration' }),
    /** "Typing" shows for 10 s, and one notice for a channel is enough. */
    notices: new RequestCoalescer({ ttl: scaled(8_000), name: 'Notices' }),
  };

  const gemini = new Upstream({
    name: 'gemini',
    pool: globalPools.gemini,
    retry: { maxAttempts: 3, baseDelay: scaled(300), budget: new RetryBudget() },
    breaker: { consecutiveFailures: 3, openFor: scaled(config.restFor) },
    timeout: scaled(20_000),
    totalTimeout: scaled(config.answerWithin),
  });
  const discordRetry = new RetryPolicy({
    name: 'discord',
    maxAttempts: 3,
    baseDelay: scaled(200),
    budget: new RetryBudget(),
  });
  const background = new BackgroundTasks({
    name: 'background',
    concurrency: 4,
    maxQueue: 1_000,
    overflow: 'drop-oldest',
    onError: onBackgroundError,
  });

  const registry = new MetricsRegistry();
  const sources = [...Object.values(globalPools), ...Object.values(globalCoalescers), gemini, discordRetry, background];
  for (const source of sources) registry.add(source);
  return { shared, globalPools, globalCoalescers, gemini, discordRetry, background, registry };
}
