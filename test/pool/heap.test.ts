import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a fixture on the source in a process of its own. Each line it prints is one JSON. */
async function run<Line>(fixture: string): Promise<Line[]> {
  const path = fileURLToPath(new URL(`fixtures/${fixture}.ts`, import.meta.url));
  const args = ['--unhandled-rejections=strict', '--expose-gc', '--import', 'tsx', path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 120_000 });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

interface Outcome {
  readonly name: string;
  readonly grown: number;
  readonly facts: Record<string, number>;
  readonly error?: string;
}

describe('nothing is kept of', () => {
  const outcomes = new Map<string, Outcome>();

  beforeAll(async () => {
    for (const each of await run<Outcome>('heap')) outcomes.set(each.name, each);
  }, 150_000);

  const nothing = { queued: 0 };
  test.each<readonly [name: string, facts: Record<string, number>]>([
    // POOL-65 p-map#75, p-queue#235; COAL and RETRY have them too: listeners and records of those who had left piled up.
    ['own signals, aborted one by one', nothing],
    ['own signals, aborted from the last to the first', nothing],
    ['one signal for a thousand tasks, used again when it is aborted', { queued: 0, waiting: 1, aborted: 0 }],
    ['own groups and priorities, aborted', nothing],
    ['groups in which others go on waiting', nothing],
    ['own groups, run', { running: 0 }],
    ['the wait was too long', nothing],
    // POOL-32: what is cleared leaves its signal, its group and its deadline.
    ['cleared', { queued: 0, listeners: 0 }],
    ['acquired and released, or left', { running: 0, queued: 0, listeners: 0 }],
    ['one signal, queued and run', { waiting: 1, listeners: 0 }],
    // POOL-67 node#54614, deno#24842: `AbortSignal.any` retains its children on a signal that lives as long as the process.
    ['one signal, tasks that use theirs', { most: 1, listeners: 0 }],
    ['one signal, maps and streams', { listeners: 0 }],
    ['one signal, pools that are closed', { listeners: 0 }],
    ['rounds with timeouts', { running: 0, timers: 0 }],
    // POOL-74 supercharge#90, pacer#198: processed items were kept for ever.
    ['a million items through streams', { lost: 0 }],
    ['a million tasks in waves', { running: 0, lost: 0 }],
    ['a stream in its middle', { running: 0 }],
    // POOL-68 node#17469, tiny-async-pool: `Promise.race` with one that never settles kept 134 MB.
    ['beside one that never settles', { running: 0 }],
    ['watchers that leave', nothing],
  ])('100,000 times: %s', (name, facts) => {
    expect(outcomes.get(name)).toMatchObject({ facts });
    expect(outcomes.get(name)?.grown).toBeLessThan(5);
  });
});

describe('a pool whose work is done', () => {
  // POOL-76 async-sema, supercharge#79: timers held the process. And the other way: a wait with work behind it holds it up.
  test('lets the process end at once, and waits that somebody waits for do not', { timeout: 60_000 }, async () => {
    const [line] = await run<{ told: string[]; exitMs: number }>('exit');
    expect(line?.told).toEqual([
      'wait QUEUE_TIMEOUT',
      'hold QUEUE_TIMEOUT',
      'run TIMEOUT',
      'handed on',
      'grace CLOSED',
      'left pool',
    ]);
    expect(line?.exitMs).toBeLessThan(1_000);
  });
});

describe('cost', () => {
  const ratios = new Map<string, number>();

  beforeAll(async () => {
    for (const { name, ratio } of await run<{ name: string; ratio: number }>('cost')) ratios.set(name, ratio);
  }, 150_000);

  // Eight times the work: a linear cost gives 1, also with a slow machine in between, a quadratic one 8.
  test.each([
    // POOL-70 effect Semaphore copied its waiters at each release; modern-async, tiny-async-pool.
    'a backlog that is worked off',
    'a limit that grows over a long queue',
    'a high limit',
    // POOL-71 async#582, cockatiel, pacer, p-queue: `shift`, `slice` and `splice` in long arrays.
    'a thousand groups of three priorities',
    'a group for each task',
    'one group at its limit, in front of all others',
    'waits with deadlines, later ones first',
    // POOL-73 p-queue 81cbae2, async#413: recursion with many that are aborted or synchronous.
    'synchronous tasks, one after the other',
    'one signal is aborted for all that wait',
    'signals of their own are aborted, the last one first',
    'running tasks that are timed out or aborted at once',
    'clear of a long queue',
    'close of a long queue',
    // POOL-65: a listener for each task is quadratic on Node.
    'tasks that leave one shared signal',
    'items of one map',
    'items of one stream',
    'maps beside each other',
    'tasks beside streams that nobody reads',
  ])('does not grow with the amount: %s', (name) => {
    expect(ratios.get(name)).toBeLessThan(3.5);
  });
});
