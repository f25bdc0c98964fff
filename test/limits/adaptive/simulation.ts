import type { ConcurrencyLimit, LimitSample } from '../../../src/limits/concurrency-limit.js';

/*
 * A client with a concurrency limit before a server whose capacity changes, as a discrete-event simulation: no clock, no
 * timer, and chance only from a seed.
 *
 * Calls arrive at random (Poisson), faster than the server can serve; what finds the limit reached waits at the client, in
 * a short queue of its own (what finds that full is dropped and in no figure). Service times are lognormal.
 */

/** Queues silently, first in first out; or sheds at once what finds the slots and a short queue full. */
export type ServerKind = 'silent' | 'shedding';

export interface Phase {
  readonly slots: number;
  readonly forMs: number;
  /** Mean service time, ms. Default 50. */
  readonly serviceMs?: number;
  /** Calls offered a second. Default 1,200. */
  readonly offered?: number;
}

export interface SimulationOptions {
  readonly kind: ServerKind;
  readonly phases: readonly Phase[];
  readonly seed: number;
  /** Spread of the service times: standard deviation of their logarithm. Default 0.5. */
  readonly sigma?: number;
  /** Share of calls that the server answers with an error of its own, after the usual time. Default 0. */
  readonly failures?: number;
}

interface Call {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly verdict: LimitSample['verdict'];
}

export interface Trace {
  readonly calls: readonly Call[];
  /** The limit from then on. */
  readonly limits: readonly (readonly [atMs: number, limit: number])[];
}

/** A server that sheds answers so fast. */
const SHED_MS = 5;
/** Before it sheds, it queues this part of its slots. */
const SHORT_QUEUE = 1 / 5;
const CLIENT_QUEUE = 500;
const MEAN_MS = 50;
const OFFERED = 1_200;

/** mulberry32: uniform in 0 <= x < 1. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lognormal with mean 1. */
export function lognormal(random: () => number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(sigma * normal - sigma ** 2 / 2);
}

export function simulate(limit: ConcurrencyLimit, options: SimulationOptions): Trace {
  const { kind, phases, sigma = 0.5, failures = 0 } = options;
  // A stream of chance for each cause: all contestants then see the same arrivals.
  const arrivals = chance(options.seed);
  const services = chance(options.seed + 1);
  const fates = chance(options.seed + 2);

  const events = new Agenda();
  const calls: Call[] = [];
  const limits: [number, number][] = [[0, limit.initial]];
  let now = 0;
  let allowed = limit.initial;
  let inFlight = 0;
  let waiting = 0;
  let serving = 0;
  let phase: Phase = { slots: 0, forMs: 0 };
  const queue: { startedAt: number; inFlight: number }[] = [];
  let head = 0;

  const serve = (): void => {
    while (serving < phase.slots && head < queue.length) {
      const call = queue[head++] as (typeof queue)[number];
      serving++;
      const verdict = fates() < failures ? 'failure' : 'success';
      const ms = lognormal(services, sigma) * (phase.serviceMs ?? MEAN_MS);
      events.add(now + ms, () => {
        serving--;
        serve();
        end(call, verdict);
      });
    }
  };
  const send = (): void => {
    while (waiting > 0 && inFlight < allowed) {
      waiting--;
      inFlight++;
      const call = { startedAt: now, inFlight };
      const room = phase.slots + Math.ceil(phase.slots * SHORT_QUEUE);
      if (kind === 'shedding' && serving + queue.length - head >= room) {
        events.add(now + SHED_MS, () => end(call, 'overload'));
      } else {
        queue.push(call);
        serve();
      }
    }
  };
  const end = (call: { startedAt: number; inFlight: number }, verdict: LimitSample['verdict']): void => {
    inFlight--;
    calls.push({ startedAt: call.startedAt, endedAt: now, verdict });
    const next = limit.onSample({ runMs: now - call.startedAt, inFlight: call.inFlight, verdict, atMs: now });
    if (next !== allowed) limits.push([now, next]);
    allowed = next;
    send();
  };
  let isArriving = false;
  const arrive = (): void => {
    const { offered = OFFERED } = phase;
    isArriving = offered > 0;
    if (!isArriving) return;
    if (waiting < CLIENT_QUEUE) waiting++;
    send();
    events.add(now - Math.log(1 - arrivals()) * (1_000 / offered), arrive);
  };

  let begins = 0;
  for (const each of phases) {
    events.add(begins, () => {
      phase = each;
      serve();
      if (!isArriving) arrive();
    });
    begins += each.forMs;
  }
  for (;;) {
    const event = events.next();
    if (event === undefined || event.at >= begins) return { calls, limits };
    now = event.at;
    event.run();
  }
}

interface Event {
  readonly at: number;
  readonly run: () => void;
}

/** A binary heap; events of one instant in the order they were added is not promised, and chance decides on none. */
class Agenda {
  readonly #heap: Event[] = [];

  add(at: number, run: () => void): void {
    const heap = this.#heap;
    let i = heap.length;
    const event = { at, run };
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Event;
      if (above.at <= at) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  next(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || first === last) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Event).at < (heap[child] as Event).at) child++;
      const below = heap[child] as Event;
      if (below.at >= last.at) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}
