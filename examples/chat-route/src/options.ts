import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, UserError } from './errors.js';
import { DEFAULT_LIMITS, type Limits, type ServicesOptions } from './services.js';
import type { StartOptions } from './start.js';

export const HELP = `A shop's chat: history, passages and products in parallel, the answer as a stream, nothing lost at the end.

Usage: npm start -w chat-route -- [options]

      --port N               where to listen; 0 = a free port (PORT, 3000)
      --host NAME            at which address (127.0.0.1)
      --data FOLDER          keep conversations there (default: in memory)
      --grace MS             at SIGTERM, longest wait for answers under way (30000)

      --context-timeout MS   longest wait for history, passages and products (${DEFAULT_LIMITS.contextTimeout})
      --token-timeout MS     longest silence of the model (${DEFAULT_LIMITS.tokenTimeout})
      --llm-concurrency N    answers under way at once (${DEFAULT_LIMITS.llmConcurrency})
      --llm-queue N          questions that may wait for that (${DEFAULT_LIMITS.llmQueue})
      --db-concurrency N     queries at once (${DEFAULT_LIMITS.databaseConcurrency})

Real services, each by its variables; where they are not set, a local server takes its place:

  OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_CHAT_MODEL (gpt-4o-mini), OPENAI_EMBEDDING_MODEL (text-embedding-3-small)
  WOOCOMMERCE_URL, WOOCOMMERCE_KEY, WOOCOMMERCE_SECRET
  DATABASE_URL               PostgreSQL, with or without pgvector (default: PGlite with pgvector)

Of the local servers:

      --latency MS           median time to an answer (150)
      --fault-rate N         share of the requests that fail, 0 to 1 (0)
      --embedder NAME        model, or trigrams: instant and blind to meaning (model)
`;

export interface LocalOptions {
  readonly latency: number;
  readonly faultRate: number;
  readonly embedder: 'model' | 'trigrams';
}

export interface Options {
  readonly port: number;
  readonly host: string;
  readonly grace: number;
  readonly database: StartOptions['database'];
  readonly limits: Partial<Limits>;
  readonly openai: ServicesOptions['openai'] | undefined;
  readonly shop: ServicesOptions['shop'] | undefined;
  readonly local: LocalOptions;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws {UserError} a flag or variable makes no sense. Returns `undefined` where only help was asked for. */
export function readOptions(args: readonly string[], env: Environment): Options | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const { embedder, host, data } = values;
  if (embedder !== 'model' && embedder !== 'trigrams')
    throw usage(`Expected --embedder to be model or trigrams, got \`${embedder}\``);
  const faultRate = Number(values['fault-rate'] || Number.NaN);
  if (!(faultRate >= 0 && faultRate <= 1))
    throw usage(`Expected --fault-rate to be a number from 0 to 1, got \`${values['fault-rate']}\``);
  const url = databaseUrl(env);
  if (url !== undefined && data !== undefined) throw usage('--data has no effect: DATABASE_URL is set');
  return {
    port: integer(values.port === undefined ? 'PORT' : '--port', values.port ?? (env.PORT || '3000'), 0, 65_535),
    host,
    grace: integer('--grace', values.grace, 0),
    // npm runs a workspace's script in its folder; paths are meant from where the person typed them.
    database: { url, folder: data === undefined ? undefined : resolve(env.INIT_CWD ?? process.cwd(), data) },
    limits: {
      contextTimeout: integer('--context-timeout', values['context-timeout'], 1),
      tokenTimeout: integer('--token-timeout', values['token-timeout'], 1),
      llmConcurrency: integer('--llm-concurrency', values['llm-concurrency'], 1),
      llmQueue: integer('--llm-queue', values['llm-queue'], 0),
      databaseConcurrency: integer('--db-concurrency', values['db-concurrency'], 1),
    },
    openai: openaiOf(env),
    shop: shopOf(env),
    local: { latency: integer('--latency', values.latency, 0), faultRate, embedder },
  };
}

/** Without flags and local servers: all services from variables. @throws {UserError} */
export function readEnvironment(env: Environment): StartOptions {
  const [openai, shop] = [openaiOf(env), shopOf(env)];
  if (openai === undefined) throw usage('Set OPENAI_BASE_URL and OPENAI_API_KEY');
  if (shop === undefined) throw usage('Set WOOCOMMERCE_URL, WOOCOMMERCE_KEY and WOOCOMMERCE_SECRET');
  return { openai, shop, database: { url: databaseUrl(env) } };
}

function parse(args: readonly string[]) {
  const number = (value: number) => ({ type: 'string', default: String(value) }) as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        data: { type: 'string' },
        grace: number(30_000),
        'context-timeout': number(DEFAULT_LIMITS.contextTimeout),
        'token-timeout': number(DEFAULT_LIMITS.tokenTimeout),
        'llm-concurrency': number(DEFAULT_LIMITS.llmConcurrency),
        'llm-queue': number(DEFAULT_LIMITS.llmQueue),
        'db-concurrency': number(DEFAULT_LIMITS.databaseConcurrency),
        latency: number(150),
        'fault-rate': number(0),
        embedder: { type: 'string', default: 'model' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    // Node adds advice about dashes, which is seldom the point, in further sentences.
    throw usage(messageOf(error).split(/\.\s|\n/)[0] ?? 'Bad arguments');
  }
}

/** All of a service's variables, or none: a key that happens to be in the environment must not send anybody's words away. */
function openaiOf(env: Environment): Options['openai'] {
  const { OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_CHAT_MODEL, OPENAI_EMBEDDING_MODEL } = env;
  if (!OPENAI_BASE_URL) return undefined;
  return {
    baseURL: urlOf('OPENAI_BASE_URL', OPENAI_BASE_URL, ['http:', 'https:']),
    apiKey: headerOf('OPENAI_API_KEY', OPENAI_API_KEY),
    chatModel: OPENAI_CHAT_MODEL || 'gpt-4o-mini',
    embeddingModel: OPENAI_EMBEDDING_MODEL || 'text-embedding-3-small',
  };
}

function shopOf(env: Environment): Options['shop'] {
  const { WOOCOMMERCE_URL, WOOCOMMERCE_KEY, WOOCOMMERCE_SECRET } = env;
  if (!WOOCOMMERCE_URL) return undefined;
  return {
    url: urlOf('WOOCOMMERCE_URL', WOOCOMMERCE_URL, ['http:', 'https:']).replace(/\/+$/, ''),
    key: headerOf('WOOCOMMERCE_KEY', WOOCOMMERCE_KEY),
    secret: headerOf('WOOCOMMERCE_SECRET', WOOCOMMERCE_SECRET),
  };
}

function databaseUrl({ DATABASE_URL }: Environment): string | undefined {
  return DATABASE_URL ? urlOf('DATABASE_URL', DATABASE_URL, ['postgres:', 'postgresql:']) : undefined;
}

/** The value is not told: there may be a password in it. */
function urlOf(name: string, text: string, protocols: readonly string[]): string {
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol))
    throw usage(`Expected ${name} to be a URL that begins with ${protocols.join('// or ')}//`);
  return text;
}

function headerOf(name: string, text: string | undefined): string {
  // It travels in a header. Node refuses others with a message that shows them.
  if (text === undefined || !/^[\x20-\x7e]+$/.test(text))
    throw usage(text ? `Expected ${name} to be printable ASCII on one line` : `${name} is not set`);
  return text;
}

function integer(name: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    const range = most === Number.MAX_SAFE_INTEGER ? `>= ${least}` : `from ${least} to ${most}`;
    throw usage(`Expected ${name} to be an integer ${range}, got \`${text}\``);
  }
  return value;
}

function usage(message: string): UserError {
  return new UserError(`${message}. See --help.`, { exitCode: 2 });
}
