import { wrongType } from './options.js';
import type { Key, KeyPart } from './types.js';

/** Marks the strings that are not somebody's plain string. */
const MARK = '\u0000';

const EXPECTED = 'a string, number, bigint, symbol or an array of primitives';

/** The form of a key in a `Map`. */
export type MapKey = string | number | bigint | symbol;

/**
 * The form in which a key is held in a `Map`. Injective: two keys get the same form exactly if they are equal, primitives as
 * `Map` compares them (NaN is NaN, 0 is -0), tuples by content.
 *
 * Every part of a tuple carries its type and, where its text could contain anything, its length, so no delimiter can be
 * forged. Plain strings stay themselves, unless they begin with the mark. O(1) for primitives, O(length) for tuples.
 *
 * @throws {TypeError} an object, a nested array, `undefined`, `null` or a boolean: keys that are almost always a mistake.
 */
export function mapKey(option: string, key: Key): MapKey {
  switch (typeof key) {
    case 'string':
      return key.charCodeAt(0) === 0 ? `${MARK}s${key}` : key;
    case 'number':
    case 'bigint':
    case 'symbol':
      return key;
    default:
      if (!Array.isArray(key)) throw wrongType(option, EXPECTED, key);
      return encodeTuple(option, key);
  }
}

function encodeTuple(option: string, parts: readonly KeyPart[]): string {
  let encoded = `${MARK}t`;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    switch (typeof part) {
      case 'string':
        encoded += `s${part.length}:${part}`;
        break;
      case 'number':
        encoded += `n${part};`;
        break;
      case 'bigint':
        encoded += `i${part};`;
        break;
      case 'boolean':
        encoded += part ? 'y' : 'f';
        break;
      case 'undefined':
        encoded += 'u';
        break;
      default:
        if (part !== null)
          throw wrongType(`${option}[${i}]`, 'a string, number, bigint, boolean, null or undefined', part);
        encoded += 'l';
    }
  }
  return encoded;
}

/** For messages and reports; not injective. */
export function keyText(key: Key): string {
  return Array.isArray(key) ? key.map(String).join(',') : String(key);
}
