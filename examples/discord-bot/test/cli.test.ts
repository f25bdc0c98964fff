import type { ReadMessage } from 'upstreams';
import { GEMINI_MODEL, startUpstream } from 'upstreams';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CURSOR } from '../src/live-message.js';
import { readOptions } from '../src/options.js';
import { start } from './support/cli.js';
import { until } from './support/stage.js';

async function servers() {
  const [discord, gemini] = await Promise.all([
    startUpstream('discord', { limits: {} }),
    startUpstream('gemini', { tokensPerSecond: 60 }),
  ]);
  onTestFinished(async () => void (await Promise.all([discord.stop(), gemini.stop()])));
  const env = {
    DISCORD_TOKEN: 'local',
    DISCORD_API: `${discord.url}/api`,
    GEMINI_API_KEY: 'local',
    GEMINI_BASE_URL: gemini.url,
  };
  return { discord, env };
}

test('SIGTERM, twice, with answers in the making: they are finished, nothing is lost, and it exits with 0', {
  timeout: 40_000,
}, async () => {
  const { discord, env } = await servers();
  const { child, output, finished } = start(['--model', GEMINI_MODEL], env);
  await until(() => output.stdout.includes('Ready'));
  const people = ['Mira', 'Otto', 'Ada'];
  await Promise.all(people.map((user) => discord.control('say', { channel: 'help', user, text: '@paceline retry?' })));
  const read = async () => (await discord.control('read', { channel: 'help' })) as ReadMessage[];
  await until(async () => (await read()).some(({ text }) => text.endsWith(CURSOR)));
  child.kill('SIGTERM');
  child.kill('SIGTERM');
  const { code, stdout } = await finished;
  const answers = (await read()).filter(({ author }) => author === 'paceline').map(({ text }) => text);
  expect(answers.filter((text) => text.endsWith('in two places multiply.')).length).toBe(3);
  expect(stdout).toContain('Stopped left=[]');
  expect(code).toBe(0);
});

test('a token that Discord does not know ends it with one line', { timeout: 20_000 }, async () => {
  const { env } = await servers();
  const { code, stderr } = await start([], { ...env, DISCORD_TOKEN: 'other' }).finished;
  expect(stderr).toBe('discord-bot: Discord did not let the bot in: An invalid token was provided.\n');
  expect(code).toBe(1);
});

describe('flags and variables', () => {
  test.each([
    [['--port', '1'], {}, "Unknown option '--port'. See --help."],
    [['--rpm', '0'], {}, 'Expected --rpm to be an integer >= 1, got `0`. See --help.'],
    [['--speed', 'fast'], {}, 'Expected --speed to be an integer >= 1, got `fast`. See --help.'],
    [['here'], {}, "Unexpected argument 'here'. See --help."],
    [[], { DISCORD_TOKEN: 'a' }, 'DISCORD_TOKEN is set, but GEMINI_API_KEY is not. See --help.'],
    [
      [],
      { DISCORD_TOKEN: 'a b', GEMINI_API_KEY: 'c' },
      'Expected DISCORD_TOKEN to be printable ASCII without spaces. See --help.',
    ],
    [
      [],
      { DISCORD_TOKEN: 'a', GEMINI_API_KEY: 'b', DISCORD_API: 'x' },
      'Expected DISCORD_API to be a URL, got `x`. See --help.',
    ],
  ])('%j %j', (args, env, message) => {
    expect(() => readOptions(args, env as Record<string, string>)).toThrow(message);
  });

  test('without a token it is the script, with one the service, and --help is no mode', () => {
    expect(readOptions([], {})).toEqual({ mode: 'script' });
    expect(readOptions([], { GEMINI_API_KEY: 'of something else' })).toEqual({ mode: 'script' });
    expect(readOptions(['--replay'], {})).toEqual({ mode: 'replay', speed: 10 });
    expect(readOptions(['--help'], {})).toBeUndefined();
    expect(readOptions(['--rpm', '60'], { DISCORD_TOKEN: 'a', GEMINI_API_KEY: 'b' })).toMatchObject({
      mode: 'service',
      config: { quota: { requestsPerMinute: 60, tokensPerMinute: 250_000 }, gemini: { model: 'gemini-2.5-flash' } },
    });
  });

  test('the process says it in one line', { timeout: 20_000 }, async () => {
    const { code, stdout, stderr } = await start(['--speed', '0']).finished;
    expect([code, stdout, stderr]).toEqual([
      2,
      '',
      'discord-bot: Expected --speed to be an integer >= 1, got `0`. See --help.\n',
    ]);
  });
});
