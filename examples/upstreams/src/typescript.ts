import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/** A process that runs a TypeScript file, whatever folder and runner this one was started from. */
export function forkTypeScript(file: URL, args: readonly string[], options: ForkOptions): ChildProcess {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return fork(fileURLToPath(file), args, { ...options, execArgv: ['--import', loader] });
}

/** A thread that runs a TypeScript file. */
export function typeScriptWorker(file: URL): Worker {
  return new Worker(new URL('./worker-boot.mjs', import.meta.url), { workerData: file.href });
}
