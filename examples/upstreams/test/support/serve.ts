import { onTestFinished } from 'vitest';
import { type Kind, type Kinds, type StartOptions, startUpstream, type UpstreamServer } from '../../src/index.js';

/** A server for one test. */
export async function serve<K extends Kind>(
  kind: K,
  options: StartOptions<K>,
): Promise<UpstreamServer<Kinds[K]['counts']>> {
  const server = await startUpstream(kind, options);
  onTestFinished(() => server.stop());
  return server;
}

/** Looks until it is so. */
export async function until(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 5));
}
