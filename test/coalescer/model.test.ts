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

const KEYS = ['a', 'b', 'c'];
const key = fc.constantFrom('a', 'a', ...KEYS);
const fresh = fc.constantFrom(false, false, false, true);
/** Which of the latest: those of long ago have ended. */
const index = fc.nat({ max: 6 });

type Settle = 'fulfilled' | 'rejected' | 'not stored';
type Step =
  | { op: 'execute'; key: string; signal: 'none' | 'live' | 'aborted'; fresh: boolean }
  | { op: 'load'; key: string; how: Settle }
  | { op: 'prefetch'; key: string; fresh: boolean }
  | { op: 'abort'; call: number }
  | { op: 'settle'; load: number; how: Settle }
  | { op: 'forget'; key: string; abort: boolean }
  | { op: 'set'; key: string }
  | { op: 'clear' }
  | { op: 'turn' }
  | { op: 'advance'; ms: number };

const weighted: { [O in Step['op']]: [weight: number, rest: fc.Arbitrary<Omit<Extract<Step, { op: O }>, 'op'>>] } = {
  execute: [6, fc.record({ key, signal: fc.constantFrom('none', 'live', 'live', 'aborted'), fresh })],
  load: [6, fc.record({ key, how: fc.constantFrom('fulfilled', 'fulfilled', 'rejected', 'not stored') })],
  prefetch: [2, fc.record({ key, fresh })],
  abort: [3, fc.record({ call: index })],
  settle: [4, fc.record({ load: index, how: fc.constantFrom('fulfilled', 'rejected', 'not stored') })],
  forget: [1, fc.record({ key, abort: fc.boolean() })],
  set: [1, fc.record({ key })],
  clear: [1, fc.constant({})],
  turn: [6, fc.constant({})],
  advance: [3, fc.record({ ms: fc.constantFrom(1, 1, 5, 5, 10, 10, 25, 60, 1_000) })],
};
const step = fc.oneof(
  ...Object.entries(weighted).map(([op, [weight, rest]]) => ({
    weight,
    arbitrary: (rest as fc.Arbitrary<object>).map((each) => ({ op, ...each }) as Step),
  })),
);

const shown = (reason: unknown): string => {
  if (reason instanceof TimeoutError) return 'timeout';
  return (reason as { name?: string }).name === 'AbortError' ? 'forgotten' : String(reason);
};

/**
 * Runs the steps through both and compares at every turn. Until a `turn` or an `advance`, steps happen in one turn: what settles
 * in it lands at its end, in the order in which it was settled, whatever else happens in between.
 */
async function runBoth(settings: ModelOptions, steps: readonly Step[]): Promise<void> {
  const model = new Model(settings);
  const real = new RequestCoalescer<string, string>(settings);
  const upstream = manualUpstream<string>();
  const outcomes: (string | undefined)[] = [];
  const controllers: (AbortController | undefined)[] = [];
  /** By flight: what its load came to. They land in this order. */
  const settled = new Map<number, Settle>();
  const landing: number[] = [];

  const take = (at: Step): void => {
    if (at.op === 'execute') {
      model.execute(at.key, at.signal === 'aborted', at.fresh);
      const controller = at.signal === 'none' ? undefined : new AbortController();
      if (at.signal === 'aborted') controller?.abort('left');
      controllers.push(controller);
      const call = outcomes.push(undefined) - 1;
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
      take({ op: 'settle', load: 0, how: at.how });
    } else if (at.op === 'prefetch') {
      model.prefetch(at.key, at.fresh);
      real.prefetch(at.key, upstream.load, { fresh: at.fresh });
    } else if (at.op === 'abort') {
      const number = model.calls.length - 1 - at.call;
      const call = model.calls[number];
      if (!call || !controllers[number]) return;
      model.abort(call);
      controllers[number].abort('left');
    } else if (at.op === 'settle') {
      const number = model.flights.length - 1 - at.load;
      const load = upstream.loads[number];
      if (!load || settled.has(number)) return;
      settled.set(number, at.how);
      landing.push(number);
      if (at.how === 'not stored') load.context.noStore();
      if (at.how === 'rejected') load.reject(`error ${number}`);
      else load.resolve(`value ${number}`);
    } else if (at.op === 'forget') {
      expect(real.forget(at.key, { abort: at.abort })).toBe(model.forget(at.key, at.abort) ? 1 : 0);
    } else if (at.op === 'set') {
      const value = `set ${model.calls.length}`;
      if (settings.ttl === 0) expect(() => real.set(at.key, value)).toThrow(TypeError);
      else {
        model.set(at.key, value);
        real.set(at.key, value);
      }
    } else if (at.op === 'clear') {
      for (const each of KEYS) model.forget(each, false);
      real.clear();
    }
  };

  const land = async (): Promise<void> => {
    for (const number of landing.splice(0)) {
      const [flight, how] = [model.flights[number], settled.get(number)];
      if (flight && how) model.end(flight, how, `${how === 'rejected' ? 'error' : 'value'} ${number}`);
    }
    await turn();
  };

  const compare = (): void => {
    expect(outcomes).toEqual(model.calls.map(({ outcome, flight }) => outcome ?? flight?.outcome));
    expect(upstream.loads.map(({ signal }) => signal.aborted)).toEqual(
      model.flights.map(({ status }) => status === 'timeout' || status === 'aborted'),
    );
    const calls = (as: string) => model.calls.filter(({ servedAs }) => servedAs === as).length;
    const flights = (as: string) => model.flights.filter(({ cause, status }) => as === cause || as === status).length;
    expect(real.getMetrics()).toMatchObject({
      calls: model.calls.length,
      hits: calls('hits'),
      staleHits: calls('staleHits'),
      errorHits: calls('errorHits'),
      coalesced: calls('coalesced'),
      loads: calls('loads'),
      refused: calls('refused'),
      refreshes: flights('refreshes'),
      prefetches: flights('prefetches'),
      loadFailures: flights('rejected'),
      loadTimeouts: flights('timeout'),
      inFlight: flights('flying'),
      orphaned: model.flights.filter(({ orphaned }) => orphaned).length,
      evicted: model.evicted,
      entries: model.entries.size,
    });
    for (const each of KEYS) {
      const entry = model.entries.get(each);
      const state = entry && model.now < entry.staleAt ? 'fresh' : 'stale';
      const expected =
        entry && !entry.failed ? { value: entry.outcome, ageMs: model.now - entry.at, state } : undefined;
      expect(real.peek(each)).toEqual(expected);
    }
  };

  const advance = async (ms: number): Promise<void> => {
    model.advance(ms);
    await vi.advanceTimersByTimeAsync(ms);
  };

  for (const at of steps) {
    take(at);
    expectIdentity(real);
    if (at.op !== 'turn' && at.op !== 'advance') continue;
    await land();
    if (at.op === 'advance') await advance(at.ms);
    await turn();
    compare();
  }

  // Every promise settles, every listener and timer goes.
  await land();
  await advance(10_000);
  await turn();
  compare();
  expect(outcomes).not.toContain(undefined);
  for (const controller of controllers)
    if (controller) expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
}

// Five times as many as of other laws: they are short, and what is rare takes several steps.
const numRuns = 5 * Number(process.env.PACELINE_RUNS ?? 100);

// Laws: one flight per key, identity owns, interest, the calls identity, settlement; against a naive model.
property([options, fc.array(step, { maxLength: 80, size: 'max' })], { numRuns })(
  'does what the naive model does, whatever callers, loads and time do',
  runBoth,
);
