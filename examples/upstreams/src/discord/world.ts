import { Problem } from '../app.js';
import { memberOf } from './wire.js';

export interface User {
  readonly id: string;
  readonly username: string;
  readonly global_name: string;
  readonly discriminator: '0';
  readonly avatar: null;
  readonly bot: boolean;
}

/** As it goes over the wire. */
interface Message {
  readonly id: string;
  readonly channel_id: string;
  readonly author: User;
  content: string;
  readonly timestamp: string;
  edited_timestamp: string | null;
  pinned: boolean;
  readonly [field: string]: unknown;
}

/** A message and what only the server knows of it. */
export interface Stored {
  readonly message: Message;
  /** Each text that it had, and when, ms of this server's clock. */
  readonly revisions: { readonly text: string; readonly at: number }[];
  readonly nonce: string | undefined;
  /** Only the one who ran the command sees it. */
  readonly ephemeral: boolean;
}

export interface Channel {
  readonly id: string;
  readonly name: string;
  readonly messages: Stored[];
  /** Of a direct message: the one who talks to the bot there. */
  readonly recipient?: User;
  readonly pins: { readonly pinned_at: string; readonly message: Message }[];
}

export interface NewMessage {
  readonly text: string;
  readonly replyTo?: string | undefined;
  readonly nonce?: string | undefined;
  readonly ephemeral?: boolean;
  /** The command that it answers. */
  readonly interaction?: object | undefined;
}

const EPOCH = 1_420_070_400_000n;
const MAX_TEXT = 2000;
const REPLY = 19;
const COMMAND = 20;

/** One server ("guild"), its channels, its people and what they wrote. */
export class World {
  readonly bot: User;
  readonly guildId: string;
  readonly channels: readonly Channel[];
  readonly emojis: readonly object[];
  readonly #direct = new Map<string, Channel>();
  readonly #users = new Map<string, User>();
  #serial = 0n;

  constructor(botName: string, channelNames: readonly string[]) {
    this.guildId = this.newId();
    this.bot = this.user(botName, true);
    this.channels = channelNames.map((name) => ({ id: this.newId(), name, messages: [], pins: [] }));
    this.emojis = ['paceline', 'shipit', 'facepalm'].map((name) => ({
      id: this.newId(),
      name,
      roles: [],
      animated: false,
    }));
  }

  /** A snowflake: later ones are greater. */
  newId(): string {
    return String(((BigInt(Date.now()) - EPOCH) << 22n) | (this.#serial++ & 0x3fffffn));
  }

  /** By name. Who was never heard of joins. */
  user(name: string, bot = false): User {
    const known = this.#users.get(name);
    if (known !== undefined) return known;
    const username = name.toLowerCase().replace(/\W+/g, '_');
    const user: User = { id: this.newId(), username, global_name: name, discriminator: '0', avatar: null, bot };
    this.#users.set(name, user);
    return user;
  }

  /** @throws {Problem} 404. */
  userById(id: string): User {
    const user = [...this.#users.values()].find((user) => user.id === id);
    if (user === undefined) throw new Problem(404, '10013', 'Unknown User');
    return user;
  }

  get users(): readonly User[] {
    return [...this.#users.values()];
  }

  /** `@NAME` is that person's direct messages with the bot. @throws {Error} there is none of this name. */
  channelByName(name: string): Channel {
    if (name.startsWith('@')) return this.#directWith(this.user(name.slice(1)), name);
    const channel = this.channels.find((channel) => channel.name === name);
    if (channel === undefined) throw new Error(`No channel \`${name}\``);
    return channel;
  }

  /** @throws {Problem} 404. */
  channel(id: string): Channel {
    const channel = [...this.channels, ...this.#direct.values()].find((channel) => channel.id === id);
    if (channel === undefined) throw new Problem(404, '10003', 'Unknown Channel');
    return channel;
  }

  /** @throws {Problem} 404. */
  stored(channel: Channel, id: string): Stored {
    const stored = channel.messages.find(({ message }) => message.id === id);
    if (stored === undefined) throw new Problem(404, '10008', 'Unknown Message');
    return stored;
  }

  /** `@name` becomes a mention. @throws {Problem} 400. */
  post(channel: Channel, author: User, { text, replyTo, nonce, ephemeral = false, interaction }: NewMessage): Stored {
    const content = this.users.reduce(
      (text, { global_name, id }) => text.replaceAll(`@${global_name}`, `<@${id}>`),
      text,
    );
    checkText(content);
    const replied = replyTo === undefined ? undefined : this.stored(channel, replyTo).message;
    const message: Message = {
      id: this.newId(),
      channel_id: channel.id,
      channel_type: channel.recipient === undefined ? 0 : 1,
      author,
      ...(channel.recipient === undefined && { guild_id: this.guildId, member: memberOf(author) }),
      content,
      timestamp: new Date().toISOString(),
      edited_timestamp: null,
      pinned: false,
      tts: false,
      mention_everyone: false,
      mentions: this.users.filter(({ id }) => content.includes(`<@${id}>`)),
      mention_roles: [],
      attachments: [],
      embeds: [],
      flags: ephemeral ? 64 : 0,
      type: replied !== undefined ? REPLY : interaction !== undefined ? COMMAND : 0,
      ...(replied && {
        message_reference: { message_id: replied.id, channel_id: channel.id, guild_id: this.guildId },
        referenced_message: replied,
      }),
      ...(interaction && { interaction_metadata: interaction }),
      ...(nonce && { nonce }),
    };
    const stored: Stored = { message, revisions: [{ text: content, at: performance.now() }], nonce, ephemeral };
    channel.messages.push(stored);
    return stored;
  }

  /** @throws {Problem} 400. */
  edit({ message, revisions }: Stored, text: string): void {
    checkText(text);
    message.content = text;
    message.edited_timestamp = new Date().toISOString();
    revisions.push({ text, at: performance.now() });
  }

  pin(channel: Channel, { message }: Stored): void {
    message.pinned = true;
    channel.pins.unshift({ pinned_at: new Date().toISOString(), message });
  }

  #directWith(recipient: User, name: string): Channel {
    const known = this.#direct.get(name) ?? { id: this.newId(), name, messages: [], pins: [], recipient };
    this.#direct.set(name, known);
    return known;
  }
}

function checkText(text: string): void {
  if (text.trim() === '') throw new Problem(400, '50006', 'Cannot send an empty message');
  if (text.length > MAX_TEXT)
    throw new Problem(400, '50035', `Invalid Form Body: content must be ${MAX_TEXT} or fewer in length.`);
}
