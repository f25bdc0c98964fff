import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

async function runFixture(name: string): Promise<string> {
  const file = fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url));
  const flags = ['--import', 'tsx', '--unhandled-rejections=strict', '--expose-gc'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file], { timeout: 60_000 });
  return stdout;
}

describe('in a process of its own', { timeout: 90_000 }, () => {
  // BREAK-07, BREAK-10: timers that keep a process up.
  it('nothing that is refused, aborted or late is unhandled or keeps it alive', async () => {
    const begun = performance.now();
    expect(JSON.parse(await runFixture('unhandled'))).toEqual([
      'left',
      'by itself',
      'down',
      '`breaker` is open; try again in N ms',
      '`breaker` is open; try again in N ms',
      'late',
    ]);
    expect(performance.now() - begun).toBeLessThan(30_000);
  });

  // BREAK-10: opossum#245, #181, #648: a breaker for each of many upstreams, 80 to 300 MB.
  it('10,000 breakers are small, and calls leave nothing behind', async () => {
    const { perBreaker, left, leftOfTrials } = JSON.parse(await runFixture('memory')) as Record<string, number>;
    expect(perBreaker).toBeLessThan(4_000);
    expect(left).toBeLessThan(500_000);
    expect(leftOfTrials).toBeLessThan(500_000);
  });
});
