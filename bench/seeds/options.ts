import { parseArgs } from 'node:util';

export const NAMES = ['chat', 'refresh', 'embeddings', 'scraping', 'dashboard', 'bot'] as const;
export type Name = (typeof NAMES)[number];

export const HELP = `The claims of the two reports that this library comes from, beside measurements. About three minutes.

Usage: npm run bench:seeds -- [options]

      --rounds N     turns of each way; default 3 for what takes seconds, 5 for the rest
      --only NAMES   some of ${NAMES.join(', ')}: prints only
      --dry-run      prints only: no JSON, no chart, no page
  -h, --help
`;

export interface Options {
  /** Undefined: as each operation has it. */
  readonly rounds: number | undefined;
  readonly only: readonly Name[];
  /** Whether the figures go to the repository. */
  readonly isKept: boolean;
}

/** What the person at the keyboard can put right. */
export class UsageError extends Error {}

/** Returns undefined where help is asked for. @throws {UsageError} */
export function readOptions(args: readonly string[]): Options | undefined {
  const { rounds, only, help, 'dry-run': isDry = false } = valuesOf(args);
  if (help === true) return undefined;
  if (rounds !== undefined && !/^[1-9]\d{0,2}$/.test(rounds))
    throw new UsageError(`Expected --rounds to be an integer from 1 to 999, got \`${rounds}\``);
  const names = only?.split(',') ?? NAMES;
  const unknown = names.find((name) => !isName(name));
  if (unknown !== undefined) throw new UsageError(`No operation \`${unknown}\`; there are: ${NAMES.join(', ')}`);
  return {
    rounds: rounds === undefined ? undefined : Number(rounds),
    only: NAMES.filter((name) => names.includes(name)),
    isKept: only === undefined && !isDry,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        only: { type: 'string' },
        'dry-run': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

function isName(name: string): name is Name {
  return NAMES.some((known) => known === name);
}
