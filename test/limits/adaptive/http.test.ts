import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { aimdLimit } from '../../../src/limits/aimd.js';
import type { ConcurrencyLimit } from '../../../src/limits/concurrency-limit.js';
import { vegasLimit } from '../../../src/limits/vegas.js';
import { PromisePool } from '../../../src/pool/index.js';

const SLOTS = 10;
const QUEUE = 2;
const SERVICE_MS = 20;
/** More than the limit ever lets through. */
const CLIENTS = 60;

/** A real server that works on 10 requests at once, lets 2 wait and answers 503 to the others. */
async function shedding(): Promise<{ port: number; served: () => number }> {
  let busy = 0;
  let served = 0;
  const waiting: (() => void)[] = [];
  const server = createServer(async (_request, response) => {
    if (busy >= SLOTS) {
      if (waiting.length >= QUEUE) {
        response.writeHead(503).end();
        return;
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    busy++;
    await sleep(SERVICE_MS);
    busy--;
    served++;
    waiting.shift()?.();
    response.end('done');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, served: () => served };
}

interface Call {
  readonly atMs: number;
  readonly isShed: boolean;
  /** The limit after it. */
  readonly limit: number;
}

/** Keeps more requests waiting than the limit lets through, for a while. */
async function load(limit: ConcurrencyLimit, port: number, forMs: number): Promise<Call[]> {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const pool = new PromisePool({ concurrency: limit });
  const since = performance.now();
  const calls: Call[] = [];
  const request = () =>
    new Promise<void>((resolve, reject) => {
      get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().once('end', () => {
          const { statusCode: status } = response;
          if (status === 200) resolve();
          else reject(Object.assign(new Error('shed'), { status }));
        });
      }).once('error', reject);
    });
  const client = async (): Promise<void> => {
    while (performance.now() - since < forMs) {
      const isShed = await pool.execute(request).then(
        () => false,
        () => true,
      );
      calls.push({ atMs: performance.now() - since, isShed, limit: pool.concurrency });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return calls;
}

test.each([
  ['aimdLimit', aimdLimit],
  ['vegasLimit', vegasLimit],
])('%s finds what a real server takes that sheds with 503', async (_, make) => {
  const { port, served } = await shedding();
  const calls = await load(make({ initial: 20, max: 100 }), port, 1_500);
  expect(served()).toBe(calls.filter(({ isShed }) => !isShed).length);

  // Bounds for machines that are busy: those of collapse and of running off. Whoever sends on at 40 is shed nine times of ten.
  const late = calls.filter(({ atMs }) => atMs > 900);
  const limits = late.map(({ limit }) => limit).sort((a, b) => a - b);
  expect(limits[Math.floor(limits.length / 2)]).toBeGreaterThanOrEqual(5);
  expect(limits[Math.floor(limits.length / 2)]).toBeLessThanOrEqual(15);
  expect(late.filter(({ isShed }) => !isShed).length).toBeGreaterThan(100);
  expect(late.filter(({ isShed }) => isShed).length / late.length).toBeLessThan(0.4);
});
