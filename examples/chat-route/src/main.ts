import { UserError } from './errors.js';
import { withLocal } from './local.js';
import { HELP, type Options, readOptions } from './options.js';
import { startServer } from './server.js';
import { startServices } from './start.js';

const LAST_WORDS_MS = 250;

async function run({ port, host, grace, database, limits, local, ...given }: Options): Promise<void> {
  const { openai, shop, servers } = await withLocal(given, local, (reason) =>
    console.error(`A local server died: ${reason}`),
  );
  const services = await startServices({ openai, shop, database, limits });
  const server = await startServer(services, { port, host });
  for (const [name, at] of Object.entries({ model: openai.baseURL, shop: shop.url }))
    console.log(`${name}: ${at}${at.startsWith('http://127.0.0.1') ? ' (local)' : ''}`);
  console.log(`database: ${database.url === undefined ? `PGlite ${database.folder ?? 'in memory'}` : 'PostgreSQL'}`);
  console.log(`Chat at ${server.url}`);

  let isStopping = false;
  async function stop(): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    const report = await server.shutDown(grace);
    await Promise.all(servers.map((one) => one.stop()));
    console.log(JSON.stringify(report));
    // The process ends when its last line is out. Work that hangs does not hold it: the timer does not either.
    process.exitCode = report.clean ? 0 : 1;
    setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
  }
  // `on`, not `once`: without a listener a second signal kills the process in the middle of this.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
}

try {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === undefined) console.log(HELP);
  else await run(options);
} catch (error) {
  console.error(error instanceof UserError ? `chat-route: ${error.message}` : error);
  // What was started already ends with this process.
  process.exit(error instanceof UserError ? error.exitCode : 1);
}
