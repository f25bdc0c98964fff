import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, RefusedError } from '../../src/core/errors.js';
import { GateRefusedError } from '../../src/core/gate.js';
import { retryAfter } from '../../src/limits/index.js';
import { property } from '../support/runs.js';

const NOW = Date.UTC(2026, 5, 15, 12);

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

class Busy extends RefusedError {
  override readonly code = 'QUEUE_FULL';

  constructor(override readonly retryAfter: number) {
    super('busy', 'pool');
  }
}

/** As @google/genai throws it: no headers, the answer as text. */
function googleError(delay: string): Error {
  const details = [
    { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [] },
    { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: delay },
  ];
  const body = { error: { code: 429, message: 'You exceeded your quota.', status: 'RESOURCE_EXHAUSTED', details } };
  return Object.assign(new Error(JSON.stringify(body)), { name: 'ApiError', status: 429 });
}

describe('the law of reading', () => {
  const nasty = fc.oneof(
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withTypedArray: true,
    }),
    fc.record(
      {
        headers: fc.anything({ withMap: true }),
        response: fc.anything(),
        details: fc.anything(),
        message: fc.oneof(fc.string(), fc.json(), fc.constant('{"retryDelay"')),
        timeToReset: fc.anything(),
        rawError: fc.anything(),
        'retry-after': fc.anything(),
      },
      { requiredKeys: [] },
    ),
    fc.string(),
  );

  property([nasty])('takes anything, never throws, and says undefined or a finite number of at least 0', (source) => {
    const found = retryAfter(source);
    expect(found === undefined || (Number.isFinite(found) && found >= 0)).toBe(true);
  });

  property([fc.nat()])('reads whole seconds exactly', (seconds) => {
    expect(retryAfter(String(seconds))).toBe(seconds * 1_000);
    expect(retryAfter({ headers: { 'Retry-After': String(seconds) } })).toBe(seconds * 1_000);
  });
});

// RETRY-20: undici#4084: the date was parsed from a value that had already become a number, hence NaN.
describe('the text of a header', () => {
  it.each([
    ['120', 120_000],
    [' 120 ', 120_000],
    ['0', 0],
    ['1.5', 1_500],
    ['Mon, 15 Jun 2026 12:00:10 GMT', 10_000],
    ['Monday, 15-Jun-26 12:00:10 GMT', 10_000],
    ['Mon Jun 15 12:00:10 2026', 10_000],
    ['Mon, 15 Jun 2026 11:59:00 GMT', 0],
  ])('%o is %i ms', (text, expected) => {
    expect(retryAfter(text)).toBe(expected);
  });

  it.each(['', ' ', '-1', '+1', '1e400', '1e3', '0x10', 'NaN', 'Infinity', 'soon', '1 s', '12:00', '１２'])(
    '%o says nothing',
    (text) => {
      expect(retryAfter(text)).toBeUndefined();
    },
  );

  // RETRY-22, openai-python#3799: a number that overflows must not lead to a short wait.
  it('more digits than a number holds are a wait too long to follow, not garbage', () => {
    expect(retryAfter('9'.repeat(400))).toBe(Number.MAX_VALUE);
  });
});

describe('headers', () => {
  const pairs: [string, string][] = [
    ['Content-Type', 'text/plain'],
    ['Retry-After', '3'],
  ];
  it.each([
    ['Headers', new Headers(pairs)],
    ['a Map', new Map([['retry-after', '3']])],
    ['pairs', pairs],
    ['a plain object', { 'retry-after': '3' }],
    ['a plain object in another case', { 'RETRY-AFTER': '3' }],
    ['a plain object with a number', { 'retry-after': 3 }],
    ['a plain object with a list', { 'retry-after': ['3', '4'] }],
    ['a Response', new Response(null, { status: 429, headers: pairs })],
    ['an error with headers (openai)', Object.assign(new Error('429'), { status: 429, headers: new Headers(pairs) })],
    [
      'an error with response.headers (axios, got, ky)',
      Object.assign(new Error('429'), { response: { headers: { 'retry-after': '3' } } }),
    ],
    [
      'an error with a Response (fetch wrappers)',
      Object.assign(new Error('429'), { response: new Response(null, { headers: pairs }) }),
    ],
    ['an error with plain headers (undici)', Object.assign(new Error('429'), { headers: { 'retry-after': '3' } })],
  ])('%s', (_name, source) => {
    expect(retryAfter(source)).toBe(3_000);
  });

  it('retry-after-ms comes first', () => {
    expect(retryAfter(new Headers({ 'retry-after-ms': '250.5', 'retry-after': '3' }))).toBe(250.5);
    expect(retryAfter({ headers: { 'Retry-After-Ms': 250 } })).toBe(250);
    expect(retryAfter({ 'retry-after-ms': '0', 'retry-after': '3' })).toBe(0);
    expect(retryAfter({ 'retry-after-ms': 'x', 'retry-after': '3' })).toBe(3_000);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '-1', null, {}, true, 3n])(
    'a value of %o says nothing',
    (value) => {
      expect(retryAfter({ 'retry-after': value })).toBeUndefined();
      expect(retryAfter({ headers: { 'retry-after-ms': value } })).toBeUndefined();
    },
  );

  it('something that has a `get` but is no headers is not asked: it may be a client that sends a request', () => {
    const client = { get: vi.fn() };
    expect(retryAfter(client)).toBeUndefined();
    expect(client.get).not.toHaveBeenCalled();
  });
});

describe('errors of SDKs', () => {
  it.each([
    ['3s', 3_000],
    ['1.5s', 1_500],
    ['0s', 0],
  ])('a retryDelay of %s in the JSON of a message (@google/genai)', (delay, expected) => {
    expect(retryAfter(googleError(delay))).toBe(expected);
  });

  it('the same after a few words, as its streams throw it', () => {
    const error = googleError('3s');
    error.message = `got status: RESOURCE_EXHAUSTED. ${error.message}`;
    expect(retryAfter(error)).toBe(3_000);
  });

  it('the same inside the message of another answer, as it comes from a proxy', () => {
    const message = JSON.stringify({
      error: { message: googleError('3s').message, code: 429, status: 'Too Many Requests' },
    });
    expect(retryAfter(new Error(message))).toBe(3_000);
  });

  it('a retryDelay in details, on the error or on its `error`', () => {
    const details = [null, 'x', { retryDelay: 3 }, { retryDelay: '-3s' }, { retryDelay: '3s' }];
    expect(retryAfter(Object.assign(new Error('429'), { details }))).toBe(3_000);
    expect(retryAfter({ error: { details } })).toBe(3_000);
  });

  it('a retryDelay without a unit, or text that only looks like JSON, says nothing', () => {
    expect(retryAfter(googleError('3'))).toBeUndefined();
    expect(retryAfter(googleError('s'))).toBeUndefined();
    expect(retryAfter(new Error('retryDelay {'))).toBeUndefined();
    expect(retryAfter(new Error('retryDelay: "3s"'))).toBeUndefined();
  });

  it('discord.js: a RateLimitError counts in ms, a DiscordAPIError in seconds', () => {
    expect(retryAfter(Object.assign(new Error(), { timeToReset: 900, retryAfter: 1_200 }))).toBe(1_200);
    expect(retryAfter(Object.assign(new Error(), { timeToReset: 900 }))).toBe(900);
    expect(retryAfter(Object.assign(new Error(), { rawError: { message: 'slow down', retry_after: 1.5 } }))).toBe(
      1_500,
    );
  });

  it('our own refusals; of one that does not end, the longest wait there is', () => {
    const never = new GateRefusedError('shut', { retryAfter: Number.POSITIVE_INFINITY });
    expect(retryAfter(never)).toBe(Number.MAX_VALUE);
    expect(retryAfter(new Busy(700))).toBe(700);
    expect(retryAfter(new Busy(Number.NaN))).toBeUndefined();
    expect(retryAfter(new ClosedError({ source: 'pool' }))).toBeUndefined();
  });

  it('a `retryAfter` of somebody else says nothing: nobody knows its unit', () => {
    expect(retryAfter(Object.assign(new Error(), { retryAfter: 5 }))).toBeUndefined();
  });
});

describe('hostile values', () => {
  const bomb = () => {
    throw new Error('bomb');
  };

  it('a getter that throws hides only itself', () => {
    const error = Object.defineProperty({ response: { headers: { 'retry-after': '3' } } }, 'headers', { get: bomb });
    expect(retryAfter(error)).toBe(3_000);
    expect(retryAfter({ headers: { get: bomb, has: bomb }, response: { headers: { 'retry-after': '3' } } })).toBe(
      3_000,
    );
    expect(
      retryAfter({
        'retry-after': '3',
        get timeToReset() {
          return bomb();
        },
      }),
    ).toBe(3_000);
  });

  it('proxies, also revoked ones', () => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    expect(retryAfter(proxy)).toBeUndefined();
    expect(retryAfter({ headers: proxy, details: proxy, response: proxy })).toBeUndefined();
    expect(retryAfter(new Proxy({}, { get: bomb, has: bomb, ownKeys: bomb }))).toBeUndefined();
  });

  it.each([undefined, null, 0, 5, Number.NaN, true, 5n, Symbol('x'), () => 1, [], {}])('%o', (source) => {
    expect(retryAfter(source)).toBeUndefined();
  });
});
