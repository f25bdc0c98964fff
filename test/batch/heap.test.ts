import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Outcome {
  readonly name: string;
  readonly count: number;
  /** MB */
  readonly grown: number;
}

const outcomes = new Map<string, Outcome>();

beforeAll(async () => {
  const path = fileURLToPath(new URL('fixtures/heap.ts', import.meta.url));
  const args = ['--unhandled-rejections=strict', '--expose-gc', '--import', 'tsx', path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 120_000 });
  for (const line of stdout.trim().split('\n')) {
    const outcome = JSON.parse(line) as Outcome;
    outcomes.set(outcome.name, outcome);
  }
}, 150_000);

test.each([
  ['a stream of a million, in input order', 1_000_000],
  ['a stream by completion', 300_000],
  ['a stream from an async source', 300_000],
  ['a stream with timeout and signal', 300_000],
  ['a batch of a million', 1_000_000],
  ['a million in chunks', 1_000_000],
  ['batches on one signal', 10_000],
])('memory does not grow with what is over: %s', (name, count) => {
  expect(outcomes.get(name)?.count).toBe(count);
  expect(outcomes.get(name)?.grown).toBeLessThan(5);
});
