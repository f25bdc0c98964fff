import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RequestCoalescer } from '../../src/coalescer/index.js';

const hang = () => new Promise<number>(() => {});
const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** A load that never ends; its caller does not look. */
function startHung(coalescer: RequestCoalescer<number>, key: string): Promise<unknown> {
  return coalescer.execute(key, hang).catch((error: unknown) => error);
}

describe('the timeouts of loads', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('come also where time passes in the turn in which the load began', async () => {
    const coalescer = new RequestCoalescer<number>({ loadTimeout: 1_000 });
    const load = startHung(coalescer, 'a');
    vi.advanceTimersByTime(1_000);
    expect(await load).toMatchObject({ option: 'loadTimeout' });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('come exactly, each at its own time, behind one timer', async () => {
    const coalescer = new RequestCoalescer<number>({ loadTimeout: 1_000 });
    const ended: number[] = [];
    const begin = performance.now();
    for (let i = 0; i < 5; i++) {
      void startHung(coalescer, `key ${i}`).then(() => ended.push(performance.now() - begin));
      await advance(100);
    }
    expect(vi.getTimerCount()).toBe(1);
    await advance(2_000);
    expect(ended).toEqual([1_000, 1_100, 1_200, 1_300, 1_400]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('come though the timers are other ones than those of the load before', async () => {
    for (const before of [0, 100_000]) {
      vi.useFakeTimers({ now: before });
      await advance(before);
      const coalescer = new RequestCoalescer<number>({ loadTimeout: 1_000 });
      void startHung(coalescer, 'before');
      await null;
      await null;
      vi.useFakeTimers();
      const load = startHung(coalescer, 'after');
      await advance(5_000);
      expect(await load).toMatchObject({ option: 'loadTimeout' });
    }
  });

  test('come for detached loads, and for loads that began within another', async () => {
    const coalescer = new RequestCoalescer<number>({ loadTimeout: 1_000 });
    const detached = startHung(coalescer, 'a');
    await advance(10);
    coalescer.forget('a');
    void coalescer
      .execute('a', () => {
        void startHung(coalescer, 'b');
        return hang();
      })
      .catch(() => {});
    await advance(990);
    expect(await detached).toMatchObject({ option: 'loadTimeout' });
    expect(coalescer.getMetrics().inFlight).toBe(2);
    await advance(10);
    expect(coalescer.getMetrics().inFlight).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('leave no timer for a load that was ended from within itself', async () => {
    const coalescer = new RequestCoalescer<number>({ loadTimeout: 1_000 });
    const load = coalescer.execute('a', () => {
      coalescer.forget('a', { abort: true });
      return hang();
    });
    await expect(load).rejects.toMatchObject({ name: 'AbortError' });
    await advance(10);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('count from its own begin for a load that a hook starts while another is told of its timeout', async () => {
    let more = 3;
    const coalescer = new RequestCoalescer<number>({
      loadTimeout: 1_000,
      hooks: {
        onLoadEnd() {
          if (more-- > 0) void startHung(coalescer, `more ${more}`);
        },
      },
    });
    void startHung(coalescer, 'first');
    await advance(999);
    expect(coalescer.getMetrics().loadTimeouts).toBe(0);
    await advance(1);
    expect(coalescer.getMetrics().loadTimeouts).toBe(1);
    expect(vi.getTimerCount()).toBe(1);
    await advance(3_000);
    expect(coalescer.getMetrics().loadTimeouts).toBe(4);
    expect(vi.getTimerCount()).toBe(0);
  });
});
