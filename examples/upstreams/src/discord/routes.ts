import { type App, Problem } from '../app.js';
import type { Exchange } from '../exchange.js';
import type { DiscordCounts } from './app.js';
import type { Gateway } from './gateway.js';
import type { Interactions } from './interactions.js';
import type { DiscordLimiter } from './limits.js';
import { channelOf, guildOf, memberOf } from './wire.js';
import type { Channel, Stored, World } from './world.js';

export interface Service {
  readonly world: World;
  readonly gateway: Gateway;
  readonly interactions: Interactions;
  readonly limiter: DiscordLimiter;
  readonly token: string;
}

interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly host: string;
  readonly counts: DiscordCounts;
}

type Handle = (call: Call) => unknown;

const MOST_MESSAGES = 100;
/** Commands are answered with the token in the path, outside of the bot's global limit. */
const WITHOUT_BOT = /\/(interactions|webhooks)\//;

/** The REST side. A handler that returns nothing answers 204. */
export function routesOf(service: Service): App<DiscordCounts>['routes'] {
  return Object.fromEntries(
    Object.entries(handlersOf(service)).map(([name, handle]) => {
      const [method, path] = name.split(' ') as [string, string];
      const full = `${method} /api/:version${path}`;
      return [full, (exchange: Exchange, counts: DiscordCounts) => answer(service, full, handle, exchange, counts)];
    }),
  );
}

async function answer(
  { limiter, token }: Service,
  route: string,
  handle: Handle,
  exchange: Exchange,
  counts: DiscordCounts,
): Promise<void> {
  const { request, url } = exchange;
  const isOfBot = !WITHOUT_BOT.test(route);
  if (isOfBot && request.headers.authorization !== `Bot ${token}`) throw new Problem(401, '0', '401: Unauthorized');
  // The client encodes names such as `@original`.
  const params = Object.fromEntries(
    Object.entries(exchange.params).map(([name, text]) => [name, decodeURIComponent(text)]),
  );
  const text = request.method === 'GET' ? '' : await exchange.text();
  const content = `${url.pathname}${url.search} ${text.replace(/"nonce":"[^"]*"/, '')}`;
  const { channel = '', guild = '', token: webhook = '' } = params;
  limiter.take(exchange, route, channel || webhook || guild, content, isOfBot);
  await exchange.through(content, () => {});
  // With the weather behind us: a request that met a fault changed nothing.
  const body = text === '' ? {} : (JSON.parse(text) as Call['body']);
  const result = handle({ params, query: url.searchParams, body, host: request.headers.host ?? '', counts });
  // An empty body is no JSON, and the client would try.
  if (result === undefined) exchange.send(204, '', { 'content-type': 'text/plain' });
  else exchange.send(200, result);
}

function handlersOf({ world, gateway, interactions }: Service): Readonly<Record<string, Handle>> {
  const channelIn = ({ params }: Call) => world.channel(params.channel ?? '');
  const created = ({ message, ephemeral }: Stored): Stored['message'] => {
    if (!ephemeral) gateway.dispatch('MESSAGE_CREATE', message);
    return message;
  };
  return {
    'GET /gateway/bot': ({ host, counts }) => ({
      url: `ws://${host}`,
      shards: 1,
      session_start_limit: {
        total: 1000,
        remaining: 1000 - counts.identifies,
        reset_after: 86_400_000,
        max_concurrency: 1,
      },
    }),
    'GET /users/:user': ({ params }) => (params.user === '@me' ? world.bot : world.userById(params.user ?? '')),
    'GET /guilds/:guild': () => guildOf(world),
    'GET /guilds/:guild/emojis': () => world.emojis,
    'GET /guilds/:guild/members/:user': ({ params }) => {
      const user = world.userById(params.user ?? '');
      return { user, ...memberOf(user) };
    },
    'PUT /applications/:app/commands': ({ body }) => interactions.register(body as never),
    'PUT /applications/:app/guilds/:guild/commands': ({ body }) => interactions.register(body as never),

    'GET /channels/:channel': (call) => channelOf(channelIn(call)),
    'GET /channels/:channel/messages': (call) => pageOf(channelIn(call), call.query),
    'GET /channels/:channel/messages/pins': (call) => ({ items: channelIn(call).pins, has_more: false }),
    'GET /channels/:channel/messages/:message': (call) =>
      world.stored(channelIn(call), call.params.message ?? '').message,
    'POST /channels/:channel/messages': (call) => {
      const channel = channelIn(call);
      const { content = '', nonce, enforce_nonce, message_reference } = call.body as NewBody;
      const known =
        enforce_nonce === true && nonce !== undefined
          ? channel.messages.find((stored) => stored.nonce === String(nonce))
          : undefined;
      if (known !== undefined) {
        call.counts.repeats += 1;
        return known.message;
      }
      const reply = {
        text: content,
        replyTo: message_reference?.message_id,
        nonce: nonce === undefined ? nonce : String(nonce),
      };
      const stored = world.post(channel, world.bot, reply);
      call.counts.messages += 1;
      return created(stored);
    },
    'PATCH /channels/:channel/messages/:message': (call) => {
      const stored = world.stored(channelIn(call), call.params.message ?? '');
      if (stored.message.author !== world.bot)
        throw new Problem(403, '50005', 'Cannot edit a message authored by another user');
      world.edit(stored, String(call.body.content ?? ''));
      call.counts.edits += 1;
      gateway.dispatch('MESSAGE_UPDATE', stored.message);
      return stored.message;
    },
    'POST /channels/:channel/typing': (call) => {
      channelIn(call);
      call.counts.typing += 1;
    },

    'POST /interactions/:id/:token/callback': ({ params, body, counts }) => {
      const stored = interactions.acknowledge(params.token ?? '', body);
      counts.acknowledged += 1;
      if (stored !== undefined) created(stored);
    },
    'GET /webhooks/:app/:token/messages/:message': ({ params }) => interactions.original(params.token ?? '').message,
    'PATCH /webhooks/:app/:token/messages/:message': ({ params, body, counts }) => {
      counts.edits += 1;
      return interactions.editOriginal(params.token ?? '', String(body.content ?? '')).message;
    },
    'POST /webhooks/:app/:token': ({ params, body }) =>
      created(interactions.followUp(params.token ?? '', String(body.content ?? ''))),
  };
}

interface NewBody {
  readonly content?: string;
  readonly nonce?: string | number;
  readonly enforce_nonce?: boolean;
  readonly message_reference?: { readonly message_id: string };
}

/** Newest first, as Discord answers. */
function pageOf({ messages }: Channel, query: URLSearchParams): readonly object[] {
  const limit = Number(query.get('limit') ?? 50);
  if (!(limit >= 1 && limit <= MOST_MESSAGES))
    throw new Problem(400, '50035', `Invalid Form Body: limit must be 1 to ${MOST_MESSAGES}.`);
  const all = messages.filter(({ ephemeral }) => !ephemeral).map(({ message }) => message);
  const [before, after, around] = ['before', 'after', 'around'].map((name) => query.get(name));
  const older = (id: string) => all.filter((message) => BigInt(message.id) < BigInt(id));
  const newer = (id: string) => all.filter((message) => BigInt(message.id) > BigInt(id));
  if (before) return older(before).slice(-limit).reverse();
  if (after) return newer(after).slice(0, limit).reverse();
  if (around) {
    const half = Math.floor(limit / 2);
    const [from, to] = [older(around).slice(-half), newer(around).slice(0, half)];
    return [...from, ...all.filter(({ id }) => id === around), ...to].reverse();
  }
  return all.slice(-limit).reverse();
}
