import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { CircuitBreaker } from '../../src/breaker/index.js';
import { type Metrics, MetricsRegistry, type MetricsSource } from '../../src/catalogue/index.js';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { RateLimiter } from '../../src/limits/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { RetryPolicy } from '../../src/retry/index.js';
import { property } from '../support/runs.js';
import { PRIMITIVES } from './primitives.js';

/** What may never reach a snapshot: keys, groups, values, messages and reasons are made of it. */
const SECRET = 'user-4711';

/** One step in the life of a primitive, of whatever kind. */
interface Step {
  readonly does: 'begin' | 'begin' | 'end' | 'abort' | 'clear' | 'turn' | 'wait' | 'jump';
  readonly pick: number;
  readonly how: 'value' | 'throw' | 'reject' | 'later' | 'late' | 'never';
  readonly ms: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  does: fc.constantFrom('begin', 'begin', 'begin', 'end', 'abort', 'clear', 'turn', 'wait', 'jump'),
  pick: fc.nat({ max: 5 }),
  how: fc.constantFrom('value', 'throw', 'reject', 'later', 'late', 'never'),
  ms: fc.oneof(fc.nat({ max: 200 }), fc.constantFrom(0, 1_000, 60_000, 1e9)),
});

const work = (how: Step['how'], ms: number) => (): unknown => {
  const error = new Error(SECRET);
  switch (how) {
    case 'value':
      return SECRET;
    case 'throw':
      throw error;
    case 'reject':
      return Promise.reject(error);
    case 'later':
      return new Promise((resolve) => setTimeout(resolve, ms % 1_000, SECRET));
    case 'late':
      return new Promise((_, reject) => setTimeout(reject, ms % 1_000, error));
    case 'never':
      return new Promise(() => {});
  }
};

interface Subject extends MetricsSource {
  /** Lives through a step that is not about time. */
  readonly step: (step: Step) => void;
}

type Made = (name: string) => Subject;

/** Every duration that any hook was told of. */
const durations: [string, unknown][] = [];
function keep(event: object): void {
  for (const [field, value] of Object.entries(event)) if (field.endsWith('Ms')) durations.push([field, value]);
}
/** Listens to everything. */
const hooks: object = new Proxy({}, { get: () => keep });

/** Steps of a kind, with signals to abort. */
function subject(source: MetricsSource, live: (step: Step, signal: AbortSignal) => unknown): Subject {
  let control = new AbortController();
  return {
    name: source.name,
    getMetrics: () => source.getMetrics(),
    step(next) {
      if (next.does === 'abort') {
        control.abort(new Error(SECRET));
        control = new AbortController();
      }
      const call = live(next, control.signal);
      if (call instanceof Promise) call.catch(() => {});
    },
  };
}

/** A new kind of snapshot gets its row here: the upstream, the stream coalescer. */
const made: Partial<Record<Metrics['kind'], Made>> = {
  pool(name) {
    const pool = new PromisePool({ name, concurrency: 2, maxQueue: 3, timeout: 500, abortGrace: 100, hooks });
    return subject(pool, ({ does, how, pick, ms }, signal) => {
      if (does === 'begin') {
        return pick === 5
          ? pool.map([1, 2, 3], work(how, ms), { group: SECRET, signal })
          : pool.execute(work(how, ms), { group: `${SECRET}-${pick}`, signal, queueTimeout: 1_000 });
      }
      if (does === 'clear') return pool.clear(new Error(SECRET));
      if (does === 'turn') {
        if (pick === 0) pool.pause();
        else if (pick === 1) pool.resume();
        else pool.concurrency = pick === 2 ? Number.POSITIVE_INFINITY : pick;
      }
      return undefined;
    });
  },
  coalescer(name) {
    const coalescer = new RequestCoalescer<unknown, string>({
      name,
      ttl: 100,
      staleTtl: 100,
      errorTtl: 50,
      maxEntries: 2,
      loadTimeout: 500,
      hooks,
    });
    return subject(coalescer, ({ does, how, pick, ms }, signal) => {
      const key = `${SECRET}-${pick}`;
      if (does === 'begin') return coalescer.execute(key, work(how, ms), { signal, fresh: ms % 7 === 0 });
      if (does === 'end') coalescer.forget(key, { abort: pick % 2 === 0 });
      if (does === 'turn') coalescer.set(key, SECRET);
      if (does === 'clear') coalescer.clear();
      return undefined;
    });
  },
  'rate-limiter'(name) {
    const limiter = new RateLimiter({ name, limit: 2, interval: 100, maxWait: 1_000, hooks });
    return subject(limiter, async ({ does, pick, ms }, signal) => {
      if (does === 'turn') limiter.pauseFor(ms);
      if (does !== 'begin') return;
      const permit = await limiter.acquire({ signal });
      if (pick > 0) permit.started();
      if (pick > 1) permit.release();
    });
  },
  retry(name) {
    const policy = new RetryPolicy({ name, maxAttempts: 3, baseDelay: 10, totalTimeout: 1_000, hooks });
    return subject(policy, ({ does, how, ms }, signal) =>
      does === 'begin' ? policy.execute(work(how, ms), { signal, attemptTimeout: 100 }) : undefined,
    );
  },
  breaker(name) {
    const breaker = new CircuitBreaker({ name, minCalls: 2, openFor: 100, probeTimeout: 100, hooks });
    return subject(breaker, ({ does, how, pick, ms }, signal) => {
      if (does === 'begin') return breaker.execute(work(how, ms), { signal });
      if (does === 'turn') breaker.forceOpen(pick === 0 ? undefined : ms);
      if (does === 'clear') breaker.reset();
      return undefined;
    });
  },
  background(name) {
    const group = new BackgroundTasks({
      name,
      concurrency: 2,
      maxQueue: 2,
      overflow: 'drop-oldest',
      hooks,
      onError: () => {},
    });
    const cancels: ((reason?: unknown) => void)[] = [];
    return subject(group, ({ does, how, pick, ms }, signal) => {
      if (does === 'begin') {
        cancels.push(
          group.run(work(how, ms), { name: SECRET, signal, timeout: 500, retry: { maxAttempts: 2 } }).cancel,
        );
      }
      if (does === 'end') cancels[pick]?.(new Error(SECRET));
      return undefined;
    });
  },
};

function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, each]) => leaves(each, `${path}.${key}`));
}

/** Adds to what the clock says, for good. */
let jump: (by: number) => void;
/** Lets the clock stand still: it still shows what it did. */
let freeze: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const real = performance.now.bind(performance);
  let offset = 0;
  let frozen: number | undefined;
  jump = (by) => {
    offset += by;
  };
  freeze = () => {
    frozen = real() + offset;
  };
  vi.spyOn(performance, 'now').mockImplementation(() => frozen ?? real() + offset);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe.each(Object.entries(made))('a snapshot of a %s', (kind, make) => {
  property([fc.string(), fc.array(step, { maxLength: 40, size: 'max' }), fc.constantFrom('true', 'frozen', 'jumps')])(
    // MET-07 (trigger.dev#2819, otel-js#5493): ids as labels. MET-14: clocks that step back (wall clocks) or stand still (workerd).
    'is safe for JSON, of fixed shape, never negative, and says nothing of keys, groups, names, values or messages, whatever the clock does',
    async (name, steps, clock) => {
      const subject = make(name);
      const shape = leaves(subject.getMetrics()).map(([path]) => path);
      if (clock === 'frozen') freeze();
      durations.length = 0;
      const pictures: [Metrics, string][] = [];
      for (const each of steps) {
        if (each.does === 'wait') await vi.advanceTimersByTimeAsync(Math.min(each.ms, 1_000));
        else if (each.does === 'jump') jump(clock === 'jumps' ? (each.pick % 2 === 0 ? -each.ms : each.ms) : 0);
        else subject.step(each);
        if (each.pick % 2 === 0) await vi.advanceTimersByTimeAsync(0);

        const metrics = subject.getMetrics();
        expect(metrics).toMatchObject({ kind, name });
        const json = JSON.stringify(metrics);
        // Strictly: neither undefined, nor NaN and Infinity, which become null, nor -0.
        expect(JSON.parse(json)).toStrictEqual(metrics);
        if (!name.includes(SECRET)) expect(json).not.toContain(SECRET);
        const found = leaves(metrics);
        expect(found.map(([path]) => path)).toEqual(shape);
        expect(found.filter(([, value]) => typeof value === 'number' && value < 0)).toEqual([]);
        // A clock that steps back may show in what hooks are told: it is no clock of ours.
        const least = clock === 'jumps' ? Number.NEGATIVE_INFINITY : 0;
        const isOdd = (value: unknown) => !(Number.isFinite(value) && (value as number) >= least);
        expect(durations.splice(0).filter(([, value]) => isOdd(value))).toEqual([]);
        pictures.push([metrics, json]);
      }
      // What a snapshot showed does not change.
      for (const [metrics, json] of pictures) expect(JSON.stringify(metrics)).toBe(json);
    },
  );
});

test('so is a snapshot of a registry that holds all of them', async () => {
  const registry = new MetricsRegistry();
  const subjects = Object.values(made).map((make, i) =>
    registry.add(make(['__proto__', 'constructor', '', 'ß'][i] ?? '')),
  );
  for (const subject of subjects) {
    for (const how of ['later', 'throw', 'never', 'value'] as const)
      subject.step({ does: 'begin', pick: 2, how, ms: 7 });
  }
  await vi.advanceTimersByTimeAsync(1_000);
  const snapshot = registry.snapshot();
  const json = JSON.stringify(snapshot);
  expect(JSON.parse(json)).toEqual(snapshot);
  expect(Object.values(snapshot).flatMap((each) => Object.keys(each))).toHaveLength(subjects.length);
  expect(json).not.toContain(SECRET);
});

// MET-13 (opossum#635, opossum-prometheus#65): entries of perf_hooks that nobody clears. MET-04, MET-05: events of EventTarget and
// diagnostics_channel, whose throwing subscribers end the process, and which not every runtime has.
test('nothing is written into the timeline of the runtime, and no events but aborts are dispatched', async () => {
  const timeline = [vi.spyOn(performance, 'mark'), vi.spyOn(performance, 'measure'), vi.spyOn(performance, 'timerify')];
  const dispatched = vi.spyOn(EventTarget.prototype, 'dispatchEvent');
  for (const { live } of PRIMITIVES) await live(undefined);
  expect(timeline.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0]);
  expect(new Set(dispatched.mock.calls.map(([event]) => event.type))).toEqual(new Set(['abort']));
});
