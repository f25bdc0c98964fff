/*
 * What retries do to an upstream, played through in virtual time: no timers, no clocks, so every machine gives the same figures. The
 * tests hold them, and `bench/retry/draw.mjs` draws them. What decides is the library's own: backoff, budget.
 */
import { backoffDelay, type Jitter } from '../../src/limits/backoff.js';
import { RetryBudget } from '../../src/limits/retry-budget.js';

/** mulberry32 */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The library takes chance from `Math.random`. */
function withRandom<T>(random: () => number, work: () => T): T {
  const original = Math.random;
  Math.random = random;
  try {
    return work();
  } finally {
    Math.random = original;
  }
}

/** How many calls of 1,000, one each 10 ms, an upstream gets that fails this share of them. Default budget or none, after a warm-up. */
export function callsSent(failureRate: number, maxAttempts: number, hasBudget: boolean, seed = 1): number {
  const REQUESTS = 1_000;
  const WARM_UP = 3_000;
  const random = makeRandom(seed);
  const budget = hasBudget ? new RetryBudget() : undefined;
  let sent = 0;
  for (let request = 0; request < WARM_UP + REQUESTS; request++) {
    if (request === WARM_UP) sent = 0;
    const time = request * 10;
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      sent++;
      if (random() >= failureRate) {
        budget?.earn();
        break;
      }
      if (attempt < maxAttempts && budget?.take(time) === false) break;
    }
  }
  return (sent / REQUESTS) * 1_000;
}

export interface Contention {
  /** Until the last client is done, ms. */
  readonly doneAfter: number;
  readonly calls: number;
}

/**
 * Optimistic concurrency, as in "Exponential Backoff And Jitter" (M. Brooker, AWS Architecture Blog, 2015): each client reads a row,
 * works on it and writes it back; a write fails if another came between. Each way over the network takes 10 ms, a few more or less.
 */
export function contend(clients: number, jitter: Jitter, seed = 1): Contention {
  const random = makeRandom(seed);
  // Box-Muller.
  const network = (): number =>
    Math.max(0, 10 + 2 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  const backoff = { baseDelay: 5, maxDelay: 2_000, factor: 2, jitter };
  type Event = {
    readonly at: number;
    readonly client: number;
    readonly kind: 'read' | 'write';
    readonly version: number;
  };
  const events: Event[] = [];
  const attempts = Array.from({ length: clients }, () => 1);
  let [version, calls, doneAfter] = [0, 0, 0];
  for (let client = 0; client < clients; client++) events.push({ at: network(), client, kind: 'read', version: 0 });
  while (events.length > 0) {
    events.sort((a, b) => b.at - a.at);
    const { at, client, kind, version: seen } = events.pop() as Event;
    if (kind === 'read') {
      events.push({ at: at + network() + network(), client, kind: 'write', version });
      continue;
    }
    calls++;
    if (seen === version) {
      version++;
      doneAfter = Math.max(doneAfter, at + network());
    } else {
      const attempt = attempts[client] as number;
      attempts[client] = attempt + 1;
      const delay = withRandom(random, () => backoffDelay(attempt, backoff));
      events.push({ at: at + network() + delay + network(), client, kind: 'read', version: 0 });
    }
  }
  return { doneAfter, calls };
}

/** The mean over some seeds. */
export function contendOften(clients: number, jitter: Jitter, seeds = 5): Contention {
  const runs = Array.from({ length: seeds }, (_, i) => contend(clients, jitter, i + 1));
  const mean = (of: (run: Contention) => number) => runs.reduce((sum, run) => sum + of(run), 0) / seeds;
  return { doneAfter: mean((run) => run.doneAfter), calls: mean((run) => run.calls) };
}

/** Least, mean and greatest of a hundred delays after an attempt, with the default rules. */
export function delaysAfter(attempt: number, jitter: Jitter): { least: number; mean: number; greatest: number } {
  const backoff = { baseDelay: 100, maxDelay: 20_000, factor: 2, jitter };
  const delays = withRandom(makeRandom(attempt), () =>
    Array.from({ length: 100 }, () => backoffDelay(attempt, backoff)),
  );
  return {
    least: Math.min(...delays),
    mean: delays.reduce((sum, delay) => sum + delay, 0) / delays.length,
    greatest: Math.max(...delays),
  };
}
