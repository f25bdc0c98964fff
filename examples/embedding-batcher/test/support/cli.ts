import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  /** What it complained about: stderr without the progress bars. */
  readonly complaint: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Fulfils with the first group as soon as the output so far matches. */
  shows(pattern: RegExp): Promise<string>;
}

/** Whose process it is, where not the one that runs the tests. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The program as a person runs it, with instant vectors and a quick network unless told otherwise. */
export function start(args: readonly string[], env: Record<string, string> = {}, user?: User): Started {
  const quick = ['--embedder', 'trigrams', '--delay', '20', '--fail-every', '0'];
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', ...quick, ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
    ...user,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, complaint: withoutBars(stderr) }));
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

export function run(args: readonly string[], env?: Record<string, string>, user?: User): Promise<Finished> {
  return start(args, env, user).finished;
}

/** Whether that user may run Node and read this folder: neither is sure in a home folder or a container. */
export function mayRun(user: User): boolean {
  const look = 'fs.readFileSync("src/main.ts"); fs.readFileSync(require.resolve("tsx"))';
  return spawnSync(process.execPath, ['-e', look], { cwd: root, env: {}, ...user }).status === 0;
}

function withoutBars(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !/[█░]/.test(line))
    .join('\n');
}
