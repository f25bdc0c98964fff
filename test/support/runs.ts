import { test } from '@fast-check/vitest';

/** How often a property runs. `PACELINE_RUNS=5000 npm test` looks harder; `npm run test:full` does so by itself. */
export const runs = Number(process.env.PACELINE_RUNS ?? 100);

/**
 * A law: `property([fc.scheduler(), fc.nat()])('the limit holds', async (s, n) => ...)`.
 *
 * It is `test.prop` of `@fast-check/vitest` with our number of runs. Set for all of fast-check, that number would also repeat
 * the plain tests of that package.
 */
export const property: typeof test.prop = (arbitraries, parameters) =>
  test.prop(arbitraries, { numRuns: runs, ...parameters });
