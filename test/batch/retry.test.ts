import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchAllSettled, type ChunkContext, chunkAllSettled, gatherAllSettled } from '../../src/batch/index.js';
import { getRetryInfo, RetryPolicy, retryWithBackoff } from '../../src/retry/index.js';
import { finish, Gauge, statuses, turns, upTo, wait } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const steady = { baseDelay: 10, factor: 1, jitter: 'none' } as const;

describe('repeats', () => {
  test('there are none unless they are asked for', async () => {
    const work = vi.fn(() => Promise.reject(new Error('once')));
    await batchAllSettled([1], work);
    expect(work).toHaveBeenCalledTimes(1);
  });

  test('`{}` is three attempts; the last error is the reason', async () => {
    const report = await finish(
      batchAllSettled([1], (_, { attempt }) => Promise.reject(new Error(`${attempt}`)), { retry: {} }),
    );
    expect(report.errors).toMatchObject([{ attempts: 3, reason: new Error('3') }]);
    expect(getRetryInfo(report.errors[0]?.reason)).toMatchObject({ attempts: 3, reason: 'exhausted' });
  });

  test('what waits for one holds no lane, and goes before the source when its time has come', async () => {
    const order: string[] = [];
    const work = async (n: number, { attempt }: { attempt: number }) => {
      order.push(`${n}/${attempt}`);
      await wait(6);
      if (n === 0 && attempt === 1) throw new Error('again');
    };
    await finish(batchAllSettled(upTo(5), work, { concurrency: 1, retry: steady }));
    // It failed at 6 and was due at 16; the call that ran then ended at 18.
    expect(order).toEqual(['0/1', '1/1', '2/1', '0/2', '3/1', '4/1']);
  });

  test('many repeats that fall due at once do not exceed the window', async () => {
    const gauge = new Gauge();
    const work = (_: number, { attempt }: { attempt: number }) =>
      gauge.around(async () => {
        await wait(1);
        if (attempt === 1) throw new Error('again');
      });
    const report = await finish(
      batchAllSettled(upTo(40), work, { concurrency: 4, retry: { ...steady, baseDelay: 1_000 } }),
    );
    expect(report.ok).toBe(true);
    expect(gauge.max).toBe(4);
  });

  test('the rules are asked with the error and the attempt; 4xx is final by default', async () => {
    const shouldRetry = vi.fn((error: unknown) => error === 'busy');
    const work = (n: number, { attempt }: { attempt: number }) =>
      Promise.reject(n === 0 && attempt === 1 ? 'busy' : 'broken');
    const report = await finish(batchAllSettled([0, 1], work, { retry: { ...steady, shouldRetry } }));
    expect(report.results.map(({ attempts }) => attempts)).toEqual([2, 1]);
    expect(shouldRetry.mock.calls.map(([error]) => error)).toEqual(['busy', 'broken', 'broken']);

    const notFound = await finish(batchAllSettled([1], () => Promise.reject({ status: 404 }), { retry: {} }));
    expect(notFound.errors[0]).toMatchObject({ attempts: 1, reason: { status: 404 } });
  });

  test.each([
    [
      'throws',
      () => {
        throw 'predicate';
      },
    ],
    ['rejects', () => Promise.reject('predicate')],
  ])('a predicate that %s ends the item with its error, and only that item', async (_, shouldRetry) => {
    const work = (n: number) => (n === 0 ? Promise.reject('mine') : n);
    const report = await finish(batchAllSettled([0, 1], work, { retry: { shouldRetry } }));
    expect(statuses(report)).toBe('rf');
    expect(report.errors[0]?.reason).toBe('predicate');
  });

  test('an async predicate is waited for, and holds no lane', async () => {
    const order: number[] = [];
    const work = (n: number, { attempt }: { attempt: number }) => {
      order.push(n);
      if (n === 0 && attempt === 1) throw new Error('again');
    };
    const shouldRetry = () => wait(50).then(() => ({ after: 5 }));
    const report = await finish(
      batchAllSettled([0, 1, 2], work, { concurrency: 1, retry: { shouldRetry, baseDelay: 0 } }),
    );
    expect(order).toEqual([0, 1, 2, 0]);
    expect(report.stats.durationMs).toBe(55);
  });

  test('a hint is kept, and one that is too long ends the item at once', async () => {
    const hinted = (retryAfter: string) =>
      Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': retryAfter } });
    const times: number[] = [];
    const begin = performance.now();
    const work = (hint: string, { attempt }: { attempt: number }) => {
      times.push(performance.now() - begin);
      if (attempt === 1) throw hinted(hint);
    };
    const report = await finish(batchAllSettled(['3', '86400'], work, { retry: steady }));
    expect(statuses(report)).toBe('fr');
    expect(times[2]).toBeGreaterThanOrEqual(3_000);
    expect(getRetryInfo(report.errors[0]?.reason)?.reason).toBe('hint-too-long');
  });

  test('what an inner retry gave up on is not repeated', async () => {
    const down = vi.fn(() => Promise.reject(new Error('down')));
    const work = () => retryWithBackoff(down, { maxAttempts: 3, baseDelay: 1 });
    await finish(batchAllSettled([1], work, { retry: { maxAttempts: 3 } }));
    expect(down).toHaveBeenCalledTimes(3);
  });

  test('items that fail with one and the same error object have their own attempts', async () => {
    const error = new Error('shared');
    const report = await finish(
      batchAllSettled(upTo(3), (n) => wait(n).then(() => Promise.reject(error)), { retry: steady }),
    );
    expect(report.results.map(({ attempts }) => attempts)).toEqual([3, 3, 3]);
  });

  test('endless attempts end with an abort', async () => {
    const control = new AbortController();
    const retry = { ...steady, maxAttempts: Number.POSITIVE_INFINITY };
    const running = batchAllSettled([1], () => Promise.reject(new Error('down')), { retry, signal: control.signal });
    await vi.advanceTimersByTimeAsync(1_005);
    control.abort('enough');
    expect((await running).results).toMatchObject([{ status: 'skipped', attempts: 101 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('gather repeats too', async () => {
    let calls = 0;
    const flaky = () => (++calls < 3 ? Promise.reject(new Error('flaky')) : 'ok');
    const report = await finish(gatherAllSettled({ flaky, steady: () => 1 }, { retry: steady }));
    expect(report.values).toEqual({ flaky: 'ok', steady: 1 });
  });
});

describe('repeats of chunks', () => {
  test('a failed call is repeated as a whole, and the rules are asked once', async () => {
    const shouldRetry = vi.fn(() => true);
    const sent: string[] = [];
    const call = (chunk: readonly number[], { attempt, offset }: ChunkContext) => {
      sent.push(`${chunk.join()}@${offset}/${attempt}`);
      if (attempt === 1 && offset === 0) throw new Error('down');
      return chunk;
    };
    const report = await finish(chunkAllSettled(upTo(6), call, { size: 3, retry: { ...steady, shouldRetry } }));
    expect(sent).toEqual(['0,1,2@0/1', '3,4,5@3/1', '0,1,2@0/2']);
    expect(shouldRetry).toHaveBeenCalledTimes(1);
    expect(report.unwrap()).toEqual(upTo(6));
  });

  test('of failed items each is decided on its own: final ones reject, the others wait for the longest wait', async () => {
    const sent: [number, readonly string[]][] = [];
    const begin = performance.now();
    const call = (chunk: readonly string[], { attempt, offset, fail }: ChunkContext) => {
      sent.push([performance.now() - begin, chunk]);
      if (attempt > 1) {
        expect(offset).toBe(1);
        return chunk.map((item) => `${item}!`);
      }
      return chunk.map((item) => {
        if (item === 'slow') return fail(new Error('busy'), { retryAfter: 500 });
        if (item === 'quick') return fail(new Error('busy'));
        if (item === 'final') return fail(new Error('gone'), { retry: false });
        if (item === 'forbidden') return fail({ status: 403 });
        if (item === 'wanted') return fail({ status: 404 }, { retry: true });
        return item;
      });
    };
    const items = ['fine', 'quick', 'final', 'slow', 'forbidden', 'wanted'];
    const report = await finish(chunkAllSettled(items, call, { size: 9, retry: steady }));
    expect(sent).toEqual([
      [0, items],
      [500, ['quick', 'slow', 'wanted']],
    ]);
    expect(report.values).toEqual(['fine', 'quick!', 'slow!', 'wanted!']);
    expect(report.errors.map(({ item, attempts }) => [item, attempts])).toEqual([
      ['final', 1],
      ['forbidden', 1],
    ]);
  });

  test('`retry: true` stays within maxAttempts and does nothing without rules', async () => {
    const call = vi.fn((chunk: readonly number[], { fail }: ChunkContext) =>
      chunk.map(() => fail('no', { retry: true })),
    );
    await finish(chunkAllSettled([1], call, { size: 1, retry: { ...steady, maxAttempts: 4 } }));
    expect(call).toHaveBeenCalledTimes(4);
    call.mockClear();
    await chunkAllSettled([1], call, { size: 1 });
    expect(call).toHaveBeenCalledTimes(1);
  });

  test('a predicate that throws on one item rejects that item only', async () => {
    const shouldRetry = (reason: unknown) => {
      if (reason === 'bad') throw 'predicate';
      return true;
    };
    const call = (chunk: readonly string[], { attempt, fail }: ChunkContext) =>
      chunk.map((item) => (attempt === 1 ? fail(item) : item));
    const report = await finish(chunkAllSettled(['bad', 'good'], call, { size: 2, retry: { ...steady, shouldRetry } }));
    expect(statuses(report)).toBe('rf');
    expect(report.errors[0]?.reason).toBe('predicate');
  });

  test('after the last repeat it is halved; halves get one attempt each', async () => {
    const sent: string[] = [];
    const call = (chunk: readonly number[], { attempt }: ChunkContext) => {
      sent.push(`${chunk.join()}/${attempt}`);
      if (chunk.includes(2)) throw new Error('poison');
      return chunk;
    };
    const report = await finish(
      chunkAllSettled(upTo(4), call, {
        size: 4,
        concurrency: 1,
        onChunkError: 'split',
        retry: { ...steady, maxAttempts: 2 },
      }),
    );
    expect(sent).toEqual(['0,1,2,3/1', '0,1,2,3/2', '0,1/3', '2,3/3', '2/4', '3/4']);
    expect(statuses(report)).toBe('ffrf');
    expect(report.results.map(({ attempts }) => attempts)).toEqual([3, 3, 4, 4]);
    expect(report.stats).toMatchObject({ calls: 6, retries: 1, splits: 2 });
  });

  test('a failed item in the answer of a half is decided by the rules, with attempts of its own', async () => {
    const sent: string[] = [];
    const call = (chunk: readonly number[], { attempt, fail }: ChunkContext) => {
      sent.push(`${chunk.join()}/${attempt}`);
      if (chunk.includes(2)) throw Object.assign(new Error('poison'), { status: 400 });
      return chunk.map((n) => {
        if (n === 3 && attempt === 2) return fail({ status: 429 }, { retry: true });
        if (n === 4) return fail(new Error('down'));
        return n === 5 ? fail({ status: 404 }) : n;
      });
    };
    const report = await finish(
      chunkAllSettled([1, 2, 3, 4, 5], call, {
        size: 5,
        concurrency: 1,
        onChunkError: 'split',
        retry: { ...steady, maxAttempts: 3 },
      }),
    );
    expect(sent).toEqual(['1,2,3,4,5/1', '1,2,3/2', '4,5/2', '1,2/3', '3/3', '1/4', '2/4', '4/3', '4/4']);
    expect(statuses(report)).toBe('frfrr');
    expect(report.results.map(({ attempts }) => attempts)).toEqual([4, 4, 3, 4, 2]);
    expect(report.stats).toMatchObject({ calls: 9, retries: 2, splits: 3 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('repeats of items of a half: each half is a call of the policy with one outcome', async () => {
    const policy = new RetryPolicy({ name: 'p', ...steady, maxAttempts: 2 });
    const tries = new Map<number, number>();
    const call = (chunk: readonly number[], { fail }: ChunkContext) => {
      if (chunk.length > 2) throw new Error('too many');
      return chunk.map((n) => {
        tries.set(n, (tries.get(n) ?? 0) + 1);
        return n === 1 && tries.get(n) === 1 ? fail('no') : n;
      });
    };
    const report = await finish(chunkAllSettled(upTo(4), call, { size: 4, onChunkError: 'split', retry: policy }));
    expect(report.ok).toBe(true);
    expect(policy.getMetrics()).toMatchObject({ calls: 3, attempts: 5, fulfilled: 2, recovered: 1 });
  });

  test('a half whose call fails has one attempt, also where the rules would repeat it', async () => {
    const call = vi.fn(() => Promise.reject(new Error('down')));
    const policy = new RetryPolicy({ name: 'p', ...steady, maxAttempts: 4 });
    const report = await finish(chunkAllSettled(upTo(2), call, { size: 2, onChunkError: 'split', retry: policy }));
    expect(call).toHaveBeenCalledTimes(6);
    expect(policy.getMetrics()).toMatchObject({ calls: 3, gaveUp: { exhausted: 1, 'not-retryable': 2 } });
    expect(statuses(report)).toBe('rr');
  });

  test('a chunk that is aborted while its items are decided is skipped', async () => {
    const control = new AbortController();
    const shouldRetry = () => wait(100).then(() => true);
    const call = (chunk: readonly number[], { fail }: ChunkContext) => chunk.map((n) => (n === 0 ? n : fail('no')));
    const running = chunkAllSettled([0, 1], call, { size: 2, retry: { shouldRetry }, signal: control.signal });
    await turns();
    control.abort('x');
    expect(statuses(await running)).toBe('fs');
    await finish(wait(200));
  });
});
