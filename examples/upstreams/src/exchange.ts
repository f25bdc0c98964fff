import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from './app.js';
import type { Counters } from './stats.js';
import type { Fate, Sky } from './weather.js';

/** What ends an exchange that needs no answer: the client left, or the weather cut the connection. */
export class Gone extends Error {}

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly params: Readonly<Record<string, string>>;
  /** Aborts when the connection ends before the answer does. */
  readonly left: AbortSignal;
  readonly #response: ServerResponse;
  readonly #route: string;
  readonly #sky: Sky;
  readonly #counters: Counters<unknown>;
  #isCut = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    { url, route, params }: { url: URL; route: string; params: Readonly<Record<string, string>> },
    { sky, counters }: { sky: Sky; counters: Counters<unknown> },
  ) {
    this.request = request;
    this.url = url;
    this.params = params;
    this.#response = response;
    this.#route = route;
    this.#sky = sky;
    this.#counters = counters;
    const left = new AbortController();
    this.left = left.signal;
    const end = counters.begin(route);
    response.on('close', () => {
      end(this.#isCut ? 'cut' : response.writableFinished ? response.statusCode : 'closedEarly');
      if (!response.writableFinished) left.abort(new Gone());
    });
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The body as an object. @throws {Problem} 400. */
  async json(): Promise<Readonly<Record<string, unknown>>> {
    let body: unknown;
    try {
      body = JSON.parse(await this.text());
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw new Problem(400, 'invalid_json', 'The body of this request is not a JSON object.');
    return body as Record<string, unknown>;
  }

  /** Lets the weather have its turn, and `work` meanwhile. @throws {Problem | Gone} the weather was bad. */
  async through<T>(content: string, work: () => T | Promise<T>): Promise<T> {
    const fate = this.#fateOf(content);
    const [result] = await Promise.all([fate.fault === undefined ? work() : undefined, this.#wait(fate, content)]);
    await this.#breakAs(fate);
    return result as T;
  }

  /** The same for an answer that is streamed. Returns what to call with the share that was sent, before each further part. */
  async opening(content: string): Promise<(share: number) => Promise<void>> {
    const fate = this.#fateOf(content);
    await this.#wait(fate, content);
    return async (share) => {
      if (share >= fate.breaksAt) await this.#breakAs(fate);
    };
  }

  /** A refusal that is the protocol's own is watched like one of the weather's. */
  refused(content: string, retryAfter: number): void {
    this.#counters.refused(content, retryAfter);
  }

  setHeader(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  send(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.#response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(text);
  }

  startStream(contentType: string): void {
    this.#response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache' }).flushHeaders();
  }

  /** Waits for a client that reads slowly. @throws {Gone} it has left. */
  async write(text: string): Promise<void> {
    this.left.throwIfAborted();
    if (!this.#response.write(text)) await this.#untilGone(once(this.#response, 'drain', { signal: this.left }));
  }

  endStream(): void {
    this.#response.end();
  }

  pause(ms: number): Promise<void> {
    return this.#untilGone(sleep(ms, undefined, { signal: this.left }));
  }

  #fateOf(content: string): Fate {
    this.#counters.arrived(content);
    return this.#sky.fateOf(this.#route, content);
  }

  async #wait(fate: Fate, content: string): Promise<void> {
    const { delay, fault, retryAfter } = fate;
    await this.pause(delay);
    switch (fault) {
      case 'rate-limited':
        this.refused(content, retryAfter);
        throw new Problem(429, 'rate_limit_exceeded', 'Rate limit reached.', { retryAfter });
      case 'broken':
        throw new Problem(500, 'server_error', 'The server had an error while processing your request.');
      case 'unavailable':
        throw new Problem(503, 'service_unavailable', 'The service is overloaded, please try again later.', {
          retryAfter,
        });
      case 'hang':
        return this.#hang();
      default:
    }
  }

  async #breakAs({ fault }: Fate): Promise<void> {
    if (fault === 'stall') await this.#hang();
    if (fault !== 'cut') return;
    this.#isCut = true;
    this.#response.destroy();
    throw new Gone();
  }

  /** Until the client has had enough. */
  async #hang(): Promise<never> {
    if (!this.left.aborted) await once(this.left, 'abort');
    throw new Gone();
  }

  /** An abort from outside is told as what it means here. */
  async #untilGone(waiting: Promise<unknown>): Promise<void> {
    try {
      await waiting;
    } catch (error) {
      this.left.throwIfAborted();
      throw error;
    }
  }
}
