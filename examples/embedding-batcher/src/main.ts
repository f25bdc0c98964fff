import { constants } from 'node:os';
import { UserError } from './errors.js';
import { HELP, readOptions } from './options.js';
import { run } from './run.js';

// npm hands a Ctrl-C on that the terminal has already sent to the whole group. Only one that comes later means: right now.
const SAME_KEYSTROKE_MS = 500;

function stopOnSignal(stop: AbortController): void {
  let first: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    const exitCode = 128 + constants.signals[name];
    process.on(name, () => {
      first ??= performance.now();
      if (performance.now() - first > SAME_KEYSTROKE_MS) process.exit(exitCode);
      stop.abort(new UserError(`Stopped by ${name}.`, { exitCode }));
    });
  }
}

try {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    console.log(HELP);
  } else {
    const stop = new AbortController();
    stopOnSignal(stop);
    await run(options, stop);
  }
} catch (error) {
  console.error(error instanceof UserError ? `embedding-batcher: ${error.message}` : error);
  process.exitCode = error instanceof UserError ? error.exitCode : 1;
}
