/** Reads a property of anything; a getter that throws counts as absent. */
export function read(source: unknown, property: string): unknown {
  if ((typeof source !== 'object' && typeof source !== 'function') || source === null) return undefined;
  try {
    return (source as Record<string, unknown>)[property];
  } catch {
    return undefined;
  }
}
