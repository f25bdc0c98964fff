// Starts all of them and prints how to reach them.
import { parseArgs } from 'node:util';
import { startUpstream, type UpstreamServer } from './start.js';
import type { Weather } from './weather.js';

const HELP = `Local servers that speak real protocols, with seeded latency and faults.

Usage: npm start -w upstreams -- [options]

      --port N           port of the first; the others follow (4010)
      --seed N           of latency and faults (1)
      --latency MS       median time to an answer (300)
      --fault-rate N     share of the requests that fail, 0 to 1 (0)
      --embedder NAME    model, or trigrams: instant and blind to meaning (model)
`;

/** What to set for each, in the shell of the program that calls it. */
const settings = {
  llm: ({ url }: UpstreamServer) => [
    `OPENAI_BASE_URL=${url}/v1`,
    'OPENAI_API_KEY=local',
    'models: local-chat, local-embedding',
  ],
  shop: ({ url }: UpstreamServer) => [
    `WOOCOMMERCE_URL=${url}`,
    'WOOCOMMERCE_KEY=ck_local',
    'WOOCOMMERCE_SECRET=cs_local',
  ],
  gemini: ({ url }: UpstreamServer) => [`GEMINI_BASE_URL=${url}`, 'GEMINI_API_KEY=local', 'model: gemini-local'],
  discord: ({ url }: UpstreamServer) => [`DISCORD_API=${url}/api`, 'DISCORD_TOKEN=local'],
};

try {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '4010' },
      seed: { type: 'string', default: '1' },
      latency: { type: 'string', default: '300' },
      'fault-rate': { type: 'string', default: '0' },
      embedder: { type: 'string', default: 'model' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) console.log(HELP);
  else await startAll(values);
} catch (error) {
  console.error(`upstreams: ${error instanceof Error ? error.message : error}`);
  // What was started already ends with this process.
  process.exit(1);
}

async function startAll(
  values: Record<'port' | 'seed' | 'latency' | 'fault-rate' | 'embedder', string>,
): Promise<void> {
  const number = (name: 'port' | 'seed' | 'latency' | 'fault-rate', most = Number.MAX_SAFE_INTEGER) => {
    const value = Number(values[name]);
    if (!(value >= 0 && value <= most))
      throw new Error(`Expected --${name} to be a number, got \`${values[name]}\`. See --help.`);
    return value;
  };
  const { embedder } = values;
  if (embedder !== 'model' && embedder !== 'trigrams')
    throw new Error(`Expected --embedder to be model or trigrams, got \`${embedder}\`. See --help.`);
  const weather: Weather = {
    seed: number('seed'),
    latency: { median: number('latency') },
    faults: { rate: number('fault-rate', 1) },
  };
  const port = number('port', 65_000);
  const next = (n: number) => (port === 0 ? 0 : port + n);
  const servers = {
    llm: await startUpstream('llm', { weather, embedder, port }),
    shop: await startUpstream('shop', { weather, port: next(1) }),
    gemini: await startUpstream('gemini', { weather, port: next(2) }),
    discord: await startUpstream('discord', { weather, port: next(3) }),
  };
  for (const [name, server] of Object.entries(servers)) {
    console.log(`\n${name}`);
    for (const line of settings[name as keyof typeof settings](server)) console.log(`  ${line}`);
    console.log(`  curl ${server.url}/_control/stats`);
    void server.died.then((reason) => {
      console.error(`upstreams: ${name} died: ${reason}`);
      process.exit(1);
    });
  }
}
