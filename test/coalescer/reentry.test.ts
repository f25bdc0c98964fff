import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { isPacelineError } from '../../src/index.js';
import { property } from '../support/runs.js';
import { expectIdentity, never, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Where functions of users run inside the coalescer. */
const SITES = [
  'load',
  'load, later',
  'signal of a load',
  'then',
  'getter of then',
  'ttl',
  'clone',
  'waitUntil',
  'match',
  'handler',
  'onHit',
  'onCoalesce',
  'onLoadStart',
  'onLoadEnd',
  'onEvict',
] as const;

/** What they may do there. */
const ACTIONS = [
  'throw',
  'abort one',
  'abort all',
  'execute',
  'execute with a signal',
  'execute fresh',
  'prefetch',
  'set',
  'forget',
  'forget and abort',
  'forget by match',
  'clear',
  'close',
] as const;

const LOADS = ['value', 'fails', 'later', 'fails later', 'never', 'thenable', 'not stored'] as const;
const KEYS = ['a', 'b', 'c'] as const;

const key = fc.constantFrom(...KEYS);
const ambush = fc.record({ site: fc.constantFrom(...SITES), action: fc.constantFrom(...ACTIONS), key });
const step = fc.record({
  // Without what ends everything at once.
  action: fc.constantFrom(...ACTIONS.filter((each) => each !== 'throw' && each !== 'close'), 'execute', 'wait', 'wait'),
  key,
  load: fc.constantFrom(...LOADS),
});
const settings = fc.record({
  ttl: fc.constantFrom(0, 5, 40),
  staleTtl: fc.constantFrom(0, 30),
  errorTtl: fc.constantFrom(0, 10),
  maxEntries: fc.constantFrom(1, 2, 100),
  whenOrphaned: fc.constantFrom('abort' as const, 'finish' as const),
  cloned: fc.boolean(),
});

// Laws: settlement, identity owns, the calls identity, nothing left behind; whatever user functions do, wherever they run.
// COAL-13 (query-core), COAL-22 (axios-cache-interceptor#685), COAL-23 (go#33519), COAL-32 (zio-cache#172), COAL-61.
property([
  settings,
  fc.array(ambush, { maxLength: 6, size: 'max' }),
  fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
])('user functions may do anything, wherever they run', async ({ ttl, cloned, ...options }, ambushes, steps) => {
  /** Counts up at everything that happens. */
  let tick = 0;
  let budget = 60;
  let isClosed = false;
  /** And what was set, as of the end of `set`. */
  const loads: { key: string; at: number }[] = [];
  const calls: { key: string; at: number; outcome?: { value: unknown } | { reason: unknown } }[] = [];
  /** From its begin to its end nobody can tell what still counts. */
  const invalidations: { key: string; begin: number; end: number }[] = [];
  const controllers: AbortController[] = [];
  const boom = new Error('boom');
  const left = new Error('left');

  const at = (site: (typeof SITES)[number]): void => {
    for (const each of ambushes) if (each.site === site && budget-- > 0) act(each.action, each.key, 'value');
  };
  const hook = (site: (typeof SITES)[number]) => () => at(site);
  const coalescer = new RequestCoalescer<unknown, string>({
    ...options,
    loadTimeout: 50,
    ttl: () => {
      at('ttl');
      return ttl;
    },
    clone: cloned
      ? (value) => {
          at('clone');
          return value;
        }
      : undefined,
    waitUntil: hook('waitUntil'),
    hooks: {
      onHit: hook('onHit'),
      onCoalesce: hook('onCoalesce'),
      onLoadStart: hook('onLoadStart'),
      onLoadEnd: hook('onLoadEnd'),
      onEvict: hook('onEvict'),
    },
  });

  const loader = (kind: (typeof LOADS)[number], of: string) => (context: { signal: AbortSignal; noStore(): void }) => {
    const value = loads.push({ key: of, at: ++tick }) - 1;
    context.signal.addEventListener('abort', () => {
      try {
        at('signal of a load');
      } catch (error) {
        // The platform would end the process for it.
        expect(error).toBe(boom);
      }
    });
    at('load');
    if (kind === 'not stored') context.noStore();
    if (kind === 'fails') throw boom;
    if (kind === 'never') return never();
    if (kind === 'value' || kind === 'not stored') return value;
    if (kind !== 'thenable') {
      return new Promise<unknown>((resolve) => setTimeout(resolve, 7)).then(() => {
        at('load, later');
        if (kind === 'fails later') throw boom;
        return value;
      });
    }
    return {
      // biome-ignore lint/suspicious/noThenProperty: what is tested
      get then() {
        at('getter of then');
        return (resolve: (value: unknown) => void) => {
          at('then');
          resolve(value);
        };
      },
    } as PromiseLike<unknown>;
  };

  const execute = (of: string, kind: (typeof LOADS)[number], signal: AbortSignal | undefined, fresh: boolean): void => {
    const call: (typeof calls)[number] = { key: of, at: ++tick };
    calls.push(call);
    coalescer
      .execute(of, loader(kind, of), { signal, fresh })
      .then(
        (value) => {
          call.outcome = { value };
          at('handler');
        },
        (reason) => {
          call.outcome ??= { reason };
          at('handler');
        },
      )
      .catch(() => {});
  };

  const invalidate = (keys: readonly string[], how: () => void): void => {
    const begin = ++tick;
    how();
    const end = ++tick;
    for (const each of keys) invalidations.push({ key: each, begin, end });
  };

  const act = (action: (typeof ACTIONS)[number], of: string, kind: (typeof LOADS)[number]): void => {
    if (action === 'throw') throw boom;
    else if (action === 'abort one') controllers.at(-1)?.abort(left);
    else if (action === 'abort all') for (const each of controllers) each.abort(left);
    else if (action === 'execute') execute(of, kind, undefined, false);
    else if (action === 'execute fresh') execute(of, kind, undefined, true);
    else if (action === 'execute with a signal') {
      // Every second one shares its signal.
      if (controllers.length === 0 || tick % 2) controllers.push(new AbortController());
      execute(of, kind, controllers.at(-1)?.signal, false);
    } else if (action === 'prefetch') coalescer.prefetch(of, loader(kind, of));
    else if (action === 'forget') invalidate([of], () => coalescer.forget(of));
    else if (action === 'forget and abort') invalidate([of], () => coalescer.forget(of, { abort: true }));
    else if (action === 'clear') invalidate(KEYS, () => coalescer.clear());
    else if (action === 'close') {
      isClosed = true;
      void coalescer.close({ grace: tick % 2 ? 0 : 20, reason: left });
    } else if (action === 'set') {
      const value = { key: of, at: 0 };
      try {
        invalidate([of], () => coalescer.set(of, loads.push(value) - 1));
        value.at = tick;
      } catch (error) {
        // No ttl, closed, or what `ttl` and `clone` threw: nothing was stored.
        if (error !== boom && !(error instanceof TypeError) && !isPacelineError(error)) throw error;
      }
    } else {
      const match = (each: string): boolean => {
        at('match');
        return each === of;
      };
      try {
        invalidate([of], () => coalescer.forget(match, { abort: true }));
      } catch (error) {
        if (error !== boom) throw error;
      }
    }
    expectIdentity(coalescer);
  };

  for (const { action, key: of, load } of steps) {
    if (action === 'wait') await vi.advanceTimersByTimeAsync(6);
    else {
      try {
        act(action, of, load);
      } catch (error) {
        // From a `clone` of `set`, or a predicate.
        expect(error).toBe(boom);
      }
    }
    await turn();
    expectIdentity(coalescer);
    if (isClosed) expect(coalescer.getMetrics().entries).toBe(0);
  }
  await vi.advanceTimersByTimeAsync(10_000);

  for (const { key: of, at: time, outcome } of calls) {
    if (outcome === undefined) expect.fail(`a call of ${of} is pending`);
    if ('reason' in outcome) {
      const { reason } = outcome;
      const isOurs = isPacelineError(reason) || (reason as Error).name === 'AbortError';
      if (!isOurs) expect([boom, left]).toContain(reason);
      continue;
    }
    const load = loads[outcome.value as number];
    if (load?.key !== of) expect.fail('a value of another key');
    for (const { key: dropped, begin, end } of invalidations) {
      if (dropped === of && load.at < begin && end < time) expect.fail('a value from before an invalidation');
    }
  }
  const { inFlight, entries } = coalescer.getMetrics();
  expect([inFlight, entries]).toEqual([0, 0]);
  expect(vi.getTimerCount()).toBe(0);
  for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toEqual([]);
});
