import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CloseReport } from '../../src/core/types.js';

const file = fileURLToPath(new URL('./fixtures/server.ts', import.meta.url));
const guide = (name: string) => readFileSync(new URL(`../../docs/guide/${name}.md`, import.meta.url), 'utf8');

/** The shop behind the server: sells, and writes down what it is told, 10 ms later. What `hangsOn` picks, it never answers. */
async function openShop(hangsOn: (path: string, order: string) => boolean = () => false) {
  const ledger: Record<string, string[]> = { '/audit': [], '/mail': [] };
  const shop = createServer((request, response) => {
    const path = request.url ?? '';
    let order = '';
    request.on('data', (chunk) => {
      order += chunk;
    });
    request.on('end', () => {
      if (hangsOn(path, order)) return;
      setTimeout(() => {
        ledger[path]?.push(order);
        response.end('12.50');
      }, 10);
    });
  });
  shop.listen(0, '127.0.0.1');
  await once(shop, 'listening');
  onTestFinished(() => {
    shop.closeAllConnections();
    shop.close();
  });
  return { url: `http://127.0.0.1:${(shop.address() as AddressInfo).port}`, ledger };
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it said after the line with its address. */
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

/** The server of the guide, as a process of its own that dies of its first unhandled rejection. */
async function startServer(shop: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', '--unhandled-rejections=strict', file], {
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', SHOP: shop, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  const warnings: string[] = [];
  const output = createInterface(child.stdout).on('line', (line) => lines.push(line));
  createInterface(child.stderr).on('line', (line) => warnings.push(line));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, lines: lines.slice(1), warnings }));
  });
  const hasStarted = await Promise.race([once(output, 'line').then(() => true), ended.then(() => false)]);
  if (!hasStarted) throw new Error(`It did not start: ${warnings.join('\n')}`);
  const { port } = JSON.parse(lines[0] as string) as AddressInfo;
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), port, ended };
}

/** One order. Its status, or the code of the connection's end: such an order was never accepted. */
function place(port: number, order: string, agent?: Agent): Promise<number | string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path: `/apple?order=${order}`, agent };
    get(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode as number));
      response.on('error', (error) => resolve(`cut off: ${error.message}`));
    }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** Orders from 40 clients that keep their connections, until there were 400 or the server is gone. */
async function load(port: number, onAnswer: (count: number) => void) {
  const agent = new Agent({ keepAlive: true, maxSockets: 40 });
  const accepted: string[] = [];
  const others: (number | string)[] = [];
  let next = 0;
  const client = async () => {
    while (next < 400) {
      const order = `order-${next++}`;
      const answer = await place(port, order, agent);
      if (answer !== 200) {
        others.push(answer);
        if (answer === 'ECONNREFUSED') return;
        continue;
      }
      accepted.push(order);
      onAnswer(accepted.length);
    }
  };
  await Promise.all(Array.from({ length: 40 }, client));
  agent.destroy();
  return { accepted, others };
}

const report = ({ lines }: Ended) => JSON.parse(lines[0] as string) as CloseReport;
const sorted = (orders: readonly string[] | undefined) => [...(orders ?? [])].sort();

// BG-11 (fastify-graceful-shutdown#42, cloudserver#550): servers exit before the drain, or before their last line is out.
describe('the server of the guide, under load', { timeout: 30_000 }, () => {
  test.each<[string, NodeJS.Signals[]]>([
    ['SIGTERM', ['SIGTERM']],
    // As supervisors and terminals do: the second one must not cut the first short.
    ['SIGTERM, SIGINT and SIGTERM again', ['SIGTERM', 'SIGINT', 'SIGTERM']],
  ])('after %s loses nothing that it accepted, says so once, and ends by itself', async (_what, signals) => {
    const { url, ledger } = await openShop();
    const server = await startServer(url);
    let askedAt = Number.NaN;
    const { accepted, others } = await load(server.port, (count) => {
      if (count !== 150) return;
      askedAt = performance.now();
      signals.forEach((signal, i) => {
        setTimeout(() => server.kill(signal), 20 * i);
      });
    });
    const ended = await server.ended;
    const took = performance.now() - askedAt;
    expect(ended).toMatchObject({ code: 0, signal: null, warnings: [] });
    // Under load indeed: it was asked in the middle, and work was waiting.
    expect(accepted.length).toBeGreaterThanOrEqual(150);
    expect(others.length).toBeGreaterThan(0);
    // Requests under way were answered: the rest never reached it.
    expect(others.filter((answer) => answer !== 'ECONNREFUSED' && answer !== 'ECONNRESET')).toEqual([]);
    for (const path of ['/audit', '/mail']) {
      const written = sorted(ledger[path]);
      expect(written).toEqual([...new Set(written)]);
      expect(written).toEqual(expect.arrayContaining(accepted));
    }
    expect(ended.lines).toHaveLength(1);
    expect(report(ended)).toMatchObject({ clean: true, aborted: 0, refused: 0, left: [] });
    expect(report(ended).finished).toBeGreaterThan(10);
    expect(took).toBeLessThan(5_000);
  });

  test('names what hangs, whether it listens or not, within both graces, and ends with code 1', async () => {
    const { url, ledger } = await openShop((path, order) => order === (path === '/audit' ? 'order-7' : 'order-9'));
    const server = await startServer(url, { WORK_GRACE: '400', ABORT_GRACE: '200' });
    for (let i = 0; i < 20; i++) expect(await place(server.port, `order-${i}`)).toBe(200);
    const askedAt = performance.now();
    server.kill('SIGTERM');
    const ended = await server.ended;
    const took = performance.now() - askedAt;
    expect(ended).toMatchObject({ code: 1, signal: null, warnings: ['aborted: audit', 'aborted: mail'] });
    expect(report(ended)).toMatchObject({ clean: false, aborted: 2, refused: 0, left: ['mail'] });
    expect([ledger['/audit']?.length, ledger['/mail']?.length]).toEqual([19, 19]);
    expect(took).toBeGreaterThan(550);
    expect(took).toBeLessThan(5_000);
  });

  test('names each task that never began, where all places hang', async () => {
    const { url, ledger } = await openShop((path) => path === '/mail');
    const server = await startServer(url, { WORK_GRACE: '400', ABORT_GRACE: '200' });
    for (let i = 0; i < 30; i++) expect(await place(server.port, `order-${i}`)).toBe(200);
    server.kill('SIGTERM');
    const ended = await server.ended;
    expect(ended).toMatchObject({ code: 1, signal: null });
    const lost = (line: string) => ended.warnings.filter((each) => each === line).length;
    const { aborted, refused, left } = report(ended);
    expect([lost('aborted: mail'), aborted, left]).toEqual([8, 8, Array.from({ length: 8 }, () => 'mail')]);
    expect(lost('refused: mail')).toBe(22);
    expect((ledger['/audit']?.length ?? 0) + lost('refused: audit')).toBe(30);
    expect(lost('refused: audit') + lost('refused: mail')).toBe(refused);
    // The console, one of each kind.
    const shown = ended.warnings.flatMap((line) => /^\[paceline\].* refused task `(\w+)`/.exec(line)?.[1] ?? []);
    expect(shown.sort()).toEqual(['audit', 'mail']);
  });

  test('cuts off a request that does not end, and does the work of those that did', async () => {
    const { url, ledger } = await openShop((path) => path === '/price/pear');
    const server = await startServer(url, { REQUEST_GRACE: '300', WORK_GRACE: '400', ABORT_GRACE: '200' });
    const stuck = new Promise<string>((resolve) => {
      get({ host: '127.0.0.1', port: server.port, path: '/pear?order=stuck' }).on('error', (error) =>
        resolve(String(error)),
      );
    });
    expect(await place(server.port, 'fine')).toBe(200);
    server.kill('SIGTERM');
    expect(await stuck).toMatch(/hang up|ECONNRESET/);
    const ended = await server.ended;
    expect([ledger['/audit'], ledger['/mail']]).toEqual([['fine'], ['fine']]);
    expect(ended).toMatchObject({ code: 0, signal: null });
  });
});

describe('the guide', () => {
  test('shows that very server', () => {
    const code = readFileSync(file, 'utf8').replace('../../../src/index.js', 'paceline');
    expect(guide('shutdown')).toContain(`\`\`\`ts\n${code}\`\`\`\n`);
  });

  // BG-17 (inngest/website#781): waitUntil is taken for a job queue.
  test('says that neither the background nor waitUntil is a job queue', () => {
    expect(guide('background')).toMatch(/not durable/i);
    expect(guide('background')).toMatch(/`waitUntil`[^.]* job queue/);
  });
});
