import { aimdLimit } from '../../../src/limits/aimd.js';
import type { ConcurrencyLimit } from '../../../src/limits/concurrency-limit.js';
import { vegasLimit } from '../../../src/limits/vegas.js';
import { figures, type PhaseFigures } from './figures.js';
import { fixedLimit, netflixAimd, netflixGradient2, netflixVegas, netflixWindowed } from './rivals.js';
import { chance, type Phase, type ServerKind, simulate, type Trace } from './simulation.js';

/** A server with 40 slots, then 10, then 40 again; more is offered than it can serve, all the time. */
export const PHASES: readonly Phase[] = [40, 10, 40].map((slots) => ({ slots, forMs: 20_000 }));
/** What a phase has to settle before it is measured. */
export const SETTLE_MS = 5_000;

export const CONTESTANTS = {
  aimdLimit: () => aimdLimit(),
  vegasLimit: () => vegasLimit(),
  'fixed 10': () => fixedLimit(10),
  'fixed 40': () => fixedLimit(40),
  'fixed 200': () => fixedLimit(200),
  'Netflix AIMDLimit': netflixAimd,
  'Netflix Gradient2Limit': netflixGradient2,
  'Netflix Gradient2Limit, windowed': () => netflixWindowed(netflixGradient2()),
  'Netflix VegasLimit': () => netflixVegas(chance(9)),
  'Netflix VegasLimit, windowed': () => netflixWindowed(netflixVegas(chance(9))),
} satisfies Record<string, () => ConcurrencyLimit>;

export type Contestant = keyof typeof CONTESTANTS;

export function run(
  name: Contestant,
  kind: ServerKind,
  seed: number,
  sigma = 0.5,
): { trace: Trace; phases: PhaseFigures[] } {
  const trace = simulate(CONTESTANTS[name](), { kind, phases: PHASES, seed, sigma });
  return { trace, phases: figures(trace, PHASES, SETTLE_MS) };
}
