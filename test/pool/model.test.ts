import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { NaiveLanes } from './naive-lanes.js';
import { type Deferred, deferred, expectIdentity, turns } from './support.js';

const LEVELS = ['high', 'normal', 'low'] as const;
const GROUPS = ['', 'a', 'b'];

type Outcome = 'waiting' | 'running' | 'fulfilled' | 'rejected' | 'aborted' | 'refused';

/** The pool in plain words: a list of those who wait, a set of those who run, and what their callers were told. */
class NaivePool {
  readonly told: Outcome[] = [];
  /** Tasks in a slot, those whose caller was told included. */
  readonly running = new Map<number, string>();
  readonly lanes: NaiveLanes<number>;
  isPaused = false;
  isClosed = false;

  constructor(
    public limit: number,
    readonly maxQueue: number,
    perGroup: number,
  ) {
    this.lanes = new NaiveLanes(perGroup);
  }

  execute(id: number, level: number, group: string): void {
    if (this.isClosed) {
      this.told[id] = 'refused';
      return;
    }
    this.told[id] = 'waiting';
    this.lanes.push(id, level, group);
    const before = this.lanes.waiting.length;
    this.start();
    if (this.told[id] !== 'waiting' || before - 1 < this.maxQueue) return;
    this.lanes.remove(id);
    this.told[id] = 'refused';
  }

  start(): void {
    while (!this.isPaused && this.running.size < this.limit) {
      const groupOf = new Map(this.lanes.waiting.map(({ item, group }) => [item, group]));
      const next = this.lanes.take();
      if (next === undefined) return;
      this.running.set(next, groupOf.get(next) as string);
      this.told[next] = 'running';
    }
  }

  settle(id: number, outcome: 'fulfilled' | 'rejected'): void {
    const group = this.running.get(id);
    if (group === undefined) return;
    this.running.delete(id);
    if (this.told[id] === 'running') this.told[id] = outcome;
    this.lanes.leave(group);
    this.start();
  }

  abort(id: number): void {
    if (this.told[id] === 'waiting') this.lanes.remove(id);
    if (this.told[id] === 'waiting' || this.told[id] === 'running') this.told[id] = 'aborted';
  }

  clear(): void {
    for (const { item } of [...this.lanes.waiting]) {
      this.lanes.remove(item);
      this.told[item] = 'refused';
    }
  }

  close(now: boolean): void {
    this.isClosed = true;
    this.isPaused = false;
    if (now) {
      this.clear();
      for (const id of this.running.keys()) if (this.told[id] === 'running') this.told[id] = 'aborted';
    }
    this.start();
  }
}

const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('execute' as const),
      level: fc.nat({ max: 2 }),
      group: fc.constantFrom(...GROUPS),
      isThenable: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(), well: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('abort' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resize' as const), to: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'clear' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), now: fc.boolean() }) },
);

const failing = () => {
  throw new Error('hook');
};

describe('the pool and its naive model', () => {
  property([
    fc.array(operation, { maxLength: 80 }),
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom(0, 2, Number.POSITIVE_INFINITY),
    fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
    fc.boolean(),
  ])(
    'agree on who waits, who runs and what everybody was told, after every operation',
    async (operations, limit, maxQueue, perGroup, hooked) => {
      const { error: show } = console;
      console.error = () => {};
      const hooks = hooked
        ? {
            onQueue: failing,
            onStart: failing,
            onSettle: failing,
            onRefuse: failing,
            onOverdue: failing,
            onIdle: failing,
          }
        : undefined;
      const pool = new PromisePool({ concurrency: limit, maxQueue, perGroup: { concurrency: perGroup }, hooks });
      const model = new NaivePool(limit, maxQueue, perGroup);
      const told: Outcome[] = [];
      const work: Deferred<void>[] = [];
      const controllers: AbortController[] = [];
      const inside = new Set<number>();

      const execute = (id: number, level: number, group: string, isThenable: boolean): void => {
        const control = new AbortController();
        const done = deferred();
        controllers.push(control);
        work.push(done);
        told[id] = 'waiting';
        const run = (): Promise<void> => {
          inside.add(id);
          told[id] = 'running';
          return done.promise.finally(() => inside.delete(id));
        };
        const thenable: PromiseLike<void> = {
          // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
          then: (yes, no) => run().then(yes, no),
        };
        const task = isThenable ? () => thenable : run;
        pool
          .execute(task, { signal: control.signal, priority: LEVELS[level], group: group === '' ? undefined : group })
          .then(
            () => {
              told[id] = 'fulfilled';
            },
            (reason: unknown) => {
              const code = (reason as { code?: string } | undefined)?.code;
              if (reason === 'left' || reason === 'closed') told[id] = 'aborted';
              else told[id] = code === undefined ? 'rejected' : 'refused';
            },
          );
      };

      for (const each of operations) {
        const pick = (which: number) => which % Math.max(1, work.length);
        if (each.do === 'execute') {
          execute(work.length, each.level, each.group, each.isThenable);
          model.execute(work.length - 1, each.level, each.group);
        } else if (each.do === 'settle' && work.length > 0) {
          const id = [...model.running.keys()][each.which % Math.max(1, model.running.size)];
          if (id === undefined) continue;
          if (each.well) work[id]?.resolve();
          else work[id]?.reject(undefined);
          model.settle(id, each.well ? 'fulfilled' : 'rejected');
        } else if (each.do === 'abort' && work.length > 0) {
          controllers[pick(each.which)]?.abort('left');
          model.abort(pick(each.which));
        } else if (each.do === 'resize') {
          pool.concurrency = each.to;
          model.limit = each.to;
          model.start();
        } else if (each.do === 'pause') {
          pool.pause();
          model.isPaused = !model.isClosed;
        } else if (each.do === 'resume') {
          pool.resume();
          model.isPaused = false;
          model.start();
        } else if (each.do === 'clear') {
          pool.clear();
          model.clear();
        } else if (each.do === 'close') {
          void pool.close({
            grace: each.now ? 0 : Number.POSITIVE_INFINITY,
            reason: 'closed',
            abortGrace: Number.POSITIVE_INFINITY,
          });
          model.close(each.now);
        }
        expectIdentity(pool);
        await turns(12);
        expectIdentity(pool);
        expect([...inside].sort()).toEqual([...model.running.keys()].sort());
        expect(told).toEqual(model.told);
        expect(pool.getMetrics()).toMatchObject({ running: model.running.size, queued: model.lanes.waiting.length });
      }
      for (const { resolve } of work) resolve();
      pool.resume();
      pool.clear();
      await pool.onIdle();
      expectIdentity(pool);
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0 });
      console.error = show;
    },
  );
});
