import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import { property } from '../support/runs.js';
import { Model, type ModelOptions } from './model.js';
import { expectIdentity, manualUpstream, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const options: fc.Arbitrary<ModelOptions> = fc.record({
  ttl: fc.constantFrom(0, 10, 50, 10, 50, 2_000),
  errorTtl: fc.constantFrom(0, 0, 15),
  staleTtl: fc.constantFrom(0, 25, 3_000),
  maxEntries: fc.constantFrom(1, 2, 1_000),
  loadTimeout: fc.constantFrom(20, 60),
  whenOrphaned: fc.constantFrom('abort' as const, 'finish' as const),
});

const key = fc.constantFrom('a', 'b', 'c');
const index = fc.nat({ max: 40 });

type Step =
  | { op: 'execute'; key: string; signal: 'none' | 'live' | 'aborted'; fresh: boolean }
  | { op: 'load'; key: string; ok: boolean }
  | { op: 'prefetch'; key: string }
  | { op: 'abort'; call: number }
  | { op: 'settle'; load: number; ok: boolean }
  | { op: 'forget'; key: string; abort: boolean }
  | { op: 'set'; key: string }
  | { op: 'clear' }
  | { op: 'advance'; ms: number };

const execute = fc.record({
  op: fc.constant('execute' as const),
  key,
  signal: fc.constantFrom('none' as const, 'live' as const, 'live' as const, 'aborted' as const),
  fresh: fc.constantFrom(false, false, false, true),
});
const settle = fc.record({ op: fc.constant('settle' as const), load: index, ok: fc.boolean() });
const advance = fc.record({ op: fc.constant('advance' as const), ms: fc.constantFrom(1, 5, 10, 10, 25, 60, 1_000) });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: execute },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('load' as const), key, ok: fc.constantFrom(true, true, false) }),
  },
  { weight: 4, arbitrary: settle },
  { weight: 3, arbitrary: advance },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('abort' as const), call: index }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('prefetch' as const), key }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('forget' as const), key, abort: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('set' as const), key }) },
  { weight: 1, arbitrary: fc.constant({ op: 'clear' as const }) },
);

/** Runs the steps through both and compares after each. */
async function runBoth(settings: ModelOptions, steps: readonly Step[]): Promise<void> {
  const model = new Model(settings);
  const real = new RequestCoalescer<string, string>(settings);
  const upstream = manualUpstream<string>();
  const outcomes: string[] = [];
  const controllers: (AbortController | undefined)[] = [];
  const shown = (reason: unknown): string => {
    if (reason instanceof TimeoutError) return 'timeout';
    if ((reason as { name?: string }).name === 'AbortError') return 'forgotten';
    return String(reason);
  };

  const take = (at: Step): void => {
    if (at.op === 'execute') {
      model.execute(at.key, at.signal, at.fresh);
      const controller = at.signal === 'none' ? undefined : new AbortController();
      if (at.signal === 'aborted') controller?.abort('left');
      const call = outcomes.push('pending') - 1;
      controllers[call] = controller;
      real.execute(at.key, upstream.load, { signal: controller?.signal, fresh: at.fresh }).then(
        (value) => {
          outcomes[call] = value;
        },
        (reason: unknown) => {
          outcomes[call] = shown(reason);
        },
      );
    } else if (at.op === 'load') {
      // A call whose load, if it needs one, answers at once: else few values would ever be stored.
      take({ op: 'execute', key: at.key, signal: 'none', fresh: false });
      take({ op: 'settle', load: model.flights.length - 1, ok: at.ok });
    } else if (at.op === 'prefetch') {
      model.prefetch(at.key);
      real.prefetch(at.key, upstream.load);
    } else if (at.op === 'abort') {
      const call = at.call % Math.max(1, outcomes.length);
      model.abort(call);
      controllers[call]?.abort('left');
    } else if (at.op === 'settle') {
      if (model.flights.length === 0) return;
      const load = at.load % model.flights.length;
      const outcome = `${at.ok ? 'value' : 'error'} ${load}`;
      model.end(model.flights[load], at.ok ? 'fulfilled' : 'rejected', outcome);
      if (at.ok) upstream.nth(load).resolve(outcome);
      else upstream.nth(load).reject(outcome);
    } else if (at.op === 'forget') {
      expect(real.forget(at.key, { abort: at.abort })).toBe(model.forget(at.key, at.abort));
    } else if (at.op === 'set') {
      if (settings.ttl === 0) expect(() => real.set(at.key, 'set')).toThrow(TypeError);
      else {
        model.set(at.key, `set ${model.calls.length}`);
        real.set(at.key, `set ${model.calls.length}`);
      }
    } else if (at.op === 'clear') {
      for (const each of ['a', 'b', 'c']) model.forget(each, false);
      real.clear();
    }
  };

  const compare = (): void => {
    expectIdentity(real);
    expect(outcomes).toEqual(model.calls);
    expect(upstream.loads.length).toBe(model.flights.length);
    for (const [i, { status }] of model.flights.entries()) {
      expect(upstream.nth(i).signal.aborted).toBe(status === 'timeout' || status === 'aborted');
    }
    expect(real.getMetrics()).toMatchObject({
      ...model.count,
      ...model.ends,
      calls: model.calls.length,
      entries: model.entries.length,
      inFlight: model.flights.filter((flight) => flight.status === 'flying').length,
    });
    for (const each of ['a', 'b', 'c']) {
      const entry = model.entries.find((e) => e.key === each && !e.outcome.startsWith('error'));
      expect(real.peek(each)).toEqual(
        entry && {
          value: entry.outcome,
          ageMs: model.now - entry.at,
          state: model.now - entry.at < settings.ttl ? 'fresh' : 'stale',
        },
      );
    }
  };

  for (const at of steps) {
    take(at);
    if (at.op === 'advance') {
      model.advance(at.ms);
      await vi.advanceTimersByTimeAsync(at.ms);
    }
    await turn();
    compare();
  }

  // Every promise settles, every listener and timer goes.
  model.advance(100_000);
  await vi.advanceTimersByTimeAsync(100_000);
  await turn();
  compare();
  expect(outcomes).not.toContain('pending');
  for (const controller of controllers)
    if (controller) expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
}

// Laws: one flight per key, identity owns, interest, the calls identity, settlement; against a naive model.
property([options, fc.array(step, { maxLength: 60 })])(
  'does what the naive model does, whatever callers, loads and time do',
  runBoth,
);
