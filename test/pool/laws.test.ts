import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { expectIdentity, Gauge, turns } from './support.js';

/** How a task behaves. */
const behaviour = fc.constantFrom('value', 'promise', 'thenable', 'reject', 'throw', 'reject undefined');
type Behaviour = 'value' | 'promise' | 'thenable' | 'reject' | 'throw' | 'reject undefined';

function act(kind: Behaviour, i: number, wait: () => Promise<unknown>): unknown {
  switch (kind) {
    case 'value':
      return i;
    case 'promise':
      return wait().then(() => i);
    case 'thenable':
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
      return { then: (resolve: (value: number) => void) => void wait().then(() => resolve(i)) };
    case 'reject':
      return wait().then(() => Promise.reject(new Error(`rejected ${i}`)));
    case 'throw':
      throw new Error(`thrown ${i}`);
    case 'reject undefined':
      return wait().then(() => Promise.reject(undefined));
  }
}

const settledAs = (kind: Behaviour): string =>
  ['value', 'promise', 'thenable'].includes(kind) ? 'fulfilled' : 'rejected';

describe('the laws of the pool', () => {
  property([fc.scheduler(), fc.integer({ min: 1, max: 5 }), fc.array(behaviour, { maxLength: 30 })])(
    'limit, FIFO, settlement and the identity of the counters hold for any task in any order of events',
    async (s, concurrency, kinds) => {
      const pool = new PromisePool({ concurrency });
      const gauge = new Gauge();
      const started: number[] = [];
      const settled = Promise.allSettled(
        kinds.map((kind, i) =>
          pool.execute(async () => {
            started.push(i);
            expectIdentity(pool);
            expect(pool.running).toBeLessThanOrEqual(concurrency);
            return gauge.around(async () => act(kind, i, () => s.schedule(Promise.resolve())));
          }),
        ),
      );
      const outcomes = await s.waitFor(settled);
      expect(gauge.max).toBeLessThanOrEqual(concurrency);
      expect(started).toEqual(kinds.map((_, i) => i));
      expect(outcomes.map(({ status }) => status)).toEqual(kinds.map(settledAs));
      await turns();
      expectIdentity(pool);
      expect(pool.getMetrics()).toMatchObject({
        calls: kinds.length,
        running: 0,
        queued: 0,
        overdue: 0,
        peakRunning: Math.min(concurrency, kinds.length),
      });
    },
  );

  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 4 }),
    fc.array(fc.record({ kind: behaviour, aborts: fc.option(fc.nat({ max: 40 }), { nil: undefined }) }), {
      maxLength: 25,
    }),
  ])(
    'conservation of slots: after any aborts, at any moment, every slot can be taken again',
    async (s, concurrency, tasks) => {
      const pool = new PromisePool({ concurrency });
      const gauge = new Gauge();
      const results = tasks.map(({ kind, aborts }, i) => {
        const controller = new AbortController();
        if (aborts === 0) controller.abort(`pre ${i}`);
        else if (aborts !== undefined)
          void s.schedule(Promise.resolve(), `abort ${i}`).then(() => controller.abort(`abort ${i}`));
        return pool.execute(() => gauge.around(async () => act(kind, i, () => s.schedule(Promise.resolve()))), {
          signal: controller.signal,
        });
      });
      const outcomes = await s.waitFor(Promise.allSettled(results));
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === 'rejected' && typeof outcome.reason === 'string')
          expect(outcome.reason).toMatch(new RegExp(`(abort|pre) ${i}$`));
      }
      await s.waitFor(pool.onIdle());
      expectIdentity(pool);
      expect(gauge.max).toBeLessThanOrEqual(concurrency);
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0 });
      const again = new Gauge();
      let release!: () => void;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      const refill = Array.from({ length: concurrency }, () => pool.execute(() => again.around(gate)));
      expect(again.now).toBe(concurrency);
      release();
      await Promise.all(refill);
    },
  );

  property([
    fc.scheduler(),
    fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 0, max: 30 }),
  ])(
    'a limit that changes at any moment is never exceeded by what starts after the change',
    async (s, limits, first, count) => {
      const pool = new PromisePool({ concurrency: first });
      let running = 0;
      const all = Array.from({ length: count }, () =>
        pool.execute(async () => {
          running++;
          expect(running).toBeLessThanOrEqual(pool.concurrency);
          await s.schedule(Promise.resolve());
          running--;
        }),
      );
      for (const limit of limits) {
        void s.schedule(Promise.resolve()).then(() => {
          pool.concurrency = limit;
          // Growth starts waiting work in the same turn.
          expect(pool.running >= limit || pool.queued === 0).toBe(true);
        });
      }
      await s.waitFor(Promise.all(all));
      expect(pool.running).toBe(0);
    },
  );

  property([fc.scheduler(), fc.integer({ min: 1, max: 4 }), fc.array(behaviour, { maxLength: 20 }), fc.boolean()])(
    'throwing and rejecting hooks change nothing',
    async (s, concurrency, kinds, rejects) => {
      const run = async (hooks: object | undefined): Promise<unknown> => {
        const pool = new PromisePool({ concurrency, maxQueue: 10, hooks });
        const outcomes = await Promise.allSettled(
          kinds.map((kind, i) => pool.execute(() => act(kind, i, () => Promise.resolve()))),
        );
        await pool.onIdle();
        const { waitMs: _, runMs: __, ...counters } = pool.getMetrics();
        return {
          outcomes: outcomes.map((each) => (each.status === 'fulfilled' ? each.value : String(each.reason))),
          counters,
        };
      };
      const names = ['onQueue', 'onStart', 'onSettle', 'onRefuse', 'onOverdue', 'onAbandon', 'onIdle', 'onLimitChange'];
      const fail = () => {
        if (rejects) return Promise.reject(new Error('hook'));
        throw new Error('hook');
      };
      const complaints = mute();
      try {
        const [plain, hooked] = await s.waitFor(
          Promise.all([run(undefined), run(Object.fromEntries(names.map((name) => [name, fail])))]),
        );
        expect(hooked).toEqual(plain);
      } finally {
        complaints.restore();
      }
    },
  );
});

function mute(): { restore(): void } {
  const { error } = console;
  console.error = () => {};
  return {
    restore() {
      console.error = error;
    },
  };
}
