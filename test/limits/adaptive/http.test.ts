import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { aimdLimit } from '../../../src/limits/aimd.js';
import type { ConcurrencyLimit } from '../../../src/limits/concurrency-limit.js';
import { vegasLimit } from '../../../src/limits/vegas.js';

const SLOTS = 10;
const QUEUE = 2;
const SERVICE_MS = 20;

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

/** Keeps as many requests in flight as the limit allows, for a while. */
async function load(limit: ConcurrencyLimit, port: number, forMs: number): Promise<Call[]> {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const since = performance.now();
  const until = since + forMs;
  const calls: Call[] = [];
  let allowed = limit.initial;
  let inFlight = 0;
  await new Promise<void>((resolve, reject) => {
    const fill = (): void => {
      while (inFlight < allowed && performance.now() < until) send();
      if (inFlight === 0) resolve();
    };
    const send = (): void => {
      const startedAt = performance.now();
      const among = ++inFlight;
      get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().once('end', () => {
          const atMs = performance.now();
          const verdict = response.statusCode === 503 ? 'overload' : 'success';
          inFlight--;
          allowed = limit.onSample({ runMs: atMs - startedAt, inFlight: among, verdict, atMs });
          calls.push({ atMs: atMs - since, isShed: verdict === 'overload', limit: allowed });
          fill();
        });
      }).once('error', reject);
    };
    fill();
  });
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
