import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';
import { ClosedError } from '../../src/core/errors.js';
import { expectIdentity, manualUpstream, never, state, turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const clean = { clean: true, finished: 0, aborted: 0, refused: 0, left: [] };

test('an idle one closes at once, drops what it stored and refuses what comes', async () => {
  const coalescer = new RequestCoalescer<number>({ name: 'x', ttl: 1_000 });
  await coalescer.execute('k', () => 1);
  expect(await coalescer.close()).toEqual(clean);
  const load = vi.fn(() => 2);
  const call = coalescer.execute('k', load);
  await expect(call).rejects.toBeInstanceOf(ClosedError);
  await expect(call).rejects.toThrow('`x` is closed');
  expect(() => coalescer.set('k', 2)).toThrow(ClosedError);
  coalescer.prefetch('k', load);
  expect(load).not.toHaveBeenCalled();
  expect([coalescer.peek('k'), coalescer.forget('k')]).toEqual([undefined, 0]);
  expect(coalescer.getMetrics()).toMatchObject({ calls: 2, refused: 1, entries: 0, prefetches: 0 });
  expectIdentity(coalescer);
  expect(vi.getTimerCount()).toBe(0);
});

test('loads in flight, detached ones too, may finish, but are not joined and nothing of them is kept', async () => {
  const upstream = manualUpstream<number>();
  const coalescer = new RequestCoalescer<number>({ ttl: 1_000 });
  const calls = [coalescer.execute('a', upstream.load), coalescer.execute('b', upstream.load)];
  coalescer.forget('b');
  const report = coalescer.close();
  await expect(coalescer.execute('a', upstream.load)).rejects.toBeInstanceOf(ClosedError);
  upstream.nth(0).resolve(1);
  expect(await state(report)).toBe('pending');
  upstream.nth(1).reject('down');
  expect(await Promise.all(calls.map(state))).toEqual([{ value: 1 }, { reason: 'down' }]);
  expect(await report).toEqual({ ...clean, finished: 2 });
  expect(coalescer.getMetrics()).toMatchObject({ entries: 0, inFlight: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test('after the grace loads are aborted with the reason; what does not react is named', async () => {
  const coalescer = new RequestCoalescer<number, readonly [string, number]>({ name: 'shop' });
  const upstream = manualUpstream<number>();
  const obeys = coalescer.execute(['obeys', 1], async (context) => {
    const { signal } = context;
    return new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const wedged = coalescer.execute(['wedged', 2], never);
  const quick = coalescer.execute(['quick', 3], upstream.load as never);
  const reason = new Error('deploy');
  for (const call of [obeys, wedged]) call.catch(() => {});
  const report = coalescer.close({ grace: 100, abortGrace: 50, reason });
  upstream.nth(0).resolve(3);
  await vi.advanceTimersByTimeAsync(99);
  expect(await state(wedged)).toBe('pending');
  await vi.advanceTimersByTimeAsync(1);
  expect(await Promise.all([obeys, wedged, quick].map(state))).toEqual([{ reason }, { reason }, { value: 3 }]);
  expect(await state(report)).toBe('pending');
  await vi.advanceTimersByTimeAsync(50);
  expect(await report).toEqual({ clean: false, finished: 1, aborted: 2, refused: 0, left: ['shop#wedged,2'] });
  expect(vi.getTimerCount()).toBe(0);
});

test('a grace of 0 aborts at once, and whoever obeys is not waited for', async () => {
  const coalescer = new RequestCoalescer<number>();
  const call = coalescer.execute('k', ({ signal }) => {
    return new Promise<number>((resolve) => signal.addEventListener('abort', () => resolve(0)));
  });
  const report = coalescer.close({ grace: 0 });
  expect(await state(call)).toEqual({ reason: expect.any(ClosedError) });
  expect(await report).toEqual({ clean: false, finished: 0, aborted: 1, refused: 0, left: [] });
  expect(vi.getTimerCount()).toBe(0);
});

test('a later close may only shorten the grace, and all get one report', async () => {
  const upstream = manualUpstream<number>();
  const coalescer = new RequestCoalescer<number>({ loadTimeout: 10_000 });
  const call = coalescer.execute('k', upstream.load);
  call.catch(() => {});
  const reports = [
    coalescer.close({ grace: 500 }),
    coalescer.close(),
    coalescer.close({ grace: 600, reason: 'later' }),
  ];
  await vi.advanceTimersByTimeAsync(100);
  reports.push(coalescer.close({ grace: 100, reason: 'sooner' }));
  await vi.advanceTimersByTimeAsync(99);
  expect(await state(call)).toBe('pending');
  await vi.advanceTimersByTimeAsync(1);
  expect(await state(call)).toEqual({ reason: 'sooner' });
  reports.push(coalescer.close({ grace: 0, reason: 'too late' }));
  upstream.nth(0).resolve(1);
  const [first, ...others] = await Promise.all(reports);
  for (const other of others) expect(other).toBe(first);
});

test('a load that times out while it closes does not hold it up for ever', async () => {
  const coalescer = new RequestCoalescer<number>({ name: 'x', loadTimeout: 200 });
  coalescer.execute('k', never).catch(() => {});
  const report = coalescer.close();
  await vi.advanceTimersByTimeAsync(1_200);
  expect(await report).toEqual({ clean: false, finished: 0, aborted: 1, refused: 0, left: ['x#k'] });
});

test('closing inside a loader or its abort listener is no trouble', async () => {
  const coalescer = new RequestCoalescer<number>();
  let inner: Promise<unknown> | undefined;
  const call = coalescer.execute('k', ({ signal }) => {
    signal.addEventListener('abort', () => {
      inner = coalescer.close({ grace: 0 });
    });
    void coalescer.close({ grace: 0, reason: 'now' });
    return 1;
  });
  expect(await state(call)).toEqual({ reason: 'now' });
  expect(await inner).toMatchObject({ aborted: 1, left: [] });
});

test('closing in a hook, before the loader was called, leaves nothing to wait for', async () => {
  let report: Promise<unknown> | undefined;
  const coalescer: RequestCoalescer<number> = new RequestCoalescer<number>({
    hooks: {
      onLoadStart: () => {
        report = coalescer.close({ grace: 0 });
      },
    },
  });
  const load = vi.fn(() => 1);
  expect(await state(coalescer.execute('k', load))).toEqual({ reason: expect.any(ClosedError) });
  expect(load).not.toHaveBeenCalled();
  expect(await state(report as Promise<unknown>)).toMatchObject({ value: { aborted: 1, left: [] } });
});

// Found by user functions that did anything anywhere: the value stayed for its whole ttl.
test.each(['ttl', 'clone'] as const)('a `set` whose %s function closes the coalescer stores nothing', async (where) => {
  const close = <T>(answer: T): T => {
    void coalescer.close();
    return answer;
  };
  const coalescer: RequestCoalescer<string> = new RequestCoalescer<string>({
    ttl: where === 'ttl' ? () => close(1_000) : 1_000,
    ...(where === 'clone' && { clone: close }),
  });
  expect(() => coalescer.set('k', 'x')).toThrow(ClosedError);
  expect([coalescer.peek('k'), coalescer.getMetrics().entries, vi.getTimerCount()]).toEqual([undefined, 0, 0]);
});

test('`await using` waits for what flies', async () => {
  const upstream = manualUpstream<number>();
  const coalescer = new RequestCoalescer<number>();
  const call = coalescer.execute('k', upstream.load);
  const disposed = coalescer[Symbol.asyncDispose]();
  expect(await state(disposed)).toBe('pending');
  upstream.nth(0).resolve(1);
  await turn();
  expect([await call, await state(disposed)]).toEqual([1, { value: undefined }]);
});

test.each([{ grace: -1 }, { grace: Number.NaN }, { abortGrace: '5' }, null])(
  'wrong options reject and close nothing: %o',
  async (options) => {
    const coalescer = new RequestCoalescer<number>();
    await expect(coalescer.close(options as never)).rejects.toThrow('Expected `');
    expect(await coalescer.execute('k', () => 1)).toBe(1);
  },
);
