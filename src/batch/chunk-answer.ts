import { mapKey } from '../core/keys.js';
import type { Key } from '../core/types.js';
import { MissingResultError } from './errors.js';
import { Failure } from './item-failure.js';

/** What an answer says about one item. */
export type Outcome = { readonly value: unknown } | { readonly failure: Failure };

type Answers = ReadonlyMap<unknown, unknown>;

/**
 * Reads a chunk's answer: an outcome for each item, in order.
 * @throws {MissingResultError} it is neither a `Map` nor an array of the right length; also whatever its own code
 *   throws.
 */
export function readAnswer<I>(
  answer: unknown,
  items: readonly I[],
  { source, key }: { source: string; key: ((item: I) => unknown) | undefined },
): readonly Outcome[] {
  if (isMapLike(answer)) return readMap(answer, items, source, key ?? ((item) => item));
  const received = Array.isArray(answer) ? answer.length : 0;
  if (!Array.isArray(answer) || received !== items.length) {
    throw new MissingResultError({ source, expected: items.length, received });
  }
  // By index, which sees holes too.
  return items.map((_, i) => outcomeOf(answer[i]));
}

/** By shape: maps of other realms, and other implementations of `ReadonlyMap`. */
function isMapLike(answer: unknown): answer is Answers {
  const { has, get } = (answer ?? {}) as Partial<Answers>;
  return typeof has === 'function' && typeof get === 'function';
}

function outcomeOf(result: unknown): Outcome {
  return Failure.is(result) ? { failure: result } : { value: result };
}

function readMap<I>(
  answers: Answers,
  items: readonly I[],
  source: string,
  keyOf: (item: I) => unknown,
): readonly Outcome[] {
  const lookup = new Lookup(answers);
  const found = items.map((item): Outcome | undefined => {
    try {
      return lookup.find(keyOf(item));
    } catch (error) {
      // Its own key cannot be told: no other answer would help.
      return { failure: new Failure(error, { retry: false }) };
    }
  });
  const covered = found.filter((outcome) => outcome !== undefined);
  if (covered.length === items.length) return covered;
  const missing = new MissingResultError({ source, expected: items.length, received: covered.length });
  return found.map((outcome) => outcome ?? { failure: new Failure(missing, { retry: false }) });
}

/** Looks up as `Map` does, and arrays by content. */
class Lookup {
  readonly #answers: Answers;
  /** By the form of their key; made when the first array was not found as it is. */
  #tuples: Map<unknown, unknown> | undefined;

  constructor(answers: Answers) {
    this.#answers = answers;
  }

  find(key: unknown): Outcome | undefined {
    if (this.#answers.has(key)) return outcomeOf(this.#answers.get(key));
    if (!Array.isArray(key)) return undefined;
    this.#tuples ??= this.#readTuples();
    const form = formOf(key);
    return form !== undefined && this.#tuples.has(form) ? outcomeOf(this.#tuples.get(form)) : undefined;
  }

  #readTuples(): Map<unknown, unknown> {
    const tuples = new Map<unknown, unknown>();
    for (const [key, result] of this.#answers) {
      const form = Array.isArray(key) ? formOf(key) : undefined;
      if (form !== undefined) tuples.set(form, result);
    }
    return tuples;
  }
}

/** Undefined for an array that is no tuple of primitives: such a key is only equal to itself. */
function formOf(key: readonly unknown[]): unknown {
  try {
    return mapKey('key', key as Key);
  } catch {
    return undefined;
  }
}
