/** @throws {TypeError} it cannot be iterated asynchronously. */
export function iterate<C>(stream: AsyncIterable<C>): AsyncIterator<C, unknown> {
  const begin: unknown = (stream as Partial<AsyncIterable<C>> | null | undefined)?.[Symbol.asyncIterator];
  if (typeof begin !== 'function') {
    const isSync = typeof (stream as Partial<Iterable<C>> | null | undefined)?.[Symbol.iterator] === 'function';
    const hint = isSync ? ', which is only a sync one: yield its items from an `async function*`' : '';
    throw new TypeError(`Expected \`open\` to return an async iterable, got \`${kindOf(stream)}\`${hint}`);
  }
  const iterator: unknown = begin.call(stream);
  return asObject('[Symbol.asyncIterator]()', iterator) as AsyncIterator<C, unknown>;
}

/** What a `next()` answered with. @throws {TypeError} nothing that an iterator may answer with. */
export function asObject<T>(method: string, answer: T): T {
  if ((typeof answer === 'object' || typeof answer === 'function') && answer !== null) return answer;
  throw new TypeError(`Expected \`${method}\` of the upstream to return an object, got \`${kindOf(answer)}\``);
}

/** Calls `return()`. Over when that has settled; never rejects: nobody waits for what goes wrong now. */
export async function closeIterator(iterator: AsyncIterator<unknown, unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {}
}

function kindOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
