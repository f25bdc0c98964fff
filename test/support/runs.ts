import * as fc from 'fast-check';
import { type RunnerTestSuite, type TestContext, TestRunner, test } from 'vitest';

/** How often a property runs. `PACELINE_RUNS=5000 npm test` looks harder; `npm run test:full` does so by itself. */
const runs = Number(process.env.PACELINE_RUNS ?? 100);

type Law<Ts extends [unknown, ...unknown[]]> = (...values: Ts) => unknown;

/**
 * A law: `property([fc.scheduler(), fc.nat()])('the limit holds', async (s, n) => ...)`. It is broken by what throws, and by
 * `false`. The hooks of the file run around each run, as if that were a test of its own.
 *
 * Not `test.prop` of `@fast-check/vitest`: that package takes 1.7 s to import, in each file that does.
 */
export function property<Ts extends [unknown, ...unknown[]]>(
  arbitraries: { [I in keyof Ts]: fc.Arbitrary<Ts[I]> },
  parameters?: fc.Parameters<Ts>,
): (name: string, law: Law<Ts>, timeout?: number) => void {
  return (name, law, timeout) => test(name, (context) => check(context, arbitraries, law, parameters), timeout);
}

async function check<Ts extends [unknown, ...unknown[]]>(
  context: TestContext,
  arbitraries: { [I in keyof Ts]: fc.Arbitrary<Ts[I]> },
  law: Law<Ts>,
  parameters: fc.Parameters<Ts> | undefined,
): Promise<void> {
  const suites = suitesOf(context);
  const hooksOf = (kind: 'beforeEach' | 'afterEach') =>
    suites.flatMap((suite) => TestRunner.getSuiteHooks(suite)[kind].map((hook) => [hook, suite] as const));
  const before = hooksOf('beforeEach');
  const after = hooksOf('afterEach').reverse();
  const cleanUps: (() => unknown)[] = [];
  const cleanUp = async (): Promise<void> => {
    for (const undo of cleanUps.splice(0).reverse()) await undo();
  };

  // Vitest itself runs the hooks before the first run and after the last.
  let isFirst = true;
  const between = async (): Promise<void> => {
    if (isFirst) {
      isFirst = false;
      return;
    }
    for (const [hook, suite] of after) await hook(context, suite);
    await cleanUp();
    for (const [hook, suite] of before) {
      const undo: unknown = await hook(context, suite);
      if (typeof undo === 'function') cleanUps.push(undo as () => unknown);
    }
  };

  const lawful = fc.asyncProperty(...arbitraries, async (...values) => (await law(...values)) !== false);
  try {
    await fc.assert(lawful.beforeEach(between), { numRuns: runs, ...parameters });
  } finally {
    await cleanUp();
  }
}

/** Outermost first: the file, then what describes the test. */
function suitesOf({ task }: TestContext): RunnerTestSuite[] {
  const suites: RunnerTestSuite[] = [];
  for (let suite = task.suite ?? task.file; suite !== undefined; suite = suite.suite ?? suite.file) {
    suites.unshift(suite);
    if (suite === task.file) break;
  }
  return suites;
}
