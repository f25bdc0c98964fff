import type { App, Problem } from '../app.js';
import { Gateway } from './gateway.js';
import { Interactions } from './interactions.js';
import { DiscordLimiter, type DiscordLimits } from './limits.js';
import { routesOf } from './routes.js';
import { type Channel, World } from './world.js';

export interface DiscordOptions {
  /** Default `local`. */
  readonly token?: string;
  /** Default `paceline`. */
  readonly botName?: string;
  /** Default general, help and random. */
  readonly channels?: readonly string[];
  /** Where a route has none, it has no limit. Default: those of messages, edits, typing and all routes together, as Discord has them. */
  readonly limits?: DiscordLimits;
  /** All times of its own, limits and the 3 s for a command, are so many times shorter. Default 1. */
  readonly timeScale?: number;
  /** ms. Default 41_250. */
  readonly heartbeatInterval?: number;
}

export interface DiscordCounts {
  /** That the bot wrote, without answers to commands. */
  messages: number;
  /** Answered with the message that was there already, by their nonce. */
  repeats: number;
  edits: number;
  typing: number;
  /** Commands that were acknowledged in time. */
  acknowledged: number;
  identifies: number;
  resumes: number;
  heartbeats: number;
}

/** What `POST /_control/read` answers. */
export interface ReadMessage {
  readonly id: string;
  readonly author: string;
  readonly text: string;
  readonly replyTo: string | undefined;
  /** Of the command that it answers. */
  readonly command: string | undefined;
  readonly ephemeral: boolean;
  /** Each text that it had, and when. */
  readonly revisions: readonly { readonly text: string; readonly at: number }[];
}

const FIVE_IN_5_S = { limit: 5, interval: 5_000 };
const DISCORD_LIMITS: DiscordLimits = {
  global: { limit: 50, interval: 1_000 },
  'POST /api/:version/channels/:channel/messages': FIVE_IN_5_S,
  'PATCH /api/:version/channels/:channel/messages/:message': FIVE_IN_5_S,
  'POST /api/:version/channels/:channel/typing': FIVE_IN_5_S,
};

/**
 * One server of Discord and the bot in it: REST and, on the same port, the gateway. People act through `POST /_control/`: `say`, `run` (a
 * command), `pin`, `history` (old messages), `read`, where the channel `@NAME` is that person's direct messages; the network through `reconnect`, `drop` and `invalidate`.
 */
export function createDiscord(options: DiscordOptions): App<DiscordCounts> {
  const { token = 'local', botName = 'paceline', channels = ['general', 'help', 'random'] } = options;
  const { limits = DISCORD_LIMITS, timeScale = 1, heartbeatInterval = 41_250 } = options;
  const world = new World(botName, channels);
  let counts: DiscordCounts;
  const gateway = new Gateway(world, { token, heartbeatInterval, counts: () => counts });
  const interactions = new Interactions(world, 3_000 / timeScale);
  const limiter = new DiscordLimiter(limits, timeScale);

  return {
    routes: routesOf({ world, gateway, interactions, limiter, token }),
    errorBody: ({ status, code, message, retryAfter = 0 }: Problem) =>
      status === 429
        ? { message, retry_after: Math.round(retryAfter) / 1000, global: code === 'global', code: 0 }
        : { message, code: Number(code) || 0 },
    newCounts: () => {
      counts = {
        messages: 0,
        repeats: 0,
        edits: 0,
        typing: 0,
        acknowledged: 0,
        identifies: 0,
        resumes: 0,
        heartbeats: 0,
      };
      return counts;
    },
    controls: controlsOf(world, gateway, interactions),
    onUpgrade: (request, socket, head) => gateway.upgrade(request, socket, head),
  };
}

function controlsOf(world: World, gateway: Gateway, interactions: Interactions): NonNullable<App['controls']> {
  const control =
    <T>(run: (body: T) => unknown) =>
    async (body: unknown) =>
      run((body ?? {}) as T);
  return {
    say: control(
      ({ channel, user, text, replyTo }: { channel: string; user: string; text: string; replyTo?: string }) => {
        const { message } = world.post(world.channelByName(channel), world.user(user), { text, replyTo });
        gateway.dispatch('MESSAGE_CREATE', message);
        return { id: message.id };
      },
    ),
    run: control(
      ({
        channel,
        user,
        name,
        options = {},
      }: {
        channel: string;
        user: string;
        name: string;
        options?: Record<string, string>;
      }) => {
        const { id, event } = interactions.run(world.channelByName(channel), world.user(user), name, options);
        gateway.dispatch('INTERACTION_CREATE', event);
        return { id };
      },
    ),
    history: control(
      ({ channel, messages }: { channel: string; messages: readonly { user: string; text: string }[] }) => {
        for (const { user, text } of messages) world.post(world.channelByName(channel), world.user(user), { text });
      },
    ),
    pin: control(({ channel, user, text }: { channel: string; user: string; text: string }) => {
      const into = world.channelByName(channel);
      world.pin(into, world.post(into, world.user(user), { text }));
    }),
    read: control(({ channel, after }: { channel: string; after?: string }) =>
      read(world.channelByName(channel), after),
    ),
    who: control(() => ({ commands: interactions.commands.map(({ name }) => name), isConnected: gateway.isConnected })),
    reconnect: control(() => gateway.reconnect()),
    drop: control(() => gateway.drop()),
    invalidate: control(() => gateway.invalidate()),
  };
}

function read({ messages }: Channel, after = '0'): ReadMessage[] {
  return messages
    .filter(({ message }) => BigInt(message.id) > BigInt(after))
    .map(({ message, revisions, ephemeral }) => ({
      id: message.id,
      author: message.author.global_name,
      text: message.content,
      replyTo: (message.message_reference as { message_id: string } | undefined)?.message_id,
      command: (message.interaction_metadata as { name: string } | undefined)?.name,
      ephemeral,
      revisions,
    }));
}
