import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readOptions } from '../src/options.js';

test('paths are meant from where the person typed them', () => {
  const options = readOptions(['notes', '/else/where.md'], { INIT_CWD: '/home/me' });
  expect(options?.sources.map(({ label, path }) => [label, path])).toEqual([
    ['notes', join('/home/me', 'notes')],
    ['/else/where.md', '/else/where.md'],
  ]);
});

test('without a path it is this repository and its packages', () => {
  const labels = readOptions([], {})?.sources.map(({ label }) => label);
  expect(labels).toEqual(['this repository', 'the installed packages']);
});

test('a service is used only where both its address and its key are given', () => {
  const service = (env: Record<string, string>) => readOptions([], env)?.service;
  const baseURL = 'https://api.example/v1';
  expect(service({ OPENAI_API_KEY: 'k' })).toBeUndefined();
  expect(service({ OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: 'k' })).toEqual({
    baseURL,
    apiKey: 'k',
    model: 'text-embedding-3-small',
  });
  expect(() => service({ OPENAI_BASE_URL: baseURL })).toThrow('OPENAI_BASE_URL is set, but OPENAI_API_KEY is not.');
  expect(() => service({ OPENAI_BASE_URL: 'here' })).toThrow('Expected OPENAI_BASE_URL to be a URL, got `here`.');
});

test.each(['sk-secret\nsecond line', 'sk-secret\r', 'sk-sécret', 'sk-secret\u2028', 'sk-secret\0'])(
  'a key that no header may carry is a mistake of usage, and is not shown: %j',
  (key) => {
    const read = () => readOptions([], { OPENAI_BASE_URL: 'https://api.example/v1', OPENAI_API_KEY: key });
    const message = 'Expected OPENAI_API_KEY to be printable ASCII on one line. See --help.';
    expect(read).toThrow(expect.objectContaining({ message, exitCode: 2 }));
  },
);

test.each([
  [['--limit', 'ten'], 'Expected --limit to be an integer >= 1, got `ten`. See --help.'],
  [['--size', '0'], 'Expected --size to be an integer >= 1, got `0`. See --help.'],
  [['--delay=-5'], 'Expected --delay to be an integer >= 0, got `-5`. See --help.'],
  [['--concurrency', '1e99'], 'Expected --concurrency to be an integer >= 1, got `1e99`. See --help.'],
  [['--embedder', 'gpt'], 'Expected --embedder to be model or trigrams, got `gpt`. See --help.'],
  [['-q', ' '], 'Expected --question to be a text, got an empty one. See --help.'],
  [['--limit'], "Option '--limit <value>' argument missing. See --help."],
])('%j is a mistake of usage', (args, message) => {
  expect(() => readOptions(args, {})).toThrow(expect.objectContaining({ message, exitCode: 2 }));
});
