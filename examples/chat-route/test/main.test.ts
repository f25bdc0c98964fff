import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHAT_MODEL, EMBEDDING_MODEL, startUpstream } from 'upstreams';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPglite } from '../src/database/pglite.js';
import { until } from './support/app.js';
import { answerOf } from './support/ask.js';
import { start } from './support/cli.js';

// Each of these runs a whole program, most with servers and a database.
const slow = { timeout: 120_000 };

async function localLlm(tokensPerSecond: number) {
  const llm = await startUpstream('llm', { embedder: 'trigrams', tokensPerSecond });
  onTestFinished(() => llm.stop());
  return {
    llm,
    env: {
      OPENAI_BASE_URL: `${llm.url}/v1`,
      OPENAI_API_KEY: 'local',
      OPENAI_CHAT_MODEL: CHAT_MODEL,
      OPENAI_EMBEDDING_MODEL: EMBEDDING_MODEL,
    },
  };
}

const post = (url: string, conversation: string, message: string) =>
  fetch(`${url}/api/chat`, { method: 'POST', body: JSON.stringify({ conversation, message }) });

test('starts with one line, and answers over HTTP', slow, async () => {
  const program = start([]);
  const url = await program.shows(/Chat at (\S+)/);
  expect(await (await fetch(url)).text()).toContain('<title>');
  expect(await answerOf(await post(url, 'a', 'Do you have a tent for two?'))).toMatchObject({
    status: 200,
    notices: [],
    order: ['token', 'done'],
  });
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ ok: true });
  const metrics = await (await fetch(`${url}/metrics`)).json();
  expect(metrics).toMatchObject({
    upstreams: { llm: { fulfilled: 1 }, shop: {}, embeddings: {} },
    pools: { database: {} },
  });
  expect((await fetch(`${url}/api/chat`)).status).toBe(405);
  expect(await (await fetch(`${url}/nothing`)).json()).toEqual({ error: 'No GET /nothing here.' });

  program.child.kill('SIGTERM');
  const { code, stdout, stderr } = await program.finished;
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n').at(-1)).toBe('{"clean":true,"finished":0,"aborted":0,"refused":0,"left":[]}');
  expect(code).toBe(0);
});

test(
  'SIGTERM under load: answers under way are finished, and every message and answer is in the database',
  slow,
  async () => {
    const { llm, env } = await localLlm(100);
    const folder = await mkdtemp(join(tmpdir(), 'chat-route-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const program = start(['--data', folder, '--context-timeout', '20000'], env);
    const url = await program.shows(/Chat at (\S+)/);

    const questions = Array.from({ length: 30 }, (_, n) => `Which jacket is good for tour number ${n}?`);
    const asked = questions.map((message, n) => post(url, `conversation-${n}`, message));
    // Some answers are under way, and more questions wait for a slot at the model. Twice, as impatient people do.
    await until(async () => (await llm.stats()).counts.tokens > 50);
    await until(async () => {
      const { upstreams } = (await (await fetch(`${url}/metrics`)).json()) as { upstreams: { llm: { calls: number } } };
      return upstreams.llm.calls === questions.length;
    });
    program.child.kill('SIGTERM');
    program.child.kill('SIGTERM');
    const answers = await Promise.all(asked.map(async (response) => answerOf(await response)));
    const answeredAt = performance.now();
    const { code, stdout, stderr } = await program.finished;
    expect(performance.now() - answeredAt).toBeLessThan(4_000);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, order: ['token', 'done'], notices: [] });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ clean: true, aborted: 0, refused: 0 });
    expect(code).toBe(0);
    await expect(fetch(url)).rejects.toThrow();

    const database = await openPglite(folder);
    onTestFinished(() => database.close());
    const rows = await database.query<{ question: string; answer: string }>(
      `select asked.text as question, answered.text as answer from messages asked
     join messages answered on answered.reply_to = asked.id and answered.is_complete order by asked.conversation`,
    );
    const expected = questions.map((question, n) => ({ question, answer: answers[n]?.text }));
    expect(new Set(rows)).toEqual(new Set(expected));
    const [tracked] = await database.query('select count(*)::integer as count from analytics');
    expect(tracked).toEqual({ count: 30 });
  },
);

test(
  'SIGTERM in the middle of one answer: it is finished, and its connection does not hold the process',
  slow,
  async () => {
    const { llm, env } = await localLlm(40);
    const program = start([], env);
    const url = await program.shows(/Chat at (\S+)/);
    const response = await post(url, 'a', 'Do you have a tent for two?');
    await until(async () => (await llm.stats()).counts.tokens > 5);
    program.child.kill('SIGTERM');
    expect(await answerOf(response)).toMatchObject({ status: 200, order: ['token', 'done'] });
    const answeredAt = performance.now();
    expect((await program.finished).code).toBe(0);
    // The client would keep it for 3 s, the server for 5 s.
    expect(performance.now() - answeredAt).toBeLessThan(2_000);
  },
);

test('SIGTERM and an answer longer than the grace: it is cut, and what was said of it is saved', slow, async () => {
  const { llm, env } = await localLlm(10);
  const folder = await mkdtemp(join(tmpdir(), 'chat-route-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const program = start(['--data', folder, '--grace', '400'], env);
  const url = await program.shows(/Chat at (\S+)/);
  const response = await post(url, 'a', 'Do you have a tent for two?');
  await until(async () => (await llm.stats()).counts.tokens > 5);
  program.child.kill('SIGTERM');
  await expect(answerOf(response)).rejects.toThrow('terminated');
  expect((await program.finished).code).toBe(0);
  expect(await llm.stats()).toMatchObject({ inFlight: 0, closedEarly: 1 });

  const database = await openPglite(folder);
  onTestFinished(() => database.close());
  const rows = await database.query('select is_complete from messages order by at');
  expect(rows).toEqual([{ is_complete: true }, { is_complete: false }]);
});

test('what is kept in a folder is there after a restart, and is not embedded again', slow, async () => {
  const { llm, env } = await localLlm(2_000);
  const folder = await mkdtemp(join(tmpdir(), 'chat-route-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const run of ['first', 'second']) {
    await llm.reset();
    const program = start(['--data', folder], env);
    const url = await program.shows(/Chat at (\S+)/);
    expect((await llm.stats()).counts.embedded > 0).toBe(run === 'first');
    const { text } = await answerOf(await post(url, 'kept', 'And what does delivery cost?'));
    expect(text.includes('your earlier question')).toBe(run === 'second');
    program.child.kill('SIGTERM');
    expect((await program.finished).code).toBe(0);
  }
});

describe('what is wrong is told in one line', () => {
  test.each([
    ['a mistyped flag', ['--prot', '1'], {}, "Unknown option '--prot'. See --help.", 2],
    [
      'a port that is none',
      ['--port', '70000'],
      {},
      'Expected --port to be an integer from 0 to 65535, got `70000`. See --help.',
      2,
    ],
    [
      'a timeout that is none',
      ['--context-timeout', 'soon'],
      {},
      'Expected --context-timeout to be an integer >= 1, got `soon`. See --help.',
      2,
    ],
    [
      'a share above 1',
      ['--fault-rate', '3'],
      {},
      'Expected --fault-rate to be a number from 0 to 1, got `3`. See --help.',
      2,
    ],
    [
      'a service without its key',
      [],
      { OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' },
      'OPENAI_API_KEY is not set. See --help.',
      2,
    ],
    [
      'a secret that no header may carry',
      [],
      { WOOCOMMERCE_URL: 'http://x', WOOCOMMERCE_KEY: 'a', WOOCOMMERCE_SECRET: 'b\nc' },
      'Expected WOOCOMMERCE_SECRET to be printable ASCII on one line. See --help.',
      2,
    ],
    [
      'a database URL that is none',
      [],
      { DATABASE_URL: 'mysql://root:secret@x/y' },
      'Expected DATABASE_URL to be a URL that begins with postgres:// or postgresql://. See --help.',
      2,
    ],
    [
      'a database that is not there',
      [],
      { DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/shop' },
      'Cannot reach the database at postgres://127.0.0.1:1/shop: connect ECONNREFUSED 127.0.0.1:1',
      1,
    ],
  ] as const)('%s', slow, async (_, args, env, line, exitCode) => {
    const { code, stdout, stderr } = await start(args, env).finished;
    expect(stderr).toBe(`chat-route: ${line}`);
    expect(stdout).toBe('');
    expect(code).toBe(exitCode);
  });

  test('a port in use', slow, async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const { code, stderr } = await start(['--port', String(port)]).finished;
    expect(stderr).toBe(`chat-route: Cannot listen at 127.0.0.1: port ${port} is in use. Take another with --port.`);
    expect(code).toBe(1);
  });

  test('a key that the model refuses', slow, async () => {
    const { env } = await localLlm(1_000);
    const { code, stderr } = await start([], { ...env, OPENAI_API_KEY: 'wrong' }).finished;
    expect(stderr).toMatch(/^chat-route: The embedding API at .* refuses the key: 401 Incorrect API key provided\.$/);
    expect(code).toBe(1);
  });
});

test('--help lists every flag', slow, async () => {
  const { code, stdout } = await start(['--help']).finished;
  expect(stdout).toContain('--context-timeout MS');
  expect(code).toBe(0);
});
