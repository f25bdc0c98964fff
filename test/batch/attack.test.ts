import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import { type BatchResult, batchAllSettled, streamSettled } from '../../src/batch/index.js';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { finish, never, turns, upTo, wait } from './support.js';

/*
 * Everything at once that can go wrong: work that hangs, is late, throws, heeds aborts or not; sources that are slow, throw, or hang when
 * closed; hooks that throw, abort or leave; pools that refuse and close. Whatever happens, a batch with a timeout ends, tells of each item
 * once, and leaves nothing behind.
 */

type Deed = 'value' | 'throw' | 'reject' | 'late' | 'slow' | 'heed' | 'hang' | 'abort' | 'leave' | 'close';

const attack = fc.record({
  deeds: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<Deed>('value', 'throw', 'reject', 'late', 'slow', 'heed', 'hang') },
      { weight: 1, arbitrary: fc.constantFrom<Deed>('abort', 'leave', 'close') },
    ),
    { maxLength: 15 },
  ),
  source: fc.constantFrom('array', 'sync', 'async', 'broken sync', 'broken async', 'stuck'),
  slowClose: fc.constantFrom(0, 30, Number.POSITIVE_INFINITY),
  concurrency: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  delay: fc.constantFrom(0, 0, 3),
  retries: fc.integer({ min: 1, max: 3 }),
  pool: fc.constantFrom('none', 'none', 'plain', 'small', 'remote-like'),
  progress: fc.constantFrom('none', 'throws', 'rejects', 'aborts', 'leaves'),
  abortAt: fc.option(fc.integer({ min: 0, max: 120 }), { nil: undefined }),
  leaveAfter: fc.option(fc.nat(6), { nil: undefined }),
  readEvery: fc.constantFrom(0, 0, 7),
  order: fc.constantFrom('input' as const, 'completion' as const),
  buffer: fc.option(fc.nat(5), { nil: undefined }),
});
type Attack = typeof attack extends fc.Arbitrary<infer A> ? A : never;

const TIMEOUT = 20;

/** The parts of one attack. */
function arm(plan: Attack) {
  const control = new AbortController();
  const pool =
    plan.pool === 'none'
      ? undefined
      : new PromisePool({ concurrency: 3, ...(plan.pool === 'small' ? { maxQueue: 0, concurrency: 1 } : {}) });
  // An executor of its own mind: it comes late, looks at no signal, and gives one of its own.
  const executor =
    plan.pool === 'remote-like'
      ? { execute: (task: (context: { signal: AbortSignal }) => unknown) => wait(2).then(() => task(control)) }
      : pool;
  const closed = { times: 0 };
  const state = { running: 0, most: 0, leave: () => {} };
  const count = plan.deeds.length;

  function* sync(): Generator<number> {
    try {
      yield* upTo(count);
      if (plan.source.startsWith('broken')) throw new Error('source');
    } finally {
      closed.times++;
    }
  }
  async function* later(): AsyncGenerator<number> {
    let isLeft = true;
    try {
      for (const i of sync()) {
        await wait(i % 3);
        yield i;
      }
      if (plan.source === 'stuck') await never();
      isLeft = false;
    } catch (error) {
      isLeft = false;
      throw error;
    } finally {
      if (isLeft && plan.slowClose > 0) await (plan.slowClose > 1_000 ? never() : wait(plan.slowClose));
    }
  }
  const isSync = plan.source === 'sync' || plan.source === 'broken sync';
  const items = plan.source === 'array' ? upTo(count) : isSync ? sync() : later();

  const work = async (i: number, { signal }: { signal: AbortSignal }) => {
    state.most = Math.max(state.most, ++state.running);
    try {
      switch (plan.deeds[i]) {
        case 'throw':
          throw Object.assign(new Error('upstream'), { status: 503 });
        case 'reject':
          return await Promise.reject(undefined);
        case 'late':
          return await wait(TIMEOUT + 5);
        case 'slow':
          return await wait(11);
        case 'heed':
          return await new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          });
        case 'hang':
          return await never();
        case 'abort':
          control.abort('deed');
          return i;
        case 'leave':
          state.leave();
          return i;
        case 'close':
          void pool?.close({ grace: 0 });
          return i;
        default:
          return i;
      }
    } finally {
      state.running--;
    }
  };
  const hooks: Record<Attack['progress'], () => unknown> = {
    none: () => {},
    throws: () => {
      throw new Error('hook');
    },
    rejects: () => Promise.reject(new Error('hook')),
    aborts: () => control.abort('hook'),
    leaves: () => state.leave(),
  };
  const options = {
    concurrency: plan.concurrency,
    delay: plan.delay,
    timeout: TIMEOUT,
    retry: { maxAttempts: plan.retries, baseDelay: 4 },
    signal: control.signal,
    pool: executor as never,
    onProgress: plan.progress === 'none' ? undefined : hooks[plan.progress],
  };
  const abortAt = plan.abortAt ?? (plan.source === 'stuck' ? 500 : undefined);
  if (abortAt !== undefined) void wait(abortAt).then(() => control.abort('time'));
  return { control, items, work, options, state, closed, count };
}

function expectResults(results: readonly BatchResult<number, unknown>[], retries: number): void {
  for (const { status, attempts, item, index } of results) {
    expect(item).toBe(index);
    expect(attempts).toBeLessThanOrEqual(retries);
    if (status === 'fulfilled') expect(attempts).toBeGreaterThan(0);
  }
}

describe('whatever happens', () => {
  const unhandled = vi.fn();
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(console, 'error').mockImplementation(() => {});
    unhandled.mockClear();
    process.on('unhandledRejection', unhandled);
  });
  afterEach(() => {
    process.off('unhandledRejection', unhandled);
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  async function expectNothingLeft(control: AbortController): Promise<void> {
    await finish(wait(5_000));
    await turns();
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(unhandled).not.toHaveBeenCalled();
  }

  property([attack])(
    'a batch with a timeout ends, tells of each item once, and leaves nothing behind',
    async (plan) => {
      const { control, items, work, options, state, count, closed } = arm(plan);
      const { results, stats, aborted } = await finish(batchAllSettled(items, work, options));
      expect(results.map(({ index }) => index)).toEqual(upTo(results.length));
      expect(results.length).toBeLessThanOrEqual(count);
      if (plan.source === 'array' || !aborted) expect(results).toHaveLength(count);
      expectResults(results, plan.retries);
      expect(stats.fulfilled + stats.rejected + stats.skipped).toBe(results.length);
      expect(closed.times).toBeLessThanOrEqual(1);
      if (stats.abandoned === 0 && plan.concurrency !== undefined)
        expect(state.most).toBeLessThanOrEqual(plan.concurrency);
      await expectNothingLeft(control);
    },
  );

  property([attack])('a stream too', async (plan) => {
    const { control, items, work, options, state, count, closed } = arm(plan);
    const stream = streamSettled(items, work, { ...options, order: plan.order, buffer: plan.buffer });
    let hasLeft = false;
    state.leave = () => {
      hasLeft = true;
      void stream.return(undefined);
    };
    const seen: BatchResult<number, unknown>[] = [];
    const reading = (async () => {
      for await (const result of stream) {
        seen.push(result);
        if (seen.length === plan.leaveAfter) {
          hasLeft = true;
          break;
        }
        if (plan.readEvery > 0) await wait(plan.readEvery);
      }
    })();
    await finish(reading);
    const results = [...seen].sort((a, b) => a.index - b.index);
    expect(new Set(results.map(({ index }) => index)).size).toBe(results.length);
    if (plan.order === 'input') expect(seen).toEqual(results);
    if (!hasLeft) {
      expect(results.map(({ index }) => index)).toEqual(upTo(results.length));
      if (plan.source === 'array' || !control.signal.aborted) expect(results).toHaveLength(count);
    }
    expectResults(results, plan.retries);
    expect(closed.times).toBeLessThanOrEqual(1);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    await expectNothingLeft(control);
  });
});
