import { expect, test, vi } from 'vitest';
import { type CoalescerHooks, RequestCoalescer } from '../../src/coalescer/index.js';

test.each(['forget', 'close'] as const)(
  '`%s` that aborts, inside the ttl function, comes too late: the load has ended, once, with its value',
  async (how) => {
    const ends: string[] = [];
    const hooks: CoalescerHooks = { onLoadEnd: ({ status, stored }) => ends.push(`${status} ${stored}`) };
    const coalescer: RequestCoalescer<string, string> = new RequestCoalescer<string, string>({
      hooks,
      ttl: () => {
        if (how === 'forget') coalescer.forget('k', { abort: true });
        else void coalescer.close({ grace: 0 });
        return 10;
      },
    });
    expect(await coalescer.execute('k', () => 'loaded')).toBe('loaded');
    expect(ends).toEqual(['fulfilled false']);
    expect(coalescer.getMetrics()).toMatchObject({ calls: 1, loads: 1, inFlight: 0, entries: 0 });
  },
);

// COAL-07 family: the old value outlives a load that said otherwise.
test('a new value that is not to be kept takes the old one out of service; a fallback or a failure does not', async () => {
  vi.useFakeTimers();
  const users = new RequestCoalescer<string | null, string>({
    ttl: (value) => (value === null ? 0 : 20),
    staleTtl: 60_000,
  });
  const load = vi.fn<(context: { noStore(): void }) => string | null>(() => 'Ann');
  const user = () => users.execute('k', load);
  expect(await user()).toBe('Ann');
  await vi.advanceTimersByTimeAsync(30);
  load.mockImplementation(() => {
    throw new Error('down');
  });
  expect(await user()).toBe('Ann');
  await vi.advanceTimersByTimeAsync(2_000);
  load.mockImplementation(({ noStore }) => {
    noStore();
    return null;
  });
  expect(await user()).toBe('Ann');
  await vi.advanceTimersByTimeAsync(2_000);
  expect(users.peek('k')?.value).toBe('Ann');
  // The row was deleted.
  load.mockImplementation(() => null);
  expect(await user()).toBe('Ann');
  await vi.advanceTimersByTimeAsync(0);
  expect(users.peek('k')).toBeUndefined();
  expect(await user()).toBeNull();
  users.set('k', 'Ben');
  expect(await users.execute('k', load, { fresh: true })).toBeNull();
  expect(await user()).toBeNull();
  vi.useRealTimers();
});

test('after `close` the ttl function is not asked: nothing is kept', async () => {
  const ttl = vi.fn(() => 10);
  const coalescer = new RequestCoalescer<number>({ ttl });
  let end: ((value: number) => void) | undefined;
  const load = new Promise<number>((resolve) => {
    end = resolve;
  });
  const call = coalescer.execute('k', () => load);
  const closing = coalescer.close();
  end?.(1);
  expect(await call).toBe(1);
  await closing;
  expect(ttl).not.toHaveBeenCalled();
});
