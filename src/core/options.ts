/*
 * One way to say that an option is wrong: "Expected `concurrency` to be an integer >= 1 or Infinity, got `NaN`".
 * A value of another type is a TypeError, a value out of range (NaN included) a RangeError. Conditions are written in the
 * positive, so that NaN fails them.
 */

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

function message(option: string, expected: string, value: unknown): string {
  return `Expected \`${option}\` to be ${expected}, got \`${shown(value)}\``;
}

export function wrongType(option: string, expected: string, value: unknown): TypeError {
  return new TypeError(message(option, expected, value));
}

export function outOfRange(option: string, expected: string, value: unknown): RangeError {
  return new RangeError(message(option, expected, value));
}

interface NumberRule {
  readonly min: number;
  readonly max?: number;
  readonly integer?: boolean;
  /** Infinity is allowed though it is above `max` or no integer. */
  readonly infinity?: boolean;
}

function expectation({ min, max, integer, infinity }: NumberRule): string {
  const kind = integer === true ? 'an integer' : 'a number';
  const range = max === undefined ? `>= ${min}` : `from ${min} to ${max}`;
  return `${kind} ${range}${infinity === true ? ' or Infinity' : ''}`;
}

function checkNumber(option: string, value: unknown, rule: NumberRule): number {
  if (typeof value !== 'number') throw wrongType(option, expectation(rule), value);
  if (value === Number.POSITIVE_INFINITY && rule.infinity === true) return value;
  const inRange = value >= rule.min && value <= (rule.max ?? Number.MAX_VALUE);
  if (inRange && (rule.integer !== true || Number.isInteger(value))) return value;
  throw outOfRange(option, expectation(rule), value);
}

const DURATION: NumberRule = { min: 0, infinity: true };
const FINITE_DURATION: NumberRule = { min: 0 };
const LIMIT: NumberRule = { min: 1, integer: true, infinity: true };
const POSITIVE_INTEGER: NumberRule = { min: 1, integer: true };
const COUNT: NumberRule = { min: 0, integer: true, infinity: true };
const SHARE: NumberRule = { min: 0, max: 1 };

/** Milliseconds, 0 and Infinity included. */
export function duration(option: string, value: number | undefined, fallback: number): number {
  return value === undefined ? fallback : checkNumber(option, value, DURATION);
}

/** Milliseconds that must end some day. */
export function finiteDuration(option: string, value: number | undefined, fallback: number): number {
  return value === undefined ? fallback : checkNumber(option, value, FINITE_DURATION);
}

/** How much at once: an integer >= 1, or Infinity. */
export function limit(option: string, value: unknown): number {
  return checkNumber(option, value, LIMIT);
}

/** A finite size: an integer >= 1. */
export function positiveInteger(option: string, value: unknown): number {
  return checkNumber(option, value, POSITIVE_INTEGER);
}

/** How many may wait or be kept: an integer >= 0, or Infinity. */
export function count(option: string, value: number | undefined, fallback: number): number {
  return value === undefined ? fallback : checkNumber(option, value, COUNT);
}

/** A part of one, 0 to 1. */
export function share(option: string, value: number | undefined, fallback: number): number {
  return value === undefined ? fallback : checkNumber(option, value, SHARE);
}

/** A number from `min`, Infinity excluded. */
export function atLeast(option: string, value: number | undefined, min: number, fallback: number): number {
  return value === undefined ? fallback : checkNumber(option, value, { min });
}

export function text(option: string, value: string | undefined, fallback: string): string {
  if (value === undefined) return fallback;
  if (typeof value !== 'string') throw wrongType(option, 'a string', value);
  return value;
}

export function flag(option: string, value: boolean | undefined, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw wrongType(option, 'a boolean', value);
  return value;
}

export function oneOf<T extends string>(option: string, value: T | undefined, allowed: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  if (allowed.includes(value)) return value;
  const expected = `one of ${allowed.map((each) => `'${each}'`).join(', ')}`;
  throw typeof value === 'string' ? outOfRange(option, expected, value) : wrongType(option, expected, value);
}

/** A function that is given, e.g. a task. A promise gets its own words: it is the commonest mistake. */
export function callable<F>(option: string, value: F): F {
  if (typeof value === 'function') return value;
  const isPromise = typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
  throw isPromise
    ? new TypeError(
        `Expected \`${option}\` to be a function, got a promise, which has already started: pass \`() => ...\``,
      )
    : wrongType(option, 'a function', value);
}

export function optionalCallable<F>(option: string, value: F | undefined): F | undefined {
  return value === undefined ? undefined : callable(option, value);
}

export function abortSignal(option: string, value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined) return undefined;
  // By shape: polyfills and other realms have signals too.
  const candidate = value as Partial<AbortSignal> | null;
  if (typeof candidate?.aborted === 'boolean' && typeof candidate.addEventListener === 'function') return value;
  throw wrongType(option, 'an AbortSignal', value);
}

/** The options object itself: `undefined` is an empty one, anything else must be an object. */
export function options<O extends object>(name: string, value: O | undefined): O {
  if (value === undefined) return {} as O;
  if (typeof value === 'object' && value !== null) return value;
  throw wrongType(name, 'an object', value);
}
