import { parseArgs } from 'node:util';
import { messageOf, UserError } from './errors.js';
import { defaultSources, type Source, sourceOf } from './files.js';

export const HELP = `Embeds Markdown and text, and answers a question with the nearest passages.

Usage: npm start -w embedding-batcher -- [options] [file or folder ...]

Without a file or folder: this repository's Markdown and that of the installed packages.

  -q, --question TEXT    what to look for
      --top N            passages to show (5)
      --limit N          most passages to embed (400)
      --size N           passages in one call (20)
      --concurrency N    calls in flight (3)
      --no-compare       skip the run with one call at a time

With OPENAI_BASE_URL and OPENAI_API_KEY set, calls go to that API (model: OPENAI_EMBEDDING_MODEL). Otherwise to a local server:

      --delay MS         its median time to answer (450)
      --fail-every N     one call in N fails, with 429 and 500 in turn; 0 = none (10)
      --seed N           of its delays (1)
      --embedder NAME    model, or trigrams: instant and blind to meaning (model)
`;

export interface Options {
  readonly sources: readonly Source[];
  readonly question: string;
  readonly top: number;
  readonly limit: number;
  readonly size: number;
  readonly concurrency: number;
  readonly compare: boolean;
  readonly local: {
    readonly delay: number;
    readonly failEvery: number;
    readonly seed: number;
    readonly embedder: 'model' | 'trigrams';
  };
  /** A real service. Without it the demo starts its own. */
  readonly service: { readonly baseURL: string; readonly apiKey: string; readonly model: string } | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws {UserError} a flag or variable makes no sense. Returns `undefined` where only help was asked for. */
export function readOptions(args: readonly string[], env: Environment): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help === true) return undefined;
  const embedder = values.embedder;
  if (embedder !== 'model' && embedder !== 'trigrams')
    throw usage(`Expected --embedder to be model or trigrams, got \`${embedder}\``);
  if (values.question.trim() === '') throw usage('Expected --question to be a text, got an empty one');
  // npm runs a workspace's script in its folder; paths are meant from where the person typed them.
  const from = env.INIT_CWD ?? process.cwd();
  return {
    sources: positionals.length === 0 ? defaultSources() : positionals.map((path) => sourceOf(path, from)),
    question: values.question,
    top: integer('--top', values.top, 1),
    limit: integer('--limit', values.limit, 1),
    size: integer('--size', values.size, 1),
    concurrency: integer('--concurrency', values.concurrency, 1),
    compare: values['no-compare'] !== true,
    local: {
      delay: integer('--delay', values.delay, 0),
      failEvery: integer('--fail-every', values['fail-every'], 0),
      seed: integer('--seed', values.seed, 0),
      embedder,
    },
    service: serviceOf(env),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        question: { type: 'string', short: 'q', default: 'How can I limit how many promises run at the same time?' },
        top: { type: 'string', default: '5' },
        limit: { type: 'string', default: '400' },
        size: { type: 'string', default: '20' },
        concurrency: { type: 'string', default: '3' },
        'no-compare': { type: 'boolean' },
        delay: { type: 'string', default: '450' },
        'fail-every': { type: 'string', default: '10' },
        seed: { type: 'string', default: '1' },
        embedder: { type: 'string', default: 'model' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    // Node adds advice about dashes, which is seldom the point, in further sentences.
    throw usage(messageOf(error).split(/\.\s|\n/)[0] ?? 'Bad arguments');
  }
}

/** Both, or neither: a key that happens to be in the environment must not send anybody's files away. */
function serviceOf(env: Environment): Options['service'] {
  const {
    OPENAI_BASE_URL: baseURL,
    OPENAI_API_KEY: apiKey,
    OPENAI_EMBEDDING_MODEL: model = 'text-embedding-3-small',
  } = env;
  if (baseURL === undefined || baseURL === '') return undefined;
  if (!URL.canParse(baseURL)) throw usage(`Expected OPENAI_BASE_URL to be a URL, got \`${baseURL}\``);
  if (apiKey === undefined || apiKey === '') throw usage('OPENAI_BASE_URL is set, but OPENAI_API_KEY is not');
  // It travels in a header. Node refuses others with a message that shows the key.
  if (!/^[\x20-\x7e]+$/.test(apiKey)) throw usage('Expected OPENAI_API_KEY to be printable ASCII on one line');
  return { baseURL, apiKey, model };
}

function integer(flag: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && Number.isSafeInteger(value)))
    throw usage(`Expected ${flag} to be an integer >= ${least}, got \`${text}\``);
  return value;
}

function usage(message: string): UserError {
  return new UserError(`${message}. See --help.`, { exitCode: 2 });
}
