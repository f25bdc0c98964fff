import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';

/** What the service allows, over all its routes. */
export interface Limits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
}

const MINUTE = 60_000;

/** A bucket that holds a minute's worth and fills evenly. */
class Bucket {
  readonly size: number;
  #level: number;
  #at = performance.now();

  constructor(size: number) {
    this.size = size;
    this.#level = size;
  }

  get level(): number {
    const now = performance.now();
    this.#level = Math.min(this.size, this.#level + ((now - this.#at) * this.size) / MINUTE);
    this.#at = now;
    return this.#level;
  }

  take(amount: number): void {
    this.#level = this.level - amount;
  }

  /** ms until it holds as much. */
  timeTo(amount: number): number {
    return Math.max(0, ((amount - this.level) * MINUTE) / this.size);
  }
}

/** Requests and tokens per minute, each with its `x-ratelimit-` headers. */
export class RateLimits {
  readonly #buckets: readonly { readonly name: 'requests' | 'tokens'; readonly bucket: Bucket }[];

  constructor({ requestsPerMinute, tokensPerMinute }: Limits) {
    this.#buckets = (
      [
        ['requests', requestsPerMinute],
        ['tokens', tokensPerMinute],
      ] as const
    ).flatMap(([name, size]) => (size === undefined ? [] : [{ name, bucket: new Bucket(size) }]));
  }

  /** @throws {Problem} 429, with when to come again. */
  take(exchange: Exchange, content: string, tokens: number): void {
    const costs = { requests: 1, tokens };
    const short = this.#buckets.find(({ name, bucket }) => bucket.level < costs[name]);
    if (short === undefined) for (const { name, bucket } of this.#buckets) bucket.take(costs[name]);
    for (const { name, bucket } of this.#buckets) {
      exchange.setHeader(`x-ratelimit-limit-${name}`, String(bucket.size));
      exchange.setHeader(`x-ratelimit-remaining-${name}`, String(Math.max(0, Math.floor(bucket.level))));
      exchange.setHeader(`x-ratelimit-reset-${name}`, durationText(bucket.timeTo(bucket.size)));
    }
    if (short === undefined) return;

    const { name, bucket } = short;
    const limit = `Limit ${bucket.size} ${name} per minute, requested ${costs[name]}.`;
    if (costs[name] > bucket.size)
      throw new Problem(429, 'rate_limit_exceeded', `Request too large. ${limit}`, {
        headers: { 'x-should-retry': 'false' },
      });
    const retryAfter = Math.ceil(bucket.timeTo(costs[name]));
    exchange.refused(content, retryAfter);
    throw new Problem(429, 'rate_limit_exceeded', `Rate limit reached. ${limit}`, { retryAfter });
  }
}

/** As the API writes it: `120ms`, `1.5s`, `6m0s`. */
function durationText(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.round(ms / 10) / 100;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${Math.round(seconds % 60)}s`;
}
