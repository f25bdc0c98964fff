import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from '../../src/breaker/index.js';
import type { BreakerPlace } from '../../src/breaker/place.js';
import type { BreakerRules } from '../../src/breaker/rules.js';
import { ResultWindow } from '../../src/breaker/window.js';
import type { Permit } from '../../src/core/permit.js';
import type { Settled, Verdict } from '../../src/core/types.js';
import { property } from '../support/runs.js';
import { NaiveBreaker, type Token } from './model.js';
import { turns } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

// Whole ms a bucket, so that no rounding comes between the model and the ring.
const rules: fc.Arbitrary<BreakerRules> = fc.record({
  failureRate: fc.constantFrom(0, 0.1, 0.5, 0.7, 1),
  minCalls: fc.integer({ min: 1, max: 6 }),
  window: fc.constantFrom(20, 100, 1_000),
  consecutiveFailures: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
  openFor: fc.constantFrom(0, 30, 500),
  probes: fc.integer({ min: 1, max: 3 }),
  probeTimeout: fc.constantFrom(1, 40, 1_000),
});

const verdict = fc.constantFrom<Verdict>('success', 'failure', 'overload', 'ignore');
const wait = fc.constantFrom(undefined, undefined, 5, 80, 900);

describe('states', () => {
  const act = fc.record({
    what: fc.constantFrom(
      ...(['acquire', 'acquire', 'acquire', 'place', 'report', 'release', 'release', 'release', 'advance'] as const),
      ...(['advance', 'force', 'reset', 'shut', 'look'] as const),
    ),
    n: fc.nat({ max: 1_000 }),
    verdict,
    wait,
  });

  property([rules, fc.array(act, { maxLength: 100, size: 'max' })])(
    'are those of a list of all results, for permits, places and looks at any time',
    (given, acts) => {
      const changes: string[] = [];
      const hooks = { onStateChange: ({ from, to }: { from: string; to: string }) => changes.push(`${from} > ${to}`) };
      const breaker = new CircuitBreaker({ ...given, hooks });
      const naive = new NaiveBreaker(given);
      const out: { readonly permit: Permit | BreakerPlace; readonly token: Token; begun: boolean; told: boolean }[] =
        [];
      let calls = 0;
      for (const { what, n, verdict, wait } of acts) {
        const time = performance.now();
        const one = out[n % Math.max(out.length, 1)];
        if (what === 'acquire' || what === 'place') {
          const answer = what === 'place' ? breaker.tryPlace() : breaker.tryAcquire();
          const token = naive.admit(time);
          if (typeof token === 'number') expect((answer as CircuitOpenError).retryAfter).toBe(token);
          else {
            expect(answer).not.toBeInstanceOf(CircuitOpenError);
            const begun = n % 3 > 0;
            if (begun) {
              (answer as Permit).started();
              calls++;
            }
            out.push({ permit: answer as Permit, token, begun, told: false });
          }
        } else if ((what === 'report' || what === 'release') && one !== undefined) {
          one.permit[what](verdict, wait);
          if (!one.told) {
            if (!one.begun && verdict !== 'ignore') {
              one.begun = true;
              calls++;
            }
            one.told = true;
            naive.report(one.token, verdict, wait, time);
          }
          if (what === 'release') {
            naive.free(one.token);
            out.splice(out.indexOf(one), 1);
            // Nothing comes of it any more.
            one.permit.report('failure');
            one.permit.release('failure');
            one.permit.started();
          }
        } else if (what === 'advance') vi.advanceTimersByTime(n % 3 === 0 ? n : n % 60);
        else if (what === 'force' && n % 4 === 0) {
          breaker.forceOpen(n);
          naive.look(time);
          naive.open(time + n);
        } else if (what === 'reset' && n % 4 === 0) {
          breaker.reset();
          naive.reset();
        } else if (what === 'shut') {
          const reason = breaker.shutReason();
          const token = naive.admit(time);
          if (typeof token === 'number') {
            expect(reason?.retryAfter).toBe(token);
            breaker.countRefused(reason as CircuitOpenError, 1);
          } else {
            expect(reason).toBeUndefined();
            naive.free(token);
          }
        } else if (what === 'look') {
          naive.look(time);
          expect(breaker.state).toBe(naive.state);
        }
        if (n % 2 === 0) continue;
        const now = performance.now();
        naive.look(now);
        expect(breaker.getMetrics()).toEqual({
          kind: 'breaker',
          name: 'breaker',
          state: naive.state,
          calls: calls + naive.refused,
          refused: naive.refused,
          timesOpened: naive.timesOpened,
          failureRate: naive.failureRate(now),
        });
        expect(changes).toEqual(naive.changes);
      }
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  property([
    fc.scheduler(),
    rules,
    fc.array(fc.record({ verdict, wait, leaves: fc.boolean(), n: fc.nat({ max: 200 }) }), { maxLength: 40 }),
  ])('are those of the list for calls that end, leave and overtake each other in any order', async (s, given, list) => {
    const breaker = new CircuitBreaker({ ...given, classify });
    const naive = new NaiveBreaker(given);
    // Or it would hardly ever be half-open.
    if (list.length % 2 === 0) {
      breaker.forceOpen(0);
      naive.open(performance.now());
    }
    const settled: Promise<unknown>[] = [];
    for (const [i, { verdict, wait, leaves, n }] of list.entries()) {
      const controller = new AbortController();
      const start = async (): Promise<void> => {
        const token = naive.admit(performance.now());
        let isOver = false;
        const leave = (): void => {
          if (isOver || typeof token === 'number') return;
          isOver = true;
          naive.free(token);
        };
        let isEntered = false;
        const promise = breaker.execute(
          async () => {
            isEntered = true;
            await s.schedule(Promise.resolve(), `end ${i}`);
            if (!isOver) naive.report(token as Token, verdict, wait, performance.now());
            leave();
            const result = { verdict, headers: { 'retry-after-ms': wait } };
            if (n % 2 === 0) throw result;
            return result;
          },
          n % 3 === 0 ? { signal: controller.signal } : {},
        );
        settled.push(promise.catch((error: unknown) => error));
        expect(isEntered).toBe(typeof token === 'object');
        if (typeof token === 'number') {
          await expect(promise).rejects.toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: token });
        } else if (leaves && n % 3 === 0) {
          void s.schedule(Promise.resolve(), `abort ${i}`).then(() => {
            leave();
            controller.abort();
          });
        }
      };
      settled.push(s.schedule(Promise.resolve(), `start ${i}`).then(start));
      if (n % 2 === 0) {
        void s.schedule(Promise.resolve(), `advance ${n}`).then(() => {
          vi.advanceTimersByTime(n * 3);
        });
      }
    }
    while (s.count() > 0) {
      await s.waitOne();
      await turns();
      naive.look(performance.now());
      expect([breaker.state, breaker.getMetrics().failureRate]).toEqual([
        naive.state,
        naive.failureRate(performance.now()),
      ]);
    }
    await Promise.all(settled);
    expect(breaker.getMetrics()).toMatchObject({ timesOpened: naive.timesOpened, refused: naive.refused });
    expect(breaker.getMetrics().calls).toBe(list.length);
  });
});

/** The tasks above end with their verdict. */
function classify(result: Settled<unknown>): Verdict {
  const answer = result.status === 'fulfilled' ? result.value : result.reason;
  return (answer as { verdict: Verdict }).verdict;
}

describe('the window', () => {
  const events = fc.array(fc.tuple(fc.double({ min: 0, max: 60, noNaN: true }), fc.boolean()), {
    maxLength: 100,
    size: 'max',
  });

  property([fc.double({ min: 1, max: 500, noNaN: true }), events])(
    'has every result of the last 95 %, and none that is older than the window',
    (length, list) => {
      const window = new ResultWindow(length);
      const past: { readonly at: number; readonly isBad: boolean }[] = [];
      let time = 0;
      const between = (count: (isBad: boolean) => boolean, value: number): void => {
        const within = (age: number) => past.filter(({ at, isBad }) => time - at < age && count(isBad)).length;
        expect(value).toBeGreaterThanOrEqual(within(length * 0.95 - 1e-6));
        expect(value).toBeLessThanOrEqual(within(length + 1e-6));
      };
      for (const [gap, isBad] of list) {
        time += gap;
        window.moveTo(time);
        between(() => true, window.total);
        between((bad) => bad, window.bad);
        window.add(isBad, time);
        past.push({ at: time, isBad });
        between(() => true, window.total);
        between((bad) => bad, window.bad);
        expect(window.rate).toBe(window.bad / window.total);
      }
    },
  );

  property([events])('counts what comes at a time before the last one as if it came then', (list) => {
    const window = new ResultWindow(1_000);
    for (const [time, isBad] of list) {
      const { total, bad } = window;
      window.add(isBad, time);
      expect([window.total, window.bad]).toEqual([total + 1, bad + Number(isBad)]);
    }
  });
});

describe('probes', () => {
  const time = fc.nat({ max: 50 });

  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 5 }),
    fc.array(fc.tuple(fc.constantFrom('execute', 'acquire', 'place'), time), { minLength: 1, maxLength: 40 }),
  ])('never are more out than there are places, those that timed out and left aside', async (s, probes, list) => {
    const breaker = new CircuitBreaker({ probes, probeTimeout: 40 });
    breaker.forceOpen(10);
    vi.advanceTimersByTime(10);
    let out: { readonly until: number }[] = [];
    for (const [how, n] of list) {
      void s.schedule(Promise.resolve()).then(() => {
        vi.advanceTimersByTime(n % 10);
        if (breaker.state === 'closed') return;
        const trial = { until: performance.now() + 40 };
        const end = () => {
          out = out.filter((other) => other !== trial);
        };
        const isIn = (): void => {
          out = out.filter(({ until }) => until > performance.now());
          out.push(trial);
          expect(out.length).toBeLessThanOrEqual(probes);
        };
        if (how === 'execute') {
          breaker
            .execute(async () => {
              isIn();
              await s.schedule(Promise.resolve());
              end();
            })
            .catch(() => {});
          return;
        }
        const answer = how === 'place' ? breaker.tryPlace() : breaker.tryAcquire();
        if (answer instanceof CircuitOpenError) return;
        isIn();
        void s.schedule(Promise.resolve()).then(() => {
          end();
          (answer as Permit).release('ignore');
        });
      });
    }
    await s.waitFor(turns());
    while (s.count() > 0) await s.waitOne();
  });
});
