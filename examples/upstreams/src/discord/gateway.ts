import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { DiscordCounts } from './app.js';
import { guildOf } from './wire.js';
import type { World } from './world.js';

const OP = {
  dispatch: 0,
  heartbeat: 1,
  identify: 2,
  resume: 6,
  reconnect: 7,
  invalidSession: 9,
  hello: 10,
  heartbeatAck: 11,
};
const AUTHENTICATION_FAILED = 4004;
/** More than a session missed cannot be replayed to it. */
const MAX_LOG = 2_000;

interface Packet {
  readonly op: number;
  readonly d?: unknown;
  readonly s?: number;
  readonly t?: string;
}

/** What a bot has been told, with or without a connection at the moment. */
class Session {
  readonly id: string;
  socket: WebSocket | undefined;
  readonly #log: Packet[] = [];
  #sequence = 0;

  constructor(id: string) {
    this.id = id;
  }

  dispatch(t: string, d: unknown): void {
    const packet = { op: OP.dispatch, t, d, s: ++this.#sequence };
    this.#log.push(packet);
    if (this.#log.length > MAX_LOG) this.#log.shift();
    if (this.socket !== undefined) send(this.socket, packet);
  }

  /** Sends again what came after `sequence`. Returns false if that is not known any more. */
  resume(socket: WebSocket, sequence: number): boolean {
    const missed = this.#log.filter(({ s = 0 }) => s > sequence);
    if (sequence > this.#sequence || missed.length !== this.#sequence - sequence) return false;
    this.socket = socket;
    for (const packet of missed) send(socket, packet);
    this.dispatch('RESUMED', {});
    return true;
  }
}

export interface GatewayOptions {
  readonly token: string;
  readonly heartbeatInterval: number;
  readonly counts: () => DiscordCounts;
}

/** The WebSocket side: plain JSON, version 10. A session outlives its connection. */
export class Gateway {
  readonly #world: World;
  readonly #options: GatewayOptions;
  readonly #server = new WebSocketServer({ noServer: true });
  readonly #sessions = new Map<string, Session>();

  constructor(world: World, options: GatewayOptions) {
    this.#world = world;
    this.#options = options;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (connection) => {
      const url = `ws://${request.headers.host}`;
      connection.on('error', () => {});
      connection.on('close', () => {
        for (const session of this.#sessions.values()) if (session.socket === connection) session.socket = undefined;
      });
      connection.on('message', (data) => this.#onPacket(connection, JSON.parse(String(data)) as Packet, url));
      send(connection, { op: OP.hello, d: { heartbeat_interval: this.#options.heartbeatInterval } });
    });
  }

  get isConnected(): boolean {
    return this.#connections().length > 0;
  }

  dispatch(t: string, d: unknown): void {
    for (const session of this.#sessions.values()) session.dispatch(t, d);
  }

  /** Asks its clients to come again and resume. */
  reconnect(): void {
    for (const socket of this.#connections()) send(socket, { op: OP.reconnect, d: null });
  }

  /** Cuts the connections without a word, as a network does. */
  drop(): void {
    for (const socket of this.#connections()) socket.terminate();
  }

  /** Ends the sessions: what happens until the clients identify again is not told to them. */
  invalidate(): void {
    const sockets = this.#connections();
    this.#sessions.clear();
    for (const socket of sockets) send(socket, { op: OP.invalidSession, d: false });
  }

  #connections(): WebSocket[] {
    return [...this.#sessions.values()].flatMap(({ socket }) => (socket === undefined ? [] : [socket]));
  }

  #onPacket(socket: WebSocket, { op, d }: Packet, url: string): void {
    const counts = this.#options.counts();
    if (op === OP.heartbeat) {
      counts.heartbeats += 1;
      send(socket, { op: OP.heartbeatAck });
    } else if (op === OP.identify) {
      counts.identifies += 1;
      this.#identify(socket, d as { token: string }, url);
    } else if (op === OP.resume) {
      const { token, session_id, seq } = d as { token: string; session_id: string; seq: number };
      if (token !== this.#options.token) {
        socket.close(AUTHENTICATION_FAILED, 'Authentication failed.');
        return;
      }
      const isResumed = this.#sessions.get(session_id)?.resume(socket, seq) ?? false;
      if (isResumed) counts.resumes += 1;
      else send(socket, { op: OP.invalidSession, d: false });
    }
  }

  #identify(socket: WebSocket, { token }: { token: string }, url: string): void {
    if (token !== this.#options.token) {
      socket.close(AUTHENTICATION_FAILED, 'Authentication failed.');
      return;
    }
    const { bot, guildId } = this.#world;
    const session = new Session(this.#world.newId());
    this.#sessions.set(session.id, session);
    session.socket = socket;
    session.dispatch('READY', {
      v: 10,
      user: { ...bot, verified: true, mfa_enabled: false, email: null, flags: 0 },
      guilds: [{ id: guildId, unavailable: true }],
      session_id: session.id,
      session_type: 'normal',
      resume_gateway_url: url,
      shard: [0, 1],
      application: { id: bot.id, flags: 0 },
      private_channels: [],
    });
    session.dispatch('GUILD_CREATE', guildOf(this.#world));
  }
}

function send(socket: WebSocket, packet: Packet): void {
  socket.send(JSON.stringify(packet));
}
