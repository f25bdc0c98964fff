import { gatherAllSettled } from 'paceline';
import { LATENCIES } from '../latencies.js';
import type { Bench } from '../operation.js';
import { SOURCES } from '../servers/site.js';
import type { World } from '../world.js';

/** Seed 1, 5: all sources of the dashboard, which take about equally long. */
export async function dashboard({ servers }: World): Promise<Bench> {
  const site = await servers.site({ routes: { 'GET /dashboard/:source': { latency: LATENCIES.dashboard } } });
  const load = async (source: string, signal?: AbortSignal) => {
    const response = await fetch(`${site.url}/dashboard/${source}`, { ...(signal && { signal }) });
    if (!response.ok) throw new Error(`${source}: ${response.status}`);
    return (await response.json()) as { readonly total: number };
  };
  return {
    ways: {
      async sequential() {
        const board: Record<string, unknown> = {};
        for (const source of SOURCES) board[source] = await load(source);
        return () => board;
      },
      async paceline() {
        const tasks = SOURCES.map(
          (source) => [source, ({ signal }: { signal: AbortSignal }) => load(source, signal)] as const,
        );
        const { values } = await gatherAllSettled(Object.fromEntries(tasks), { timeout: 5_000 });
        return () => values;
      },
    },
    rows: [
      {
        name: `Dashboard loading, ${SOURCES.length} sources`,
        before: 'sequential',
        after: 'paceline',
        claim: { gain: { kind: 'factor', from: 4 } },
        reason: 'The slowest source sets the pace.',
      },
    ],
    reset: () => site.reset(),
    close: () => site.stop(),
  };
}
