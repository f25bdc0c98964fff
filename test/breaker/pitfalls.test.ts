import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from '../../src/breaker/index.js';
import type { Permit } from '../../src/core/permit.js';
import { classifyError } from '../../src/core/verdicts.js';
import { retryWithBackoff } from '../../src/retry/index.js';
import { fails, held, refusalOf, rejection, tell, turns, works } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // First: what is restored may be a fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const later = (ms: number) => vi.advanceTimersByTime(ms);

describe('known bugs of the field', () => {
  // BREAK-01: opossum#385, from #383: six failures at once cancelled the reset timer, and the circuit was open for ever.
  test.each([1, 2, 6, 100])(
    '%d failures at once, around the threshold, still let it be half-open in time',
    async (n) => {
      const breaker = new CircuitBreaker({ failureRate: 0.5, minCalls: 3, consecutiveFailures: 5, openFor: 500 });
      const calls = Array.from({ length: n }, held);
      const promises = calls.map(({ task }) => breaker.execute(task));
      tell(breaker, 'failure', 2);
      for (const { reject } of calls) reject(new Error('down'));
      await Promise.allSettled(promises);
      expect([breaker.state, breaker.getMetrics().timesOpened]).toEqual(['open', 1]);
      later(500);
      expect(breaker.state).toBe('half-open');
      tell(breaker, 'success');
      expect(breaker.state).toBe('closed');
    },
  );

  // BREAK-01: and a late failure does not push the end away.
  test('failures that come while it is open do not prolong that', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    const late = Array.from({ length: 5 }, held);
    const promises = late.map(({ task }) => breaker.execute(task));
    tell(breaker, 'failure');
    for (const { reject } of late) {
      later(100);
      reject(Object.assign(new Error('busy'), { status: 429, headers: { 'retry-after': '60' } }));
      await turns();
    }
    await Promise.allSettled(promises);
    expect(breaker.state).toBe('half-open');
  });

  // BREAK-02: opossum#381: a success of a call from before the trip closed the breaker.
  test.each(['open', 'half-open'] as const)(
    'a success that began before it opened does not close it: %s',
    async (state) => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
      const early = held();
      const promise = breaker.execute(early.task);
      tell(breaker, 'failure');
      if (state === 'half-open') later(500);
      expect(breaker.state).toBe(state);
      early.resolve('late');
      expect(await promise).toBe('late');
      expect(breaker.state).toBe(state);
    },
  );

  // BREAK-04: resilience4j#544, #903, #935: a trial call that is ignored, or never settles, keeps its place: stuck for ever.
  describe('a trial call makes room for another', () => {
    const open = () => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probeTimeout: 1_000 });
      tell(breaker, 'failure');
      later(500);
      return breaker;
    };

    test('that is ignored', async () => {
      const breaker = open();
      const abort = Object.assign(new Error('left'), { name: 'AbortError' });
      expect(await rejection(breaker.execute(() => Promise.reject(abort)))).toBe(abort);
      expect([breaker.state, refusalOf(breaker)]).toEqual(['half-open', undefined]);
    });

    test('that is aborted, though its work goes on', async () => {
      const breaker = open();
      const controller = new AbortController();
      const outcome = rejection(breaker.execute(held().task, { signal: controller.signal }));
      controller.abort('left');
      expect(await outcome).toBe('left');
      expect([breaker.state, refusalOf(breaker)]).toEqual(['half-open', undefined]);
    });

    test('that never settles, after probeTimeout', async () => {
      const breaker = open();
      void breaker.execute(held().task);
      later(999);
      expect(refusalOf(breaker)?.retryAfter).toBe(1);
      later(1);
      await breaker.execute(works);
      expect(breaker.state).toBe('closed');
    });

    test('whose permit is dropped, reported or not', () => {
      for (const report of [false, true]) {
        const breaker = open();
        const permit = breaker.acquire();
        if (report) permit.report('success');
        else permit.started();
        later(1_000);
        if (report) expect(breaker.state).toBe('closed');
        expect(refusalOf(breaker)).toBeUndefined();
      }
    });

    test('again and again', async () => {
      const breaker = open();
      for (let i = 0; i < 100; i++) {
        void breaker.execute(held().task);
        expect(refusalOf(breaker)).toBeInstanceOf(CircuitOpenError);
        later(1_000);
      }
      await breaker.execute(works);
      expect(breaker.state).toBe('closed');
    });
  });

  // BREAK-05: resilience4j#1432, #674: more than the permitted calls in the race from open to half-open; prism#73, synthorg#2445: no gate at all.
  describe.each([1, 3, 10])('1,000 callers at the instant of half-open are %d trial calls', (probes) => {
    test.each(['execute', 'gate', 'place', 'mixed'])('by %s', async (how) => {
      const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500, probes });
      tell(breaker, 'failure');
      later(500);
      let entered = 0;
      const released: (() => void)[] = [];
      const refused: unknown[] = [];
      const calls: Promise<unknown>[] = [];
      for (let i = 0; i < 1_000; i++) {
        const kind = how === 'mixed' ? ['execute', 'gate', 'place'][i % 3] : how;
        if (kind === 'execute') {
          const call = held();
          released.push(call.resolve);
          const task = () => {
            entered++;
            return call.task();
          };
          calls.push(breaker.execute(task).catch((error: unknown) => refused.push(error)));
        } else {
          const answer = kind === 'gate' ? breaker.tryAcquire() : breaker.tryPlace();
          if (answer instanceof CircuitOpenError) refused.push(answer);
          else {
            entered++;
            const permit = answer as Permit;
            released.push(() => permit.release('success'));
          }
        }
      }
      await turns();
      expect([entered, refused.length]).toEqual([probes, 1_000 - probes]);
      expect(refused.every((error) => error instanceof CircuitOpenError && error.retryAfter > 0)).toBe(true);
      for (const release of released) release();
      await Promise.all(calls);
      expect(breaker.getMetrics()).toMatchObject({ state: 'closed', refused: 1_000 - probes, calls: 1_001 });
    });
  });

  // BREAK-07: opossum#719, #580: a timer makes it half-open, which never fires in a busy loop of microtasks, or where a process sleeps
  // between requests.
  test('is half-open by the clock alone: no timer has to fire', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 1, openFor: 500 });
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000);
    await rejection(breaker.execute(fails));
    expect(await rejection(breaker.execute(works))).toBeInstanceOf(CircuitOpenError);
    clock.mockReturnValue(1_500);
    expect(await breaker.execute(works)).toBe('fine');
    expect([breaker.state, vi.getTimerCount()]).toEqual(['closed', 0]);
  });

  // BREAK-08: opossum divides by `fires`, which includes calls in flight: ten of ten settled calls failed, with twenty in flight, and it stayed
  // closed.
  test('calls in flight are no part of the rate', async () => {
    const breaker = new CircuitBreaker({ failureRate: 0.5, minCalls: 10 });
    for (let i = 0; i < 20; i++) void breaker.execute(held().task);
    for (let i = 0; i < 9; i++) await rejection(breaker.execute(fails));
    expect([breaker.state, breaker.getMetrics().failureRate]).toEqual(['closed', 1]);
    await rejection(breaker.execute(fails));
    expect(breaker.state).toBe('open');
  });

  // BREAK-10: opossum#245, #181, #648: intervals, listeners and latency lists for each breaker; 80 to 300 MB. Heap: process.test.ts.
  test('10,000 breakers in use have no timers', async () => {
    const breakers = Array.from({ length: 10_000 }, () => new CircuitBreaker({ consecutiveFailures: 1 }));
    await Promise.allSettled(breakers.map((breaker) => breaker.execute(fails)));
    expect(breakers.every(({ state }) => state === 'open')).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  // BREAK-11: cockatiel 4: its SamplingBreaker moves on by one bucket for each event: nine failures, an hour of nothing, one more opens it,
  // though the window is 10 s.
  test.each([10_000, 10_001, 15_000, 3_600_000])('%d ms without a call empty a window of 10,000 ms', (idle) => {
    const breaker = new CircuitBreaker({ minCalls: 10, window: 10_000 });
    tell(breaker, 'failure', 9);
    later(idle);
    tell(breaker, 'failure');
    expect([breaker.state, breaker.getMetrics().failureRate]).toEqual(['closed', 1]);
    tell(breaker, 'failure', 8);
    expect(breaker.state).toBe('closed');
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });

  // BREAK-11: the other half: what is within the window does count.
  test('9,499 ms do not empty it', () => {
    const breaker = new CircuitBreaker({ minCalls: 10, window: 10_000 });
    tell(breaker, 'failure', 9);
    later(9_499);
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
  });

  // BREAK-13: cockatiel: half-open, everybody queues behind a slow trial call; #112: and starves when those who wait are aborted.
  test('nobody waits behind a slow trial call', async () => {
    const breaker = new CircuitBreaker();
    breaker.forceOpen(0);
    const slow = held();
    const trial = breaker.execute(slow.task);
    const controllers = Array.from({ length: 10 }, () => new AbortController());
    const answers = await Promise.all(controllers.map(({ signal }) => rejection(breaker.execute(works, { signal }))));
    expect(answers.every((answer) => answer instanceof CircuitOpenError)).toBe(true);
    for (const controller of controllers) controller.abort();
    slow.resolve('slow');
    expect(await trial).toBe('slow');
    expect(await breaker.execute(works)).toBe('fine');
  });

  // BREAK-13, cockatiel#107, #91: a retry around the breaker repeats its refusals.
  test('its refusal is never retried, and counts against nobody', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 2 });
    const task = vi.fn(fails);
    const outcome = rejection(retryWithBackoff(() => breaker.execute(task), { maxAttempts: 10 }));
    await vi.runAllTimersAsync();
    const error = await outcome;
    expect(error).toBeInstanceOf(CircuitOpenError);
    expect(classifyError(error)).toBe('ignore');
    expect([task.mock.calls.length, breaker.getMetrics().refused]).toEqual([2, 1]);
    // One breaker inside another: the refusal of the inner one is no failure of the outer.
    const outer = new CircuitBreaker({ consecutiveFailures: 1 });
    expect(await rejection(outer.execute(() => breaker.execute(works)))).toBeInstanceOf(CircuitOpenError);
    expect(outer.state).toBe('closed');
  });

  // BREAK-14: go-zero#5011: the window is shorter than the calls take, so it never sees one that is whole. There is no such throttle here;
  // what is left of it: results count when they come, however long ago their calls began.
  test('calls that take longer than the window open it', async () => {
    const breaker = new CircuitBreaker({ minCalls: 10, window: 1_000 });
    const calls = Array.from({ length: 10 }, held);
    const promises = calls.map(({ task }) => breaker.execute(task));
    later(30_000);
    for (const { reject } of calls) reject(new Error('down'));
    await Promise.allSettled(promises);
    expect(breaker.state).toBe('open');
  });
});

describe('the clock', () => {
  test('that stands still changes nothing', () => {
    vi.spyOn(performance, 'now').mockReturnValue(5);
    const breaker = new CircuitBreaker({ openFor: 500, minCalls: 4 });
    for (let i = 0; i < 1_000; i++) tell(breaker, 'success', 3);
    tell(breaker, 'failure', 2_999);
    expect(breaker.state).toBe('closed');
    tell(breaker, 'failure');
    expect(breaker.state).toBe('open');
    for (let i = 0; i < 100; i++) expect(refusalOf(breaker)?.retryAfter).toBe(500);
  });

  test('that goes back loses no result and makes no nonsense', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000_000);
    const breaker = new CircuitBreaker({ openFor: 500, minCalls: 20, probeTimeout: 1_000 });
    tell(breaker, 'failure', 10);
    clock.mockReturnValue(999_000);
    tell(breaker, 'failure', 9);
    expect([breaker.state, breaker.getMetrics().failureRate]).toEqual(['closed', 1]);
    tell(breaker, 'failure');
    clock.mockReturnValue(998_000);
    expect(refusalOf(breaker)?.retryAfter).toBe(1_500);
    clock.mockReturnValue(999_500);
    breaker.acquire();
    clock.mockReturnValue(999_000);
    expect(refusalOf(breaker)?.retryAfter).toBe(1_500);
    clock.mockReturnValue(2_000_000);
    expect(refusalOf(breaker)).toBeUndefined();
  });

  test('is read once for a result, and not for admission, while it is closed', async () => {
    const breaker = new CircuitBreaker();
    const clock = vi.spyOn(performance, 'now');
    for (let i = 0; i < 50; i++) await breaker.execute(works);
    expect(clock).toHaveBeenCalledTimes(50);
    tell(breaker, 'success', 50);
    expect(clock).toHaveBeenCalledTimes(100);
    breaker.tryAcquire();
    breaker.shutReason();
    expect([breaker.state, clock.mock.calls.length]).toEqual(['closed', 100]);
  });
});
