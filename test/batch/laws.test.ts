import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import {
  type BatchReport,
  batchAllSettled,
  type ChunkContext,
  chunkAllSettled,
  gatherAllSettled,
} from '../../src/batch/index.js';
import { property } from '../support/runs.js';
import { act, type Kind, kind, model, slowly, sourceKind, sourceOf } from './kinds.js';
import { finish, Gauge, oneByOne, upTo } from './support.js';

function expectSums({ results, stats, values, errors, ok, aborted }: BatchReport<unknown, unknown>): void {
  const count = (status: string): number => results.filter((result) => result.status === status).length;
  expect(results.map(({ index }) => index)).toEqual(upTo(results.length));
  expect(stats).toMatchObject({
    total: results.length,
    fulfilled: count('fulfilled'),
    rejected: count('rejected'),
    skipped: count('skipped'),
  });
  expect(values).toHaveLength(count('fulfilled'));
  expect(errors).toEqual(results.filter(({ status }) => status === 'rejected'));
  expect(JSON.parse(JSON.stringify(stats))).toEqual(stats);
  if (ok) expect([stats.fulfilled, aborted]).toEqual([results.length, false]);
}

describe('the laws of the batch', () => {
  property([fc.scheduler(), sourceKind, fc.integer({ min: 1, max: 6 }), fc.array(kind, { maxLength: 25 })])(
    'order, density, window and termination hold for any source, work and order of events',
    async (s, from, concurrency, items) => {
      const gauge = new Gauge();
      const started: number[] = [];
      const work = (item: Kind, { index, attempt }: { index: number; attempt: number }) => {
        expect(attempt).toBe(1);
        started.push(index);
        return gauge.around(() => act(item, index, () => s.schedule(Promise.resolve())));
      };
      const report = await s.waitFor(batchAllSettled(sourceOf(from, items, s), work, { concurrency }));

      expect(report.results).toEqual(items.map(model));
      expect(started).toEqual(upTo(items.length));
      expect(gauge.max).toBeLessThanOrEqual(concurrency);
      expect(report.stats).toMatchObject({ calls: items.length, retries: 0, splits: 0, abandoned: 0 });
      // The window sees an exit a microtask after the work does.
      expect(report.stats.peakInFlight).toBeGreaterThanOrEqual(gauge.max);
      expect(report.stats.peakInFlight).toBeLessThanOrEqual(concurrency);
      expect(report.aborted).toBe(false);
      expect('inputError' in report).toBe(false);
      expectSums(report);
    },
  );

  property([fc.scheduler(), sourceKind, fc.integer({ min: 1, max: 4 }), fc.array(kind, { maxLength: 15 }), fc.nat(20)])(
    'an abort at any moment ends it in that turn with what is known',
    async (s, from, concurrency, items, abortAfter) => {
      const control = new AbortController();
      const reason = { why: 'enough' };
      const entered = new Set<number>();
      let lateEntries = 0;
      const work = (item: Kind, { index }: { index: number }) => {
        if (control.signal.aborted) lateEntries++;
        entered.add(index);
        return act(item, index, () => s.schedule(Promise.resolve()));
      };
      let report: BatchReport<Kind, unknown> | undefined;
      const running = batchAllSettled(sourceOf(from, items, s), work, { concurrency, signal: control.signal });
      void running.then((settled) => {
        report = settled;
      });
      for (let i = 0; i < abortAfter && s.count() > 0; i++) await s.waitOne();
      const wasOver = report !== undefined;
      control.abort(reason);
      const { results, aborted, ok } = await s.waitFor(running);

      expect(lateEntries).toBe(0);
      if (wasOver) expect(aborted).toBe(false);
      if (aborted) expect(ok).toBe(false);
      if (from === 'array') expect(results).toHaveLength(items.length);
      for (const [index, result] of results.entries()) {
        const item = items[index] as Kind;
        if (result.status !== 'skipped') expect(result).toEqual(model(item, index));
        else expect(result).toEqual({ status: 'skipped', reason, item, index, attempts: entered.has(index) ? 1 : 0 });
      }
      expectSums({ ...(await running) });
      await s.waitAll();
    },
  );

  property([fc.scheduler(), fc.integer({ min: 1, max: 4 }), fc.array(kind, { maxLength: 12 }), fc.boolean()])(
    'a source that throws ends the intake; what it gave before is finished and kept',
    async (s, concurrency, items, isAsync) => {
      const inputError = Symbol('broken');
      function* quick(): Generator<Kind> {
        yield* items;
        throw inputError;
      }
      async function* slow(): AsyncGenerator<Kind> {
        yield* slowly(items, s);
        throw inputError;
      }
      const work = (item: Kind, { index }: { index: number }) => act(item, index, () => s.schedule(Promise.resolve()));
      const report = await s.waitFor(batchAllSettled(isAsync ? slow() : quick(), work, { concurrency }));
      expect(report.results).toEqual(items.map(model));
      expect(report).toMatchObject({ ok: false, aborted: false, inputError });
      expectSums(report);
    },
  );
});

describe('in time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Multiples of four; timeouts are odd, so that no two events of one item fall on the same moment. */
  const durations = fc.array(
    fc.integer({ min: 1, max: 25 }).map((n) => 4 * n),
    { maxLength: 25 },
  );
  const timeout = fc.option(
    fc.nat(50).map((n) => 2 * n + 1),
    { nil: Number.POSITIVE_INFINITY },
  );

  /** The naive window: whichever lane is free first takes the next item, but not before `delay` has passed. */
  function schedule(times: readonly number[], lanes: number, delay: number, limit: number) {
    const free = new Array<number>(lanes).fill(0);
    let gate = 0;
    return times.map((time) => {
      const lane = free.indexOf(Math.min(...free));
      const start = Math.max(free[lane] as number, gate);
      gate = start + delay;
      free[lane] = start + Math.min(time, 2 * limit);
      return { start, settled: start + Math.min(time, limit) };
    });
  }

  property([durations, fc.integer({ min: 1, max: 5 }), fc.constantFrom(0, 0, 4, 12, 40), timeout, fc.boolean()])(
    'every call starts exactly when the naive window starts it, timeouts and lost lanes included',
    async (times, concurrency, delay, limit, isArray) => {
      vi.clearAllTimers();
      const begin = performance.now();
      const starts: number[] = [];
      const work = (time: number) => {
        starts.push(performance.now() - begin);
        return new Promise<number>((resolve) => {
          setTimeout(() => resolve(time), time);
        });
      };
      const source = isArray ? times : oneByOne(times);
      const report = await finish(batchAllSettled(source, work, { concurrency, delay, timeout: limit }));

      const expected = schedule(times, concurrency, delay, limit);
      expect(starts).toEqual(expected.map(({ start }) => start));
      expect(report.results.map(({ status }) => status)).toEqual(
        times.map((time) => (time <= limit ? 'fulfilled' : 'rejected')),
      );
      const end = Math.max(0, ...expected.map(({ settled }) => settled));
      // What is read item by item is only known to have ended when a lane is free to ask.
      if (!isArray) return;
      expect(report.stats.durationMs).toBe(end);
      const isLost = (time: number, i: number): boolean =>
        time > 2 * limit && (expected[i] as { start: number }).start + 2 * limit < report.stats.durationMs;
      expect(report.stats.abandoned).toBe(times.filter(isLost).length);
    },
  );

  property([
    fc.array(fc.record({ failures: fc.nat(4), time: fc.nat(10) }), { maxLength: 15 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
  ])('each item is tried until it succeeds or has had its attempts', async (items, concurrency, maxAttempts) => {
    const gauge = new Gauge();
    const tries = items.map(() => 0);
    const work = (item: { failures: number; time: number }, { index, attempt }: { index: number; attempt: number }) =>
      gauge.around(async () => {
        expect(attempt).toBe((tries[index] as number) + 1);
        tries[index] = attempt;
        await new Promise((resolve) => {
          setTimeout(resolve, item.time);
        });
        if (attempt <= item.failures) throw new Error(`${index}/${attempt}`);
        return attempt;
      });
    const retry = { maxAttempts, baseDelay: 5, jitter: 'none' } as const;
    const report = await finish(batchAllSettled(items, work, { concurrency, retry }));

    const attempts = items.map(({ failures }) => Math.min(failures + 1, maxAttempts));
    expect(report.results.map((result) => result.attempts)).toEqual(attempts);
    expect(tries).toEqual(attempts);
    expect(gauge.max).toBeLessThanOrEqual(concurrency);
    const calls = attempts.reduce((sum, n) => sum + n, 0);
    expect(report.stats).toMatchObject({ calls, retries: calls - items.length });
    for (const [index, { failures }] of items.entries()) {
      const result = report.results[index];
      if (failures < maxAttempts) expect(result).toMatchObject({ status: 'fulfilled', value: failures + 1 });
      else expect(result).toMatchObject({ status: 'rejected', reason: new Error(`${index}/${maxAttempts}`) });
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  const text = fc.record({ weight: fc.nat(12), isBad: fc.boolean(), isPoison: fc.boolean() });
  type Text = { weight: number; isBad: boolean; isPoison: boolean };

  /** The naive cutter. */
  function cut(texts: readonly Text[], size: number, max: number): Text[][] {
    const chunks: Text[][] = [];
    for (const each of texts) {
      const last = chunks.at(-1);
      const weight = last?.reduce((sum, item) => sum + item.weight, each.weight) ?? 0;
      if (last !== undefined && last.length < size && weight <= max) last.push(each);
      else chunks.push([each]);
    }
    return chunks;
  }

  property([
    fc.array(text, { maxLength: 30 }),
    fc.integer({ min: 1, max: 7 }),
    fc.integer({ min: 0, max: 20 }),
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom('reject' as const, 'split' as const),
    fc.boolean(),
  ])(
    'chunks are cut as the naive cutter cuts them, and only what is bad fails',
    async (texts, size, max, concurrency, onChunkError, asMap) => {
      const gauge = new Gauge();
      const sent: Text[][] = [];
      const call = (chunk: readonly Text[], { fail, offset }: ChunkContext) =>
        gauge.around(async () => {
          expect(texts[offset]).toBe(chunk[0]);
          sent.push([...chunk]);
          await Promise.resolve();
          if (chunk.some(({ isPoison }) => isPoison)) throw new Error('poison');
          const answers = chunk.map((each) => (each.isBad ? fail('bad') : texts.indexOf(each)));
          return asMap ? new Map(chunk.map((each, i) => [each, answers[i] as number])) : answers;
        });
      const weight = { of: (each: Text) => each.weight, max };
      const report = await finish(chunkAllSettled(texts, call, { size, weight, concurrency, onChunkError }));

      const chunks = cut(texts, size, max);
      const first = sent.slice(0, chunks.length);
      if (onChunkError === 'reject') expect(first).toEqual(chunks);
      for (const chunk of sent) {
        expect(chunk.length).toBeLessThanOrEqual(size);
        if (chunk.length > 1) expect(chunk.reduce((sum, each) => sum + each.weight, 0)).toBeLessThanOrEqual(max);
      }
      expect(gauge.max).toBeLessThanOrEqual(concurrency);
      expect(report.stats.calls).toBe(sent.length);
      expectSums(report);

      const expected = chunks.flatMap((chunk) =>
        chunk.map((each) => {
          if (onChunkError === 'reject' ? chunk.some(({ isPoison }) => isPoison) : each.isPoison) return 'poison';
          return each.isBad ? 'bad' : texts.indexOf(each);
        }),
      );
      const actual = report.results.map((result) => {
        if (result.status === 'fulfilled') return result.value;
        return result.reason instanceof Error ? result.reason.message : result.reason;
      });
      expect(actual).toEqual(expected);
    },
  );

  property([fc.integer({ min: 1, max: 100 }).chain((n) => fc.tuple(fc.constant(n), fc.nat({ max: n - 1 })))])(
    'one bad item among n is found with at most 2 * ceil(log2 n) extra calls',
    async ([n, bad]) => {
      const call = vi.fn(async (chunk: readonly number[]) => {
        if (chunk.includes(bad)) throw bad;
        return chunk;
      });
      const report = await finish(chunkAllSettled(upTo(n), call, { size: n, onChunkError: 'split' }));
      expect(report.errors.map(({ item }) => item)).toEqual([bad]);
      expect(report.values).toEqual(upTo(n).filter((i) => i !== bad));
      expect(call.mock.calls.length - 1).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(n)));
    },
  );

  property([
    fc.dictionary(fc.string(), fc.record({ kind, time: fc.nat(5) }), { maxKeys: 8, noNullPrototype: true }),
    fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  ])('gather gives each name its own outcome', async (kinds, concurrency) => {
    const gauge = new Gauge();
    const names = Object.keys(kinds);
    const tasks = Object.fromEntries(
      names.map((name, i) => [
        name,
        () => gauge.around(() => act((kinds[name] as { kind: Kind }).kind, i, () => Promise.resolve())),
      ]),
    );
    const report = await finish(gatherAllSettled(tasks, { concurrency }));
    expect(gauge.max).toBeLessThanOrEqual(concurrency ?? names.length);
    expect(Object.keys(report.results)).toEqual(names);
    for (const [i, name] of names.entries()) {
      const { status, value, reason } = model((kinds[name] as { kind: Kind }).kind, i) as Record<string, unknown>;
      expect(report.results[name]).toEqual(status === 'fulfilled' ? { status, value } : { status, reason });
      expect(Object.hasOwn(report.values, name)).toBe(status === 'fulfilled');
      expect(Object.hasOwn(report.errors, name)).toBe(status === 'rejected');
    }
    expect(report.ok).toBe(Object.keys(report.errors).length === 0);
  });
});
