import { vi } from 'vitest';
import { type BackgroundHooks, BackgroundTasks } from '../../src/background/index.js';
import { type BreakerHooks, CircuitBreaker } from '../../src/breaker/index.js';
import { type CoalescerHooks, RequestCoalescer } from '../../src/coalescer/index.js';
import { RateLimiter, type RateLimiterHooks } from '../../src/limits/index.js';
import { type PoolHooks, PromisePool } from '../../src/pool/index.js';
import { type RetryHooks, retryWithBackoff } from '../../src/retry/index.js';

type AnyHooks = Record<string, (event: never) => unknown>;

/** What carries metrics and hooks, and a life of it that tells every hook something. Under fake timers. */
export interface Primitive {
  readonly kind: string;
  /** Each name of its hooks. */
  readonly hooks: readonly string[];
  /** All that callers can see of it: outcomes, and counters at the end. */
  readonly live: (hooks: AnyHooks | undefined) => Promise<unknown>;
}

/** All names of `H`: one that is added to it, and not here, does not compile. */
const namesOf = <H>(names: Record<keyof Required<H>, true>): readonly string[] => Object.keys(names);

/** What became of them, in order. */
class Outcomes {
  readonly #seen: Promise<unknown>[] = [];

  add(...promises: readonly Promise<unknown>[]): void {
    for (const promise of promises) {
      this.#seen.push(
        promise.then(
          (value) => ({ value }),
          (error: unknown) => ({ error: error instanceof Error ? `${error.name}: ${error.message}` : error }),
        ),
      );
    }
  }

  all(): Promise<unknown[]> {
    return Promise.all(this.#seen);
  }
}

const after = (ms: number, value?: unknown) => () => new Promise((resolve) => setTimeout(resolve, ms, value));
const never = () => new Promise<never>(() => {});

const pool: Primitive = {
  kind: 'pool',
  hooks: namesOf<PoolHooks>({
    onQueue: true,
    onStart: true,
    onSettle: true,
    onRefuse: true,
    onOverdue: true,
    onAbandon: true,
    onIdle: true,
    onLimitChange: true,
  }),
  async live(hooks) {
    const subject = new PromisePool({ name: 'p', concurrency: 1, maxQueue: 2, abortGrace: 50, hooks });
    const control = new AbortController();
    const calls = new Outcomes();
    calls.add(
      subject.execute(after(10, 'first')),
      subject.execute(after(10), { signal: control.signal }),
      subject.execute(() => Promise.reject(0)),
      subject.execute(after(10)),
    );
    control.abort('left');
    await vi.advanceTimersByTimeAsync(100);
    subject.concurrency = 2;
    calls.add(
      subject.execute(never, { timeout: 20 }),
      subject.map([1, 2], async (i) => i),
    );
    await vi.advanceTimersByTimeAsync(100);
    calls.add(subject.execute(after(10)), subject.onIdle());
    const closed = subject.close({ grace: 5, abortGrace: 50 });
    await vi.advanceTimersByTimeAsync(100);
    return { outcomes: await calls.all(), report: await closed, metrics: subject.getMetrics() };
  },
};

const coalescer: Primitive = {
  kind: 'coalescer',
  hooks: namesOf<CoalescerHooks>({
    onHit: true,
    onCoalesce: true,
    onLoadStart: true,
    onLoadEnd: true,
    onEvict: true,
  }),
  async live(hooks) {
    const subject = new RequestCoalescer<unknown, string>({
      name: 'c',
      ttl: 100,
      staleTtl: 100,
      maxEntries: 1,
      loadTimeout: 50,
      hooks,
    });
    const control = new AbortController();
    const calls = new Outcomes();
    calls.add(
      subject.execute('a', after(10, 'one')),
      subject.execute('a', never),
      subject.execute('gone', never, { signal: control.signal }),
      subject.execute('slow', never),
    );
    control.abort('left');
    await vi.advanceTimersByTimeAsync(100);
    calls.add(subject.execute('a', never));
    await vi.advanceTimersByTimeAsync(50);
    calls.add(subject.execute('a', after(10, 'two')));
    await vi.advanceTimersByTimeAsync(50);
    calls.add(
      subject.execute('b', () => 'evicts'),
      subject.execute('c', () => Promise.reject('no')),
    );
    await vi.advanceTimersByTimeAsync(50);
    const closed = subject.close({ grace: 0, abortGrace: 0 });
    calls.add(subject.execute('late', never));
    await vi.advanceTimersByTimeAsync(10);
    return { outcomes: await calls.all(), report: await closed, metrics: subject.getMetrics() };
  },
};

const retry: Primitive = {
  kind: 'retry',
  hooks: namesOf<RetryHooks>({ onRetry: true, onGiveUp: true }),
  async live(hooks) {
    const rules = { maxAttempts: 3, baseDelay: 10, jitter: 'none', hooks } as const;
    const control = new AbortController();
    let failures = 0;
    const fail = (reason: unknown) => {
      failures++;
      return Promise.reject(reason);
    };
    const calls = new Outcomes();
    calls.add(
      retryWithBackoff(({ attempt }) => (attempt < 3 ? fail(new Error('down')) : 'up'), rules),
      retryWithBackoff(() => fail(undefined), rules),
      retryWithBackoff(() => fail(new Error('down')), { ...rules, signal: control.signal }),
      retryWithBackoff(never, { ...rules, attemptTimeout: 5 }),
    );
    await vi.advanceTimersByTimeAsync(5);
    control.abort('left');
    await vi.advanceTimersByTimeAsync(1_000);
    return { outcomes: await calls.all(), failures };
  },
};

const rateLimiter: Primitive = {
  kind: 'rate-limiter',
  hooks: namesOf<RateLimiterHooks>({ onWait: true, onPause: true }),
  async live(hooks) {
    const subject = new RateLimiter({ name: 'l', limit: 2, interval: 100, maxWait: 500, hooks });
    const control = new AbortController();
    const startedAt: number[] = [];
    const begin = performance.now();
    const start = async (signal?: AbortSignal) => {
      const permit = await subject.acquire({ signal });
      permit.started();
      startedAt.push(performance.now() - begin);
      permit.release();
    };
    const calls = new Outcomes();
    for (let i = 0; i < 16; i++) calls.add(start(i === 5 ? control.signal : undefined));
    control.abort('left');
    await vi.advanceTimersByTimeAsync(150);
    subject.pauseFor(300);
    await vi.advanceTimersByTimeAsync(2_000);
    return { outcomes: await calls.all(), startedAt, metrics: subject.getMetrics() };
  },
};

const background: Primitive = {
  kind: 'background',
  hooks: namesOf<BackgroundHooks>({ onStart: true, onSettle: true }),
  async live(hooks) {
    const told: unknown[] = [];
    const subject = new BackgroundTasks({
      name: 'b',
      concurrency: 1,
      maxQueue: 3,
      onError: (error) => told.push(error instanceof Error ? error.name : error),
      hooks,
    });
    const control = new AbortController();
    const handles = [
      subject.run(after(10)),
      subject.run(() => Promise.reject(undefined)),
      subject.run(after(10), { signal: control.signal }),
      subject.run(never, { timeout: 20 }),
      subject.run(after(10)),
    ];
    control.abort('left');
    await vi.advanceTimersByTimeAsync(50);
    handles.push(subject.run(after(10)));
    const closed = subject.close({ grace: 10, abortGrace: 10 });
    await vi.advanceTimersByTimeAsync(100);
    const outcomes = await Promise.all(handles.map(({ done }) => done));
    return {
      outcomes: outcomes.map((outcome) => ({ ...outcome, reason: 'reason' in outcome && String(outcome.reason) })),
      told,
      report: await closed,
      metrics: subject.getMetrics(),
    };
  },
};

const breaker: Primitive = {
  kind: 'breaker',
  hooks: namesOf<BreakerHooks>({ onStateChange: true, onRefuse: true }),
  async live(hooks) {
    const subject = new CircuitBreaker({ name: 'k', minCalls: 2, openFor: 100, probeTimeout: 50, hooks });
    const calls = new Outcomes();
    const fail = () => Promise.reject(new Error('down'));
    calls.add(
      subject.execute(() => 'up'),
      subject.execute(fail),
      subject.execute(fail),
    );
    await vi.advanceTimersByTimeAsync(10);
    calls.add(subject.execute(never));
    await vi.advanceTimersByTimeAsync(100);
    calls.add(subject.execute(fail), subject.execute(never));
    await vi.advanceTimersByTimeAsync(100);
    calls.add(subject.execute(() => 'up again'));
    await vi.advanceTimersByTimeAsync(10);
    calls.add(subject.execute(() => 'closed'));
    return { outcomes: await calls.all(), state: subject.state, metrics: subject.getMetrics() };
  },
};

/** A new primitive gets its row here: the stream coalescer, the upstream. */
export const PRIMITIVES: readonly Primitive[] = [pool, coalescer, retry, rateLimiter, breaker, background];
