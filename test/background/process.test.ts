import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

function runFixture(name: string): Promise<Ended> {
  const file = fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url));
  const started = performance.now();
  const child = spawn(process.execPath, ['--import', 'tsx', '--unhandled-rejections=strict', file]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, ms: performance.now() - started }));
  });
}

describe('a process with strict unhandled rejections', { timeout: 30_000 }, () => {
  // BG-01 (node#20392): one background failure ends the server.
  test('survives every way to fail, and hears of each failure once', async () => {
    const { code, stdout, stderr } = await runFixture('failing');
    expect(JSON.parse(stdout)).toEqual([
      'The queue of `background` is full: 1 may wait',
      '`background` exceeded its `timeout` of 5 ms',
      '`background` is closed',
      'rejects',
      'retried',
      'throws',
      'undefined',
    ]);
    for (const failure of ['handler throws', 'handler rejects', 'console']) {
      expect(stderr.split(`Error: ${failure}\n`)).toHaveLength(2);
    }
    expect(stderr).not.toMatch(/late: dropped/);
    expect(code).toBe(0);
  });

  // BG-13: close-with-grace and its like shut down at the first unhandled error, with code 1, and cut the shutdown short at the second.
  test('survives them under handlers that shut down at the first unhandled error, in its own shutdown too', async () => {
    const { code, stdout } = await runFixture('graceful');
    const report = JSON.parse(stdout.trim().split('\n').at(-1) as string);
    expect(report).toEqual({ clean: false, finished: 2, aborted: 1, refused: 0, left: ['late'] });
    expect(code).toBe(0);
  });

  test('ends when its work has ended: an idle group, a drain and a close that are over hold nothing', async () => {
    const { code, stdout, ms } = await runFixture('idle');
    expect([code, stdout]).toEqual([0, '0\n']);
    expect(ms).toBeLessThan(20_000);
  });

  // BG-11 (fastify-graceful-shutdown#42): the process is gone before the drain, or before its last line is written.
  test('is never ended by the library, not even when work is left', async () => {
    const { code, stdout } = await runFixture('left');
    expect(stdout).toBe('left hangs\nstill here\nexit 0\n');
    expect(code).toBe(0);
  });
});
