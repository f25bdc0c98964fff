import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a fixture on the source in a process of its own. Each line it prints is one JSON. */
async function run<Line>(fixture: string, ...flags: string[]): Promise<Line[]> {
  const path = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  const args = [...flags, '--import', 'tsx', path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 120_000 });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

// POOL-32, COAL-17: refused, aborted and cleared promises that end the process; POOL-76, COAL-49: timers that hold it.
test('nothing that failed, left or was closed is unhandled or keeps the process up', { timeout: 60_000 }, async () => {
  const flag = '--unhandled-rejections=strict';
  const [line] = await run<{ outcomes: Record<string, number>; exitMs: number }>('unhandled', flag);
  expect(line?.outcomes).toMatchObject({ rejected: 32, broken: 4, 'aborted 2 of 2': 2 });
  expect(line?.exitMs).toBeLessThan(200);
});

test('an error that nobody looks at is told as that of any promise', { timeout: 60_000 }, async () => {
  expect(await run<string[]>('ignored')).toEqual([['pool', 'plain', 'keyed']]);
});

describe('nothing is kept of', () => {
  const outcomes = new Map<string, { grown: number; facts: object }>();

  beforeAll(async () => {
    type Outcome = { name: string; grown: number; facts: object };
    for (const each of await run<Outcome>('heap', '--expose-gc')) outcomes.set(each.name, each);
  }, 150_000);

  test.each([
    ['calls through all layers', { inFlight: 0 }],
    ['callers of one signal, aborted in waves', { inFlight: 1, queued: 0 }],
    ['calls beside one signal that stays', { listeners: 0 }],
    ['streams that were left early', { inFlight: 0, running: 0, listeners: 0 }],
  ])('many %s', (name, facts) => {
    expect(outcomes.get(name)).toMatchObject({ facts });
    expect(outcomes.get(name)?.grown).toBeLessThan(5);
  });
});
