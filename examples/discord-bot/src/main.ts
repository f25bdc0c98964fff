import { constants } from 'node:os';
import { startBot } from './bot.js';
import type { BotConfig } from './config.js';
import { UserError } from './errors.js';
import { consoleLog } from './log.js';
import { HELP, readOptions } from './options.js';

const GRACE_MS = 20_000;
const EXIT_MS = 250;

/** Runs until a signal, then finishes what it has accepted. */
async function serve(config: BotConfig): Promise<void> {
  const bot = await startBot(config);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    consoleLog('info', 'Stopping: finishing what was accepted', { signal });
    const left = await bot.stop(GRACE_MS);
    consoleLog(left.length === 0 ? 'info' : 'warn', 'Stopped', { left });
    process.exitCode = left.length === 0 ? 0 : 1;
    // What hangs does not hold the process.
    setTimeout(() => process.exit(), EXIT_MS).unref();
  };
  // `on`, not `once`: without a listener a second signal would kill the process in the middle of this.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
}

try {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    console.log(HELP);
  } else if (options.mode === 'service') {
    await serve(options.config);
  } else {
    // The servers are processes of their own, and end with this one.
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => process.exit(128 + constants.signals[signal]));
    // Only here: a real bot needs no stand-ins.
    const run = options.mode === 'script' ? (await import('./offline/script.js')).runScript : undefined;
    if (run !== undefined) await run();
    else await (await import('./offline/replay.js')).runReplay(options as { speed: number });
  }
} catch (error) {
  console.error(error instanceof UserError ? `discord-bot: ${error.message}` : error);
  process.exitCode = error instanceof UserError ? error.exitCode : 1;
}
