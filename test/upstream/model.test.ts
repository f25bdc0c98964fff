import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { CircuitBreaker } from '../../src/breaker/index.js';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { RetryPolicy } from '../../src/retry/index.js';
import { WatchedSignal } from '../../src/testing/watched-signal.js';
import { Upstream, type UpstreamOptions } from '../../src/upstream/index.js';
import { property } from '../support/runs.js';
import { advance, httpError, later, turns } from './support.js';

/** What a task does: `listen` and `deaf` last for ever, but the one ends when its signal aborts. */
const works = ['resolve', 'reject', 'throw', 'thenable', 'listen', 'deaf'] as const;
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const ms = fc.integer({ min: 0, max: 60 });
const part = fc.constantFrom('off', 'own', 'given');

const layers = fc.record({
  coalesce: part,
  ttl: fc.constantFrom(0, 25),
  whenOrphaned: fc.constantFrom('abort' as const, 'finish' as const),
  retry: part,
  attemptTimeout: maybe(fc.integer({ min: 1, max: 40 })),
  breaker: part,
  pool: part,
  concurrency: fc.integer({ min: 1, max: 3 }),
  isPatient: fc.boolean(),
  maxQueue: fc.constantFrom(Number.POSITIVE_INFINITY, 0, 2),
  rate: maybe(fc.record({ limit: fc.integer({ min: 1, max: 4 }), interval: fc.integer({ min: 5, max: 40 }) })),
  timeout: maybe(fc.integer({ min: 1, max: 40 })),
  totalTimeout: maybe(fc.integer({ min: 1, max: 100 })),
});
type Layers = typeof layers extends fc.Arbitrary<infer L> ? L : never;

const request = {
  key: maybe(fc.constantFrom('a', 'b')),
  group: maybe(fc.constantFrom('x', 'y')),
  abortAfter: maybe(fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY))),
  totalTimeout: maybe(fc.constantFrom(0, 10, 50)),
  timeout: maybe(fc.constantFrom(5, 30)),
  queueTimeout: maybe(fc.constantFrom(0, 10, 50)),
};
/** What it does before, inside the call that it serves. */
const firsts = fc.oneof(
  { arbitrary: fc.constant('nothing' as const), weight: 20 },
  { arbitrary: fc.constantFrom('close' as const, 'leave' as const), weight: 1 },
);
const execute = fc.record({
  kind: fc.constant('execute' as const),
  ...request,
  /** One for each attempt; the last is for all that follow. */
  works: fc.array(
    fc.record({ as: fc.constantFrom(...works), first: firsts, after: ms, status: fc.constantFrom(400, 429, 500, 503) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
});
const stream = fc.record({
  kind: fc.constant('stream' as const),
  ...request,
  chunks: fc.integer({ min: 0, max: 4 }),
  gap: fc.integer({ min: 0, max: 30 }),
  /** How it goes on after its chunks. */
  end: fc.constantFrom('done', 'throw', 'listen', 'deaf'),
  failures: fc.integer({ min: 0, max: 2 }),
  pause: fc.integer({ min: 0, max: 40 }),
  leaveAfter: maybe(fc.integer({ min: 0, max: 3 })),
});
const advances = fc.record({ kind: fc.constant('advance' as const), by: ms });
const closes = fc.record({
  kind: fc.constant('close' as const),
  grace: fc.constantFrom(0, 20, 200),
  abortGrace: fc.constantFrom(0, 30),
  reason: fc.constantFrom(undefined, 'bye'),
});
const steps = fc.array(
  fc.oneof(
    { arbitrary: execute, weight: 6 },
    { arbitrary: stream, weight: 4 },
    { arbitrary: advances, weight: 5 },
    { arbitrary: closes, weight: 1 },
  ),
  { minLength: 1, maxLength: 14 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

const ABORT_GRACE = 20;

/** One caller, and what may not be true of it. */
interface Caller {
  readonly key: string | undefined;
  readonly isStream: boolean;
  readonly watched: WatchedSignal | undefined;
  readonly isNewcomer: boolean;
  isTold: boolean;
}

class World {
  readonly upstream: Upstream;
  readonly given: { readonly pool: PromisePool | undefined; readonly coalescer: RequestCoalescer | undefined };
  readonly pool: PromisePool | undefined;
  readonly callers: Caller[] = [];
  readonly broken: string[] = [];
  /** Errors that came from a task. */
  readonly thrown = new Set<unknown>();
  readonly reports: Promise<unknown>[] = [];
  readonly #limit: number;
  /** Tasks and streams that were entered and have not ended. */
  live = 0;
  liveStreams = 0;
  cutAt = Number.POSITIVE_INFINITY;
  isClosed = false;
  #values = 0;

  constructor(given: Layers) {
    const { coalesce, retry, breaker, pool, timeout, totalTimeout, concurrency, maxQueue, rate, attemptTimeout } =
      given;
    const coalescing = { ttl: given.ttl, whenOrphaned: given.whenOrphaned };
    const rules = { maxAttempts: 3, baseDelay: 4, jitter: 'none' as const };
    const breaking = { consecutiveFailures: 3, openFor: 30 };
    const limits = { concurrency, maxQueue, rateLimit: rate, abortGrace: given.isPatient ? undefined : ABORT_GRACE };
    const pick = <O, P>(as: string, own: O, make: () => P): O | P | undefined =>
      as === 'off' ? undefined : as === 'own' ? own : make();
    const options = {
      name: 'api',
      coalesce: pick(coalesce, coalescing, () => new RequestCoalescer(coalescing)),
      retry: pick(retry, rules, () => new RetryPolicy({ ...rules, attemptTimeout })),
      breaker: pick(breaker, breaking, () => new CircuitBreaker(breaking)),
      pool: pick(pool, limits, () => new PromisePool(limits)),
      timeout,
      totalTimeout,
    } satisfies UpstreamOptions;
    this.upstream = new Upstream(options);
    this.pool = this.upstream.pool;
    this.given = {
      pool: pool === 'given' ? this.pool : undefined,
      coalescer: coalesce === 'given' ? this.upstream.coalescer : undefined,
    };
    this.#limit = pool === 'off' ? Number.POSITIVE_INFINITY : concurrency;
    this.hasCoalescer = coalesce !== 'off';
  }

  readonly hasCoalescer: boolean;

  take(step: Step): void {
    if (step.kind === 'execute') this.#execute(step);
    else if (step.kind === 'stream') void this.#read(step);
    else if (step.kind === 'close') this.close(step);
  }

  close({ grace, abortGrace, reason }: { grace: number; abortGrace: number; reason?: unknown }): void {
    this.isClosed = true;
    this.cutAt = Math.min(this.cutAt, performance.now() + grace);
    const waiting = this.callers.filter(({ isTold }) => !isTold).length;
    const live = this.live;
    const isFirst = this.reports.length === 0;
    const report = this.upstream.close({ grace, abortGrace, reason });
    this.reports.push(report);
    void report.then((told) => {
      const { clean, finished, aborted, refused, left } = told;
      this.#law('clean says what it means', clean === (aborted + refused + left.length === 0));
      if (!isFirst) return;
      this.#law('what is left runs', left.length <= this.live);
      this.#law(
        'no more calls are reported than there were',
        this.finishesOrphans || finished + aborted + refused <= waiting + live,
      );
    });
  }

  #law(name: string, holds: boolean): void {
    if (!holds) this.broken.push(name);
  }

  /** What holds at every turn. */
  check(): void {
    const metrics = this.upstream.getMetrics();
    const { calls, inFlight, fulfilled, failed, aborted, refused } = metrics;
    this.#law('identity of the calls', calls === inFlight + fulfilled + failed + aborted + refused);
    this.#law('nothing negative', Math.min(inFlight, fulfilled, failed, aborted, refused) >= 0);
    for (const part of [metrics.coalescer, metrics.streams]) {
      if (part === undefined) continue;
      const { hits, staleHits, errorHits, coalesced, loads } = part;
      this.#law(
        'identity of a coalescer',
        part.calls === hits + staleHits + errorHits + coalesced + loads + part.refused,
      );
    }
    const { pool } = metrics;
    if (pool !== undefined) {
      const { running, overdue, queued, timedOut, abandoned } = pool;
      const all = running - overdue + queued + pool.fulfilled + pool.failed + timedOut + pool.aborted + pool.refused;
      this.#law('identity of the pool', pool.calls === all);
      this.#law('the limit', running <= this.#limit);
      // Each runs in a slot of its own until that was given up, which is not counted for streams.
      this.#law('a slot for each task', this.live - this.liveStreams <= running + abandoned);
    }
  }

  #begin({ key, abortAfter }: Extract<Step, { kind: 'execute' | 'stream' }>, isStream: boolean): Caller {
    const watched = abortAfter === undefined ? undefined : new WatchedSignal();
    if (watched !== undefined) {
      if (abortAfter === 0) watched.abort('left');
      else if (abortAfter !== Number.POSITIVE_INFINITY) setTimeout(() => watched.abort('left'), abortAfter);
    }
    const sharedKey = this.hasCoalescer ? key : undefined;
    const caller: Caller = { key: sharedKey, isStream, watched, isNewcomer: this.isClosed, isTold: false };
    this.callers.push(caller);
    return caller;
  }

  #options(step: Extract<Step, { kind: 'execute' | 'stream' }>, { key, watched }: Caller) {
    const { group, totalTimeout, timeout, queueTimeout } = step;
    return { key, group, totalTimeout, timeout, queueTimeout, signal: watched?.signal };
  }

  /** Somebody must still want what begins now. */
  #entered(caller: Caller, finishes: boolean): void {
    this.live++;
    this.#law(
      'nothing is entered after the abort',
      caller.key !== undefined || caller.watched?.signal.aborted !== true,
    );
    this.#law(
      'nothing is entered for nobody',
      finishes ||
        this.callers.some(
          (other) =>
            !other.isTold &&
            other.key === caller.key &&
            other.isStream === caller.isStream &&
            (caller.key !== undefined || other === caller),
        ),
    );
    this.#law('nothing is entered after the end of a close', performance.now() <= this.cutAt);
  }

  #told(caller: Caller, error: unknown): void {
    caller.isTold = true;
    const { signal } = caller.watched ?? {};
    if (signal?.aborted === true && error === signal.reason) return;
    if (this.thrown.has(error)) return;
    const { code } = (error ?? {}) as { code?: string };
    if (code === 'CLOSED' || (error === 'bye' && this.isClosed)) {
      this.#law('who was accepted has the grace', caller.isNewcomer || performance.now() >= this.cutAt);
      return;
    }
    const known = ['TIMEOUT', 'QUEUE_FULL', 'QUEUE_TIMEOUT', 'RATE_LIMITED', 'CIRCUIT_OPEN', 'READER_BEHIND'];
    this.#law(`an error that nobody threw: ${String(error)}`, known.includes(code ?? ''));
  }

  #execute(step: Extract<Step, { kind: 'execute' }>): void {
    const caller = this.#begin(step, false);
    let attempts = 0;
    const value = ++this.#values;
    const finishes = this.upstream.coalescer !== undefined && caller.key !== undefined;
    const isRefused = this.isClosed;
    const task = ({ signal, attempt }: { signal: AbortSignal; attempt: number }): PromiseLike<number> => {
      attempts++;
      this.#law('attempts are numbered', attempt >= attempts);
      this.#law('its signal is not aborted at entry', !signal.aborted);
      this.#entered(caller, finishes && this.finishesOrphans);
      const { as, first, after, status } = step.works[
        Math.min(attempts, step.works.length) - 1
      ] as (typeof step.works)[number];
      const exit = (): void => {
        this.live--;
      };
      const fail = (): unknown => {
        const error = httpError(status, status === 429 ? '0' : undefined);
        this.thrown.add(error);
        return error;
      };
      if (first === 'close') this.close({ grace: 0, abortGrace: 10 });
      if (first === 'leave') caller.watched?.abort('left');
      if (as === 'throw') {
        exit();
        throw fail();
      }
      const promise = new Promise<number>((resolve, reject) => {
        if (as === 'listen') signal.addEventListener('abort', () => reject(signal.reason));
        if (as === 'listen' || as === 'deaf') return;
        void later(after).then(() => (as === 'reject' ? reject(fail()) : resolve(value)));
      });
      promise.then(exit, exit);
      // biome-ignore lint/suspicious/noThenProperty: it is to be one.
      return as === 'thenable' ? { then: (ok, no) => promise.then(ok, no) } : promise;
    };
    this.upstream.execute(task as never, this.#options(step, caller)).then(
      (got) => {
        caller.isTold = true;
        this.#law('the value is of the call', caller.key !== undefined || got === value);
        this.#law('nothing is answered after close', !isRefused);
      },
      (error: unknown) => this.#told(caller, error),
    );
  }

  finishesOrphans = false;

  async #read(step: Extract<Step, { kind: 'stream' }>): Promise<void> {
    const caller = this.#begin(step, true);
    const { chunks, gap, end, failures, pause, leaveAfter } = step;
    let opened = 0;
    const world = this;
    const open = async function* ({ signal, attempt }: { signal: AbortSignal; attempt: number }) {
      opened++;
      world.#law('attempts of a stream are numbered', attempt >= opened);
      world.#entered(caller, caller.key !== undefined && world.finishesOrphans);
      world.liveStreams++;
      try {
        if (opened <= failures) {
          const error = httpError(503);
          world.thrown.add(error);
          throw error;
        }
        for (let i = 0; i < chunks; i++) {
          if (gap > 0) await later(gap);
          yield i;
        }
        if (end === 'throw') {
          const error = httpError(500);
          world.thrown.add(error);
          throw error;
        }
        if (end !== 'done') {
          await new Promise((_, reject) => {
            if (end === 'listen') signal.addEventListener('abort', () => reject(signal.reason));
          });
        }
      } finally {
        world.live--;
        world.liveStreams--;
      }
    };
    const reader = this.upstream.stream(open, this.#options(step, caller));
    let seen = 0;
    try {
      for (;;) {
        if (seen === leaveAfter) {
          // May wait for an upstream that closes: it is told all the same.
          caller.isTold = true;
          await reader.return();
          break;
        }
        const next = await reader.next();
        if (next.done === true) break;
        this.#law('chunks in order, from the first', next.value === seen);
        seen++;
        if (pause > 0) await later(pause);
      }
      caller.isTold = true;
    } catch (error) {
      this.#told(caller, error);
      this.#law('after its end it is done', (await reader.next()).done === true);
    }
  }
}

let unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
const realTurn = setImmediate;

beforeEach(() => {
  vi.useFakeTimers();
  unhandled = [];
  process.on('unhandledRejection', onUnhandled);
});
afterEach(() => {
  process.off('unhandledRejection', onUnhandled);
  vi.useRealTimers();
});

property([layers, steps])(
  'layers of any kind: limits, identities, settlement, and nothing left behind',
  async (given, script) => {
    const world = new World(given);
    world.finishesOrphans = given.whenOrphaned === 'finish';
    for (const step of script) {
      world.take(step);
      world.check();
      if (step.kind !== 'advance') continue;
      for (let left = step.by; left > 0; left -= 5) {
        await advance(Math.min(5, left));
        world.check();
      }
    }
    await turns();
    world.check();
    expect(world.broken).toEqual([]);

    world.close({ grace: 50, abortGrace: 100 });
    await advance(200);
    world.check();
    await turns(60);
    expect({
      inFlight: world.upstream.getMetrics().inFlight,
      untold: world.callers.filter(({ isTold }) => !isTold).map(({ isStream, key }) => ({ isStream, key })),
    }).toEqual({ inFlight: 0, untold: [] });
    await advance(5_000);
    world.check();
    const reports = await Promise.all(world.reports.map((report) => Promise.race([report, turns(60)])));
    for (const report of reports) expect(report).toBe(reports.at(-1));
    expect(reports.at(-1)).toBeDefined();
    expect(world.broken).toEqual([]);

    // What ignores its signal in a slot without a bound keeps it; nothing else does.
    const { pool } = world;
    if (pool !== undefined) expect(pool.running).toBeLessThanOrEqual(world.live);
    if (!given.isPatient)
      expect(pool?.running ?? 0).toBeLessThanOrEqual(given.timeout === undefined ? world.liveStreams : 0);
    expect(pool?.queued ?? 0).toBe(0);
    world.given.coalescer?.clear();
    await advance(100_000);
    expect(vi.getTimerCount()).toBe(0);
    for (const { watched } of world.callers) expect(watched?.listeners ?? 0).toBe(0);
    await new Promise((resolve) => realTurn(resolve));
    expect(unhandled).toEqual([]);
  },
  180_000,
);
