import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { notRun } from '../../../test/support/not-run.js';
import { mayRun, run, start } from './support/cli.js';
import { type ServerOptions, serve } from './support/server.js';
import { book, folder, sentence } from './support/texts.js';

// Each of these runs a whole program, with a server and a database.
const slow = { timeout: 120_000 };

/** Stands for a real service: the program does not know that the server is ours. */
async function realService(options?: ServerOptions) {
  const { server, service } = await serve(options);
  const { baseURL, apiKey, model } = service;
  return { server, env: { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, OPENAI_EMBEDDING_MODEL: model } };
}

test(
  'stores every passage, answers a question, and measures both ways over the same calls and faults',
  slow,
  async () => {
    const path = await book(100);
    const flags = ['--question', sentence(42), '--top', '2', '--limit', '90', '--size', '10', '--fail-every', '4'];
    const { code, stdout, complaint } = await run([path, ...flags]);
    expect(complaint).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('90 passages of 100 (--limit 90) from 1 file\n');

    const row = (name: string) => stdout.match(new RegExp(`^${name} +(\\S+) +(\\S+)$`, 'm'))?.slice(1);
    // Nine chunks; the 4th and the 8th call fail, and are made again.
    expect(row('calls')).toEqual(['11', '11']);
    expect(row('retries')).toEqual(['2', '2']);
    expect(row('most in flight')).toEqual(['1', '3']);
    expect(stdout).toContain('11 calls = 9 fulfilled + 2 failed + 0 timed out + 0 aborted + 0 refused');

    expect(stdout).toContain('Stored 90 passages with 256 dimensions each.');
    expect(stdout).toMatch(/\n1\. 0\.\d\d {2}.*book\.md:169\n.*Passage number 42 /);
    expect(stdout).toContain('\n2. ');
    expect(stdout).not.toContain('\n3. ');
  },
);

test('vectors of the real model find what is meant, not what is spelled', slow, async () => {
  const path = await folder({
    'a.md': 'The weather in the mountains was cold and it rained for the whole week.',
    'b.md': 'The doctor told the patient to stay in bed and to drink a lot of water.',
    'c.md': 'The program limits how many requests it sends to the server at the same time.',
  });
  const { code, stdout } = await run([path, '--embedder', 'model', '--top', '1', '-q', 'Should sick people rest?']);
  expect(code).toBe(0);
  expect(stdout).toContain('Stored 3 passages with 512 dimensions each.');
  expect(stdout).toMatch(/^1\. 0\.\d\d {2}.*b\.md:1$/m);
});

test('names the passage that the API refuses, and stores the rest', slow, async () => {
  const { env } = await realService({ refuse: 'number 7 ' });
  const { code, stdout, complaint } = await run([await book(50)], env);
  expect(stdout).toContain('Stored 49 passages');
  expect(complaint).toMatch(
    /^embedding-batcher: 1 of 50 passages has no vector, .*book\.md:29: The embedding API at .* failed: 400 .*$/,
  );
  expect(code).toBe(1);
});

test('a wrong key is told in one line, and not tried again', slow, async () => {
  const { server, env } = await realService();
  const { code, complaint } = await run([await book(50)], { ...env, OPENAI_API_KEY: 'wrong' });
  expect(complaint).toMatch(
    /^embedding-batcher: The embedding API at .* refuses the key: 401 Incorrect API key provided\.$/,
  );
  expect(code).toBe(1);
  expect((await server.stats()).requests).toBe(1);
});

test('a server that is not there is told in one line', slow, async () => {
  const { server, env } = await realService();
  await server.stop();
  const { code, complaint } = await run([await book(50)], env);
  expect(complaint).toMatch(
    /^embedding-batcher: Cannot reach the embedding API at .*: ECONNREFUSED \(tried 5 times\)$/,
  );
  expect(code).toBe(1);
});

test('a page that is no embedding API is told in one line', slow, async () => {
  const { server, env } = await realService();
  const { code, complaint } = await run([await book(50)], {
    ...env,
    OPENAI_BASE_URL: `${server.url}/nothing/here`,
  });
  expect(complaint).toMatch(/^embedding-batcher: The embedding API at .* does not know .*: 404 No route POST .*\.$/);
  expect(code).toBe(1);
});

test('a service that dies in the middle is told in one line', slow, async () => {
  const { server, env } = await realService({ delay: 100 });
  const program = start([await book(400), '--no-compare'], env);
  await program.shows(/in flight/);
  while (((await server.stats()).byStatus[200] ?? 0) < 6) await new Promise((resolve) => setTimeout(resolve, 20));
  await server.stop();
  const { code, complaint } = await program.finished;
  expect(complaint).toMatch(/^embedding-batcher: Cannot reach the embedding API at .*: ECONN\w+/);
  expect(complaint).not.toContain('\n');
  expect(code).toBe(1);
});

test('Ctrl-C in the middle stops it with its server, in one line', slow, async () => {
  const program = start([await book(400), '--delay', '300']);
  const baseURL = await program.shows(/Local server (\S+):/);
  await program.shows(/one at a time/);
  const sent = performance.now();
  program.child.kill('SIGINT');
  const { code, complaint } = await program.finished;
  expect(complaint).toBe('embedding-batcher: Stopped by SIGINT.');
  expect(code).toBe(130);
  expect(performance.now() - sent).toBeLessThan(5000);
  await expect(fetch(baseURL)).rejects.toThrow();
});

test('the server ends with the program even if that is killed', slow, async () => {
  const program = start([await book(400), '--delay', '300']);
  const baseURL = await program.shows(/Local server (\S+):/);
  program.child.kill('SIGKILL');
  await program.finished;
  const isGone = () =>
    fetch(baseURL).then(
      () => false,
      () => true,
    );
  while (!(await isGone())) await new Promise((resolve) => setTimeout(resolve, 20));
});

test.each([
  ['a mistyped flag', ['--paralel', '3'], "Unknown option '--paralel'. See --help.", 2],
  ['a missing path', ['nowhere/at/all'], 'No such file or folder: nowhere/at/all', 1],
  ['an empty file', ['empty.md'], 'empty.md is empty.', 1],
] as const)('%s is told in one line', slow, async (_, args, line, exitCode) => {
  const path = await folder({ 'empty.md': '' });
  // As npm does it: the script runs elsewhere, paths are meant from here.
  const { code, complaint } = await run(args, { INIT_CWD: path });
  expect(complaint).toBe(`embedding-batcher: ${line}`);
  expect(code).toBe(exitCode);
});

test('a file without permission to read it is told in one line', slow, async (context) => {
  if (process.platform === 'win32') notRun(context, 'a mode keeps nobody from reading here');
  // Root may read everything, so there it is somebody else who runs it.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
  if (user !== undefined && !mayRun(user)) notRun(context, 'root may read everything, and nobody else may run this');
  const path = await folder({ 'open.md': sentence(0), 'secret.md': sentence(1) });
  const home = join(path, '.home');
  await mkdir(home);
  await chmod(path, 0o755);
  await chmod(join(path, 'open.md'), 0o644);
  await chmod(join(path, 'secret.md'), 0);
  if (user !== undefined) await chown(home, user.uid, user.gid);

  const env = { INIT_CWD: path, HOME: home, TMPDIR: home };
  for (const source of ['.', 'secret.md']) {
    const { code, complaint } = await run([source], env, user);
    expect(complaint).toBe('embedding-batcher: Cannot read secret.md: permission denied.');
    expect(code).toBe(1);
  }
});

test('a key that no header may carry is told in one line, without the key', slow, async () => {
  const { server, env } = await realService();
  const { code, stdout, complaint } = await run([await book(1)], { ...env, OPENAI_API_KEY: 'sk-secret\nsecond' });
  expect(complaint).toBe('embedding-batcher: Expected OPENAI_API_KEY to be printable ASCII on one line. See --help.');
  expect(stdout).toBe('');
  expect(code).toBe(2);
  expect((await server.stats()).requests).toBe(0);
});

test('one of a kind is told in the singular', slow, async () => {
  const { code, stdout } = await run([await book(1), '--no-compare']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^1 passage from 1 file$/m);
  expect(stdout).toContain(' 1 call = 1 fulfilled');
  expect(stdout).toContain('Stored 1 passage with 256 dimensions each.');
});
