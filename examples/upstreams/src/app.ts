import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.js';

/** One protocol. Latency, faults and counting are the same for all and not its business. */
export interface App<C extends object = object> {
  /** By method and path, such as `GET /products/:id`; a parameter is one segment. */
  readonly routes: Readonly<Record<string, (exchange: Exchange, counts: C) => Promise<void>>>;
  /** An error as the protocol words it. */
  errorBody(problem: Problem): unknown;
  /** At zero, for a new run. */
  newCounts(): C;
  /** Commands of its own under `POST /_control/`. */
  readonly controls?: Readonly<Record<string, (body: unknown) => Promise<unknown>>>;
  /** For protocols that go on as a WebSocket. */
  onUpgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** An answer that is not 2xx. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as Retry-After, ms. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    { headers = {}, retryAfter }: { headers?: Readonly<Record<string, string>>; retryAfter?: number | undefined } = {},
  ) {
    super(message);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.headers = headers;
    this.retryAfter = retryAfter;
  }
}
