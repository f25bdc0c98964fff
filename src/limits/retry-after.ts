import { wallNow } from '../core/clock.js';
import { isRefusedError } from '../core/errors.js';
import { read } from '../core/read.js';
import type { Milliseconds } from '../core/types.js';
import { parseHttpDate } from './http-date.js';

/** How many texts of JSON may lie in one another: a proxy's error quotes that of its upstream. */
const MAX_NESTING = 3;

const NUMBER = /^\d+(\.\d+)?$/;

/** A wait in a given unit. What overflows is a wait too long to follow, not garbage: garbage would mean "soon". */
function wait(value: unknown, unit: Milliseconds): Milliseconds | undefined {
  if (typeof value === 'string')
    return NUMBER.test(value) ? Math.min(Number(value) * unit, Number.MAX_VALUE) : undefined;
  return typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY
    ? Math.min(value * unit, Number.MAX_VALUE)
    : undefined;
}

/** The value of `Retry-After`: seconds, or a date of HTTP. */
function fromHeader(value: unknown): Milliseconds | undefined {
  const text = typeof value === 'string' ? value.trim() : value;
  const seconds = wait(text, 1_000);
  if (seconds !== undefined || typeof text !== 'string') return seconds;
  const date = parseHttpDate(text);
  return date === undefined ? undefined : Math.max(0, date - wallNow());
}

type Lookup = (name: string) => unknown;

/** Headers of any make: `Headers` and its like, pairs, a plain object. */
function lookupIn(headers: object): Lookup {
  const { get, has } = headers as { get?: unknown; has?: unknown };
  // Both: something that only has a `get` may be an HTTP client, which would send a request.
  if (typeof get === 'function' && typeof has === 'function') return (name) => get.call(headers, name);
  const find = Array.isArray(headers)
    ? (name: string) => headers.find((pair) => String(pair[0]).toLowerCase() === name)?.[1]
    : (name: string) => read(headers, Object.keys(headers).find((key) => key.toLowerCase() === name) ?? name);
  return (name) => {
    const value: unknown = find(name);
    return Array.isArray(value) ? value[0] : value;
  };
}

function fromHeaders(headers: unknown): Milliseconds | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const lookup = lookupIn(headers);
  const precise = lookup('retry-after-ms');
  return wait(typeof precise === 'string' ? precise.trim() : precise, 1) ?? fromHeader(lookup('retry-after'));
}

/** discord.js: a `RateLimitError` counts in ms, the answer that a `DiscordAPIError` quotes in seconds. */
function fromDiscord(error: unknown): Milliseconds | undefined {
  const untilReset = wait(read(error, 'timeToReset'), 1);
  if (untilReset !== undefined) return wait(read(error, 'retryAfter'), 1) ?? untilReset;
  return wait(read(read(error, 'rawError'), 'retry_after'), 1_000);
}

/** `details` of google.rpc, of which one is a RetryInfo: `{ retryDelay: '1.5s' }`. */
function fromDetails(details: unknown): Milliseconds | undefined {
  if (!Array.isArray(details)) return undefined;
  for (const detail of details) {
    const delay = read(detail, 'retryDelay');
    const found = typeof delay === 'string' && delay.endsWith('s') ? wait(delay.slice(0, -1), 1_000) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Google's errors: `details` on the error or on its `error`, or all of it as JSON in the message, after a few words or none. */
function fromGoogle(error: unknown, nesting: number): Milliseconds | undefined {
  const inner = read(error, 'error');
  const found = fromDetails(read(error, 'details')) ?? fromDetails(read(inner, 'details'));
  if (found !== undefined) return found;
  const message = read(error, 'message') ?? read(inner, 'message');
  if (nesting === MAX_NESTING || typeof message !== 'string' || !message.includes('retryDelay')) return undefined;
  const json: unknown = JSON.parse(message.slice(message.indexOf('{'), message.lastIndexOf('}') + 1));
  return fromGoogle(json, nesting + 1);
}

const READERS: readonly ((source: unknown) => Milliseconds | undefined)[] = [
  // "Never" is a wait too, e.g. of a breaker that was opened by hand: longer than anybody would.
  (source) =>
    isRefusedError(source) ? wait(Math.min(source.retryAfter ?? Number.NaN, Number.MAX_VALUE), 1) : undefined,
  (source) => (typeof source === 'string' ? fromHeader(source) : undefined),
  (source) => fromHeaders(read(source, 'headers')),
  (source) => fromHeaders(read(read(source, 'response'), 'headers')),
  (source) => fromHeaders(source),
  fromDiscord,
  (source) => fromGoogle(source, 0),
];

/**
 * The wait that an upstream asked for, in ms, or `undefined`. Takes anything, so a `catch` variable can be passed. Never throws;
 * garbage gives `undefined`, a date that is over 0.
 *
 * Reads
 * - a header's text: seconds, or a date in one of the three forms of HTTP (RFC 9110, section 10.2.3);
 * - `Headers`, plain objects of headers, arrays of pairs; in them `retry-after-ms` comes before `retry-after`;
 * - a `Response`, and errors with `headers` or `response.headers` (openai, axios, undici, got, ky);
 * - Google's `retryDelay`, in `error.details` or in the JSON of the message;
 * - discord.js: `RateLimitError`, and the `retry_after` that a `DiscordAPIError` quotes;
 * - our own refusals.
 *
 * @example
 * ```ts
 * retryAfter(new Headers({ 'retry-after': '3' })); // 3_000
 * ```
 */
export function retryAfter(source: unknown): Milliseconds | undefined {
  for (const reader of READERS) {
    try {
      const found = reader(source);
      if (found !== undefined) return found;
    } catch {
      // A throwing getter, a revoked proxy, text that is no JSON: this reader knows nothing.
    }
  }
  return undefined;
}
