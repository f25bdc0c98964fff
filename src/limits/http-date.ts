import { wallNow } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';

const DAY = 86_400_000;
const YEAR = 365.2425 * DAY;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/*
 * The three forms of RFC 9110, section 5.6.7. `Date.parse` is no help: it takes almost anything, and the third form as local time.
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate
 *   Sunday, 06-Nov-94 08:49:37 GMT   RFC 850
 *   Sun Nov  6 08:49:37 1994         asctime
 */
const FORMS = [
  /^[a-z]{3}, (?<day>\d\d) (?<month>[a-z]{3}) (?<year>\d{4}) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) GMT$/i,
  /^[a-z]{6,9}, (?<day>\d\d)-(?<month>[a-z]{3})-(?<year>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) GMT$/i,
  /^[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \d]\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?<year>\d{4})$/i,
];

/** Days from 1970-01-01 to the first of a month (0 to 12, the next January) in the proleptic Gregorian calendar. */
function daysUntil(year: number, month: number): number {
  // The year begins in March here, so that the leap day is its last. From "chrono-Compatible Low-Level Date Algorithms" (H. Hinnant).
  const y = month < 2 ? year - 1 : year;
  const daysBefore = Math.floor((153 * ((month + 10) % 12) + 2) / 5);
  return 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + daysBefore - 719_468;
}

/** Two digits mean the year that is at most 50 years ahead and less than 50 behind, as RFC 9110 asks for. */
function fullYear(twoDigits: number): number {
  const first = 1970 + Math.floor(wallNow() / YEAR) - 49;
  return first + ((((twoDigits - first) % 100) + 100) % 100);
}

function stamp(year: number, month: number, day: number, hour: number, minute: number, second: number) {
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined; // 60 is a leap second.
  const first = daysUntil(year, month);
  if (day < 1 || day > daysUntil(year, month + 1) - first) return undefined;
  return (first + day - 1) * DAY + ((hour * 60 + minute) * 60 + second) * 1_000;
}

/** A date of HTTP in ms since 1970, or `undefined`. The name of the weekday is not compared. */
export function parseHttpDate(text: string): Milliseconds | undefined {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups;
    if (parts === undefined) continue;
    const { year = '', month = '', day, hour, minute, second } = parts;
    return stamp(
      year.length === 2 ? fullYear(Number(year)) : Number(year),
      MONTHS.indexOf(month.toLowerCase()),
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    );
  }
  return undefined;
}
