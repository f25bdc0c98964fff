import { parseArgs } from 'node:util';
import { type BotConfig, DEFAULTS } from './config.js';
import { messageOf, UserError } from './errors.js';

export const HELP = `A Discord bot that answers with a language model.

Usage: npm start -w discord-bot -- [options]

Without DISCORD_TOKEN: a scripted conversation, with local servers in the place of Discord and Gemini. Nothing leaves the machine.

      --replay         a recorded conversation instead, with and without sharing, and what was saved
      --speed N        of the replay, in times of the recorded pace (10)

With DISCORD_TOKEN and GEMINI_API_KEY: the bot, until it is stopped.

      --model NAME     (gemini-2.5-flash)
      --rpm N          requests a minute that the key allows (10)
      --tpm N          tokens a minute that the key allows (250000)
`;

export type Options =
  | { readonly mode: 'script' }
  | { readonly mode: 'replay'; readonly speed: number }
  | { readonly mode: 'service'; readonly config: BotConfig };

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws {UserError} a flag or variable makes no sense. Returns `undefined` where only help was asked for. */
export function readOptions(args: readonly string[], env: Environment): Options | undefined {
  const { help, replay, speed, model, rpm, tpm } = parse(args);
  if (help === true) return undefined;
  const quota = { requestsPerMinute: integer('--rpm', rpm), tokensPerMinute: integer('--tpm', tpm) };
  const pace = integer('--speed', speed);
  if (replay === true) return { mode: 'replay', speed: pace };
  const { DISCORD_TOKEN, GEMINI_API_KEY, DISCORD_API, GEMINI_BASE_URL } = env;
  if (!DISCORD_TOKEN) return { mode: 'script' };
  if (!GEMINI_API_KEY) throw usage('DISCORD_TOKEN is set, but GEMINI_API_KEY is not');
  const config: BotConfig = {
    ...DEFAULTS,
    quota,
    discord: { token: printable('DISCORD_TOKEN', DISCORD_TOKEN), api: url('DISCORD_API', DISCORD_API) },
    gemini: {
      apiKey: printable('GEMINI_API_KEY', GEMINI_API_KEY),
      model,
      baseUrl: url('GEMINI_BASE_URL', GEMINI_BASE_URL),
    },
  };
  return { mode: 'service', config };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        replay: { type: 'boolean' },
        speed: { type: 'string', default: '10' },
        model: { type: 'string', default: 'gemini-2.5-flash' },
        rpm: { type: 'string', default: '10' },
        tpm: { type: 'string', default: '250000' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    // Node adds advice about dashes, which is seldom the point, in further sentences.
    throw usage(messageOf(error).split(/\.\s|\n/)[0] ?? 'Bad arguments');
  }
}

function integer(flag: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && Number.isSafeInteger(value)))
    throw usage(`Expected ${flag} to be an integer >= 1, got \`${text}\``);
  return value;
}

/** It travels in a header. Node refuses others with a message that shows it. */
function printable(name: string, text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text)) throw usage(`Expected ${name} to be printable ASCII without spaces`);
  return text;
}

function url(name: string, text: string | undefined): string | undefined {
  if (!text) return undefined;
  if (!URL.canParse(text)) throw usage(`Expected ${name} to be a URL, got \`${text}\``);
  return text;
}

function usage(message: string): UserError {
  return new UserError(`${message}. See --help.`, { exitCode: 2 });
}
