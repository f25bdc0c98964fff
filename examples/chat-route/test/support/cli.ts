import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Fulfils with the first group as soon as the output so far matches. */
  shows(pattern: RegExp): Promise<string>;
}

/** The program as a person runs it, with instant vectors and any free port, for one test. */
export function start(args: readonly string[], env: Record<string, string> = {}): Started {
  const quick = ['--embedder', 'trigrams', '--latency', '0', '--port', '0'];
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', ...quick, ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr: stderr.trim() }));
  });
  const shows = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(stdout + stderr);
        if (found !== null) resolve(found[1] ?? '');
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.on('close', () => reject(new Error(`It ended without showing ${pattern}: ${stdout}${stderr}`)));
      look();
    });
  return { child, finished, shows };
}
