// npm run bench:seeds: each operation that the seeds make claims about, in the way of before and with paceline, in turn.
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { FarDatabase } from './database.js';
import { keep, type Run, report } from './keep.js';
import { type Bench, measure, type Row } from './operation.js';
import { measureDiscordBot } from './operations/bot.js';
import { chat } from './operations/chat.js';
import { dashboard } from './operations/dashboard.js';
import { embeddings } from './operations/embeddings.js';
import { refresh } from './operations/refresh.js';
import { scraping } from './operations/scraping.js';
import { HELP, type Name, type Options, readOptions, UsageError } from './options.js';
import { ServerDied, Servers } from './servers/start.js';
import type { World } from './world.js';

const LONG = 3;
const SHORT = 5;
const operations: Readonly<Record<Exclude<Name, 'bot'>, [(world: World) => Promise<Bench>, rounds: number]>> = {
  chat: [chat, SHORT],
  refresh: [refresh, LONG],
  embeddings: [embeddings, LONG],
  scraping: [scraping, LONG],
  dashboard: [dashboard, SHORT],
};

async function run({ only, rounds, isKept }: Options): Promise<void> {
  const servers = new Servers();
  const world = { servers, database: new FarDatabase() };
  const date = new Date().toISOString();
  const loadBefore = loadavg()[0] ?? 0;
  const rows: Row[] = [];
  try {
    for (const name of only) rows.push(...(await servers.during(() => measureOne(name, rounds, world))));
  } finally {
    await Promise.all([servers.stop(), world.database.close()]);
  }
  const load = [loadBefore, loadavg()[0] ?? 0] as const;
  const result: Run = { date, node: process.versions.node, cpu: cpus()[0]?.model.trim() ?? 'unknown', load, rows };
  console.log(report(result));
  if (!isKept) return;
  keep(result);
  const root = fileURLToPath(new URL('../../', import.meta.url));
  spawnSync('npx', ['biome', 'format', '--write', 'bench/results'], { cwd: root, stdio: 'ignore' });
}

async function measureOne(name: Name, rounds: number | undefined, world: World): Promise<Row[]> {
  const say = (text: string) => console.error(`${name}: ${text}`);
  if (name === 'bot') {
    say('the running bot, a minute');
    return measureDiscordBot(rounds ?? SHORT);
  }
  const [start, usual] = operations[name];
  const bench = await start(world);
  try {
    return await measure(bench, rounds ?? usual, (round) => say(`round ${round} of ${rounds ?? usual}`));
  } finally {
    await bench.close();
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(HELP);
  else await run(options);
  process.exit();
} catch (error) {
  const isExpected = error instanceof UsageError || error instanceof ServerDied;
  const hint = error instanceof UsageError ? '. See --help.' : '';
  console.error(isExpected ? `bench:seeds: ${error.message}${hint}` : error);
  // The servers end with this process.
  process.exit(error instanceof UsageError ? 2 : 1);
}
