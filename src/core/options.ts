/*
 * One way to say that an option is wrong: "Expected `concurrency` to be an integer >= 1 or Infinity, got `NaN`".
 * A value of another type is a TypeError, a value out of range (NaN included) a RangeError. Conditions are written in the
 * positive, so that NaN fails them.
 */

function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${value.replace(/(.{40}).+/s, '$1…')}'`;
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'object':
      if (value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  }
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

/** The value if `typeof` says `type` of it and it `fits`; where there is a fallback, that for `undefined`. */
function check<T>(
  option: string,
  value: T | undefined,
  fallback: T | undefined,
  type: string,
  expected: string,
  fits: (value: T) => boolean = () => true,
): T {
  if (value === undefined && fallback !== undefined) return fallback;
  const isOfType = typeof value === type;
  if (isOfType && fits(value as T)) return value as T;
  throw (isOfType ? outOfRange : wrongType)(option, expected, value);
}

const isDuration = (value: number): boolean => value >= 0;
const isFiniteDuration = (value: number): boolean => value >= 0 && Number.isFinite(value);
const isShare = (value: number): boolean => value >= 0 && value <= 1;

/** Milliseconds, 0 and Infinity included. */
export function duration(option: string, value: number | undefined, fallback: number): number {
  return check(option, value, fallback, 'number', 'a number >= 0 or Infinity', isDuration);
}

/** Milliseconds that must end some day. */
export function finiteDuration(option: string, value: number | undefined, fallback: number): number {
  return check(option, value, fallback, 'number', 'a number >= 0', isFiniteDuration);
}

/** How much at once: an integer >= 1, or Infinity. */
export function limit(option: string, value: unknown): number {
  return whole(option, value as number, undefined, 1);
}

/** How many may wait or be kept: an integer >= 0, or Infinity. */
export function count(option: string, value: number | undefined, fallback: number): number {
  return whole(option, value, fallback, 0);
}

function whole(option: string, value: number | undefined, fallback: number | undefined, min: number): number {
  const fits = (each: number): boolean => each >= min && Math.floor(each) === each;
  return check(option, value, fallback, 'number', `an integer >= ${min} or Infinity`, fits);
}

/** A finite size: an integer >= 1. */
export function positiveInteger(option: string, value: unknown): number {
  const fits = (each: number): boolean => each >= 1 && Number.isInteger(each);
  return check(option, value as number, undefined, 'number', 'an integer >= 1', fits);
}

/** A part of one, 0 to 1. */
export function share(option: string, value: number | undefined, fallback: number): number {
  return check(option, value, fallback, 'number', 'a number from 0 to 1', isShare);
}

/** A number from `min`, Infinity excluded. */
export function atLeast(option: string, value: number | undefined, min: number, fallback: number): number {
  const fits = (each: number): boolean => each >= min && Number.isFinite(each);
  return check(option, value, fallback, 'number', `a number >= ${min}`, fits);
}

export function text(option: string, value: string | undefined, fallback: string): string {
  return check(option, value, fallback, 'string', 'a string');
}

export function flag(option: string, value: boolean | undefined, fallback: boolean): boolean {
  return check(option, value, fallback, 'boolean', 'a boolean');
}

export function oneOf<T extends string>(option: string, value: T | undefined, allowed: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  if (allowed.includes(value)) return value;
  throw (typeof value === 'string' ? outOfRange : wrongType)(option, `one of '${allowed.join("', '")}'`, value);
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
  // By shape: polyfills and other realms have signals too.
  const candidate = value as Partial<AbortSignal> | null | undefined;
  const isSignal = typeof candidate?.aborted === 'boolean' && typeof candidate.addEventListener === 'function';
  if (value === undefined || isSignal) return value;
  throw wrongType(option, 'an AbortSignal', value);
}

export function object<O extends object>(option: string, value: O, expected: string): O {
  if (typeof value === 'object' && value !== null) return value;
  throw wrongType(option, expected, value);
}

/** The options object itself: `undefined` is an empty one, anything else must be an object. */
export function options<O extends object>(name: string, value = {} as O): O {
  return object(name, value, 'an object');
}
