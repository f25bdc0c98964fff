import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseHttpDate } from '../../src/limits/http-date.js';
import { property } from '../support/runs.js';

const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 5, 15) });
});
afterEach(() => {
  vi.useRealTimers();
});

const two = (value: number) => String(value).padStart(2, '0');
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

function imf(date: Date): string {
  return date.toUTCString();
}
function rfc850(date: Date): string {
  const day = `${two(date.getUTCDate())}-${MONTHS[date.getUTCMonth()]}-${two(date.getUTCFullYear() % 100)}`;
  return `${DAYS[date.getUTCDay()]}, ${day} ${date.toUTCString().slice(17)}`;
}
function asctime(date: Date): string {
  const day = `${DAYS[date.getUTCDay()]?.slice(0, 3)} ${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`;
  return `${day} ${date.toUTCString().slice(17, 25)} ${date.getUTCFullYear()}`;
}

describe('the examples of RFC 9110', () => {
  it.each(['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])(
    '%s',
    (text) => {
      expect(parseHttpDate(text)).toBe(EXAMPLE);
    },
  );
});

describe('agrees with the platform on every date', () => {
  const seconds = (from: number, to: number) =>
    fc
      .integer({ min: Date.UTC(from, 0) / 1_000, max: Date.UTC(to, 0) / 1_000 - 1 })
      .map((each) => new Date(each * 1_000));

  property([seconds(1900, 2200)])('as IMF-fixdate and in the form of asctime, which is not local time', (date) => {
    expect(parseHttpDate(imf(date))).toBe(date.getTime());
    expect(parseHttpDate(asctime(date))).toBe(date.getTime());
  });

  property([seconds(1977, 2077)])(
    'in the form of RFC 850, whose two digits reach from 49 years back to 50 ahead',
    (date) => {
      expect(parseHttpDate(rfc850(date))).toBe(date.getTime());
    },
  );
});

it.each([
  '',
  'soon',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun, 06 Nov 1994 08:49:37 CET',
  'Sun, 06 Nov 1994 24:00:00 GMT',
  'Sun, 06 Nov 1994 08:60:00 GMT',
  'Sun, 06 Nov 1994 08:49:61 GMT',
  'Sun, 00 Nov 1994 08:49:37 GMT',
  'Sun, 31 Nov 1994 08:49:37 GMT',
  'Sat, 29 Feb 2025 08:49:37 GMT',
  'Sun, 06 Foo 1994 08:49:37 GMT',
  'Sun, 6 Nov 1994 08:49:37 GMT',
  '1994-11-06T08:49:37Z',
  'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
])('knows no date in %o', (text) => {
  expect(parseHttpDate(text)).toBeUndefined();
});

it.each(['Thu, 29 Feb 2024 00:00:00 GMT', 'Sat, 31 Dec 2016 23:59:60 GMT'])('knows %s', (text) => {
  expect(parseHttpDate(text)).toBeTypeOf('number');
});
