import { wrongType } from './options.js';
import type { Key } from './types.js';

/** Begins the form of a tuple. A plain string that begins with it gets a second one. */
const MARK = '\u0000';

/** The form of a key in a `Map`. */
export type MapKey = string | number | bigint | symbol;

/**
 * The form in which a key is held in a `Map`. Injective: two keys get the same form exactly if they are equal, primitives as
 * `Map` compares them (NaN is NaN, 0 is -0), tuples by content.
 *
 * Every part of a tuple carries its type and its length, so no delimiter can be forged. O(1) for primitives, O(length) for
 * tuples.
 *
 * @throws {TypeError} an object, a nested array, `undefined`, `null` or a boolean: keys that are almost always a mistake.
 */
export function mapKey(option: string, key: Key): MapKey {
  switch (typeof key) {
    case 'string':
      return key[0] === MARK ? MARK + key : key;
    case 'number':
    case 'bigint':
    case 'symbol':
      return key;
  }
  if (!Array.isArray(key)) throw wrongType(option, 'a string, number, bigint, symbol or an array of primitives', key);
  let form = MARK;
  for (let i = 0; i < key.length; i++) {
    const part: unknown = key[i];
    const type = typeof part;
    if (part !== null && (type === 'object' || type === 'function' || type === 'symbol'))
      throw wrongType(`${option}[${i}]`, 'a string, number, bigint, boolean, null or undefined', part);
    // A length, the letter of a number, or that of another type: no two parts can look alike. Numbers and plain strings are common.
    if (typeof part === 'string') form += `${part.length}:${part}`;
    else if (typeof part === 'number') form += `n${part};`;
    else {
      const text = `${part}`;
      // One letter will do: what bigint and boolean share it for cannot be the same text.
      form += `${type[0]}${text.length}:${text}`;
    }
  }
  return form;
}

/** For messages and reports; not injective. */
export function keyText(key: Key): string {
  return [key].flat().map(String).join();
}
