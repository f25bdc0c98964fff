import { Problem } from '../app.js';
import { channelOf, memberOf } from './wire.js';
import type { Channel, Stored, User, World } from './world.js';

interface Interaction {
  readonly id: string;
  readonly token: string;
  readonly channel: Channel;
  readonly user: User;
  readonly name: string;
  readonly at: number;
  isAcknowledged: boolean;
  isEphemeral: boolean;
  /** The first answer, `@original`. */
  original: Stored | undefined;
}

interface Command {
  readonly id: string;
  readonly name: string;
  readonly [field: string]: unknown;
}

const CALLBACK = { message: 4, deferred: 5 };
const EPHEMERAL = 64;
const STRING = 3;

/** Slash commands: what the bot registered, who ran them, and how they were answered. */
export class Interactions {
  commands: readonly Command[] = [];
  readonly #world: World;
  /** ms, within which a command must be acknowledged. */
  readonly #deadline: number;
  readonly #all = new Map<string, Interaction>();

  constructor(world: World, deadline: number) {
    this.#world = world;
    this.#deadline = deadline;
  }

  register(bodies: readonly { readonly name: string }[]): readonly Command[] {
    const { bot, guildId } = this.#world;
    this.commands = bodies.map((body) => ({
      type: 1,
      description: '',
      default_member_permissions: null,
      ...body,
      id: this.#world.newId(),
      application_id: bot.id,
      guild_id: guildId,
      version: this.#world.newId(),
    }));
    return this.commands;
  }

  /** Someone runs a command. Returns what the gateway tells the bot. @throws {Error} it is not registered. */
  run(
    channel: Channel,
    user: User,
    name: string,
    options: Readonly<Record<string, string>>,
  ): { id: string; event: object } {
    const command = this.commands.find((command) => command.name === name);
    if (command === undefined) throw new Error(`No command \`/${name}\` is registered`);
    const { bot, guildId } = this.#world;
    const id = this.#world.newId();
    const token = `token-${id}`;
    this.#all.set(token, {
      id,
      token,
      channel,
      user,
      name,
      at: performance.now(),
      isAcknowledged: false,
      isEphemeral: false,
      original: undefined,
    });
    const permissions = '2248473465835073';
    const inServer = {
      guild_id: guildId,
      guild: { id: guildId, locale: 'en-US', features: [] },
      guild_locale: 'en-US',
      channel: { id: channel.id, type: 0, name: channel.name, permissions },
      member: { user, ...memberOf(user), permissions },
      context: 0,
    };
    const event = {
      id,
      token,
      application_id: bot.id,
      type: 2,
      version: 1,
      channel_id: channel.id,
      ...(channel.recipient === undefined ? inServer : { user, channel: channelOf(channel), context: 1 }),
      locale: 'en-US',
      app_permissions: permissions,
      entitlements: [],
      authorizing_integration_owners: { 0: guildId },
      attachment_size_limit: 10_485_760,
      data: {
        id: command.id,
        name,
        type: 1,
        options: Object.entries(options).map(([name, value]) => ({ name, value, type: STRING })),
      },
    };
    return { id, event };
  }

  /** @throws {Problem} unknown or too late, acknowledged before, or of another kind. */
  acknowledge(token: string, body: Readonly<Record<string, unknown>>): Stored | undefined {
    const interaction = this.#all.get(token);
    if (interaction === undefined || performance.now() - interaction.at > this.#deadline)
      throw new Problem(404, '10062', 'Unknown interaction');
    if (interaction.isAcknowledged) throw new Problem(400, '40060', 'Interaction has already been acknowledged.');
    const { content = '', flags = 0 } = (body.data ?? {}) as { content?: string; flags?: number };
    if (body.type !== CALLBACK.message && body.type !== CALLBACK.deferred)
      throw new Problem(400, '50035', 'Invalid Form Body: type');
    interaction.isAcknowledged = true;
    interaction.isEphemeral = (flags & EPHEMERAL) !== 0;
    return body.type === CALLBACK.message ? this.#answer(interaction, content) : undefined;
  }

  /** The first answer: edited, or written if it was only announced. @throws {Problem} 404. */
  editOriginal(token: string, text: string): Stored {
    const interaction = this.#acknowledged(token);
    if (interaction.original === undefined) return this.#answer(interaction, text);
    this.#world.edit(interaction.original, text);
    return interaction.original;
  }

  /** @throws {Problem} 404. */
  original(token: string): Stored {
    const { original } = this.#acknowledged(token);
    if (original === undefined) throw new Problem(404, '10008', 'Unknown Message');
    return original;
  }

  /** One more answer. @throws {Problem} 404. */
  followUp(token: string, text: string): Stored {
    return this.#post(this.#acknowledged(token), text);
  }

  #acknowledged(token: string): Interaction {
    const interaction = this.#all.get(token);
    if (interaction?.isAcknowledged !== true) throw new Problem(404, '10015', 'Unknown Webhook');
    return interaction;
  }

  #answer(interaction: Interaction, text: string): Stored {
    const stored = this.#post(interaction, text);
    interaction.original = stored;
    return stored;
  }

  #post({ channel, id, user, name, isEphemeral }: Interaction, text: string): Stored {
    const interaction = { id, type: 2, user, authorizing_integration_owners: { 0: this.#world.guildId }, name };
    return this.#world.post(channel, this.#world.bot, { text, ephemeral: isEphemeral, interaction });
  }
}
