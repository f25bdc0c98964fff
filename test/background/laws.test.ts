import * as fc from 'fast-check';
import { afterAll, describe, expect, vi } from 'vitest';
import { BackgroundTasks, type TaskHandle, type TaskOutcome } from '../../src/background/index.js';
import { property } from '../support/runs.js';
import { type Deferred, deferred, settle, silenceConsole, watchUnhandled } from './helpers.js';

interface Entry {
  readonly id: number;
  readonly handle: TaskHandle;
  readonly work: Deferred;
  readonly outcomes: TaskOutcome[];
}

type Status = TaskOutcome['status'];

/** The group as anybody would write it without a thought of cost: two lists. */
class Model {
  running: number[] = [];
  queue: number[] = [];
  /** Have an outcome, but their work goes on. */
  overdue = new Set<number>();
  entered: number[] = [];
  outcomes = new Map<number, Status>();
  accepted = 0;

  constructor(
    readonly concurrency: number,
    readonly maxQueue: number,
    readonly overflow: 'reject' | 'drop-oldest',
  ) {}

  run(id: number): void {
    if (this.running.length < this.concurrency) {
      this.running.push(id);
      this.entered.push(id);
    } else if (this.queue.length < this.maxQueue) {
      this.queue.push(id);
    } else if (this.overflow === 'drop-oldest' && this.queue.length > 0) {
      this.outcomes.set(this.queue.shift() as number, 'refused');
      this.queue.push(id);
    } else {
      this.outcomes.set(id, 'refused');
      return;
    }
    this.accepted++;
  }

  end(id: number, status: Status): void {
    if (!this.running.includes(id)) return;
    if (!this.overdue.delete(id)) this.outcomes.set(id, status);
    this.running.splice(this.running.indexOf(id), 1);
    const next = this.queue.shift();
    if (next !== undefined) {
      this.running.push(next);
      this.entered.push(next);
    }
  }

  cancel(id: number): void {
    if (this.outcomes.has(id)) return;
    this.outcomes.set(id, 'cancelled');
    if (this.queue.includes(id)) this.queue.splice(this.queue.indexOf(id), 1);
    else this.overdue.add(id);
  }

  count(status: Status): number {
    return [...this.outcomes.values()].filter((each) => each === status).length;
  }
}

const falsyOrNot = fc.constantFrom<unknown>(undefined, null, 0, '', false, new Error('x'), Number.NaN);

afterAll(() => {
  vi.restoreAllMocks();
});

describe('laws of the background', () => {
  const command = fc.record({
    kind: fc.constantFrom('run', 'run', 'fulfil', 'fail', 'cancel'),
    pick: fc.nat(),
    reason: falsyOrNot,
  });

  property([
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 0, max: 4 }),
    fc.constantFrom<'reject' | 'drop-oldest'>('reject', 'drop-oldest'),
    fc.array(command, { maxLength: 60, size: 'max' }),
  ])(
    'places, order, outcomes and counters are those of two plain lists, whatever runs, ends and is cancelled',
    async (concurrency, maxQueue, overflow, commands) => {
      const model = new Model(concurrency, maxQueue, overflow);
      const told: unknown[] = [];
      const entered: number[] = [];
      const settled: Status[] = [];
      let inside = 0;
      let peak = 0;
      const group = new BackgroundTasks({
        concurrency,
        maxQueue,
        overflow,
        onError: (error) => told.push(error),
        hooks: { onSettle: ({ outcome }) => settled.push(outcome.status) },
      });
      const entries: Entry[] = [];

      for (const { kind, pick, reason } of commands) {
        const entry = entries[pick % Math.max(1, entries.length)];
        if (kind === 'run') {
          const id = entries.length;
          const work = deferred();
          const handle = group.run(async () => {
            entered.push(id);
            peak = Math.max(peak, ++inside);
            try {
              await work.promise;
            } finally {
              inside--;
            }
          });
          const outcomes: TaskOutcome[] = [];
          void handle.done.then((outcome) => outcomes.push(outcome));
          entries.push({ id, handle, work, outcomes });
          model.run(id);
        } else if (entry !== undefined && kind === 'cancel') {
          entry.handle.cancel(reason);
          model.cancel(entry.id);
        } else if (entry !== undefined && model.running.includes(entry.id)) {
          // Only work that has begun can end.
          if (kind === 'fulfil') entry.work.resolve(reason);
          else entry.work.reject(reason);
          model.end(entry.id, kind === 'fulfil' ? 'fulfilled' : 'rejected');
        }
        await settle();

        expect(entered).toEqual(model.entered);
        expect(group.running).toBe(model.running.length);
        expect(group.queued).toBe(model.queue.length);
        for (const { id, outcomes } of entries)
          expect(outcomes.map(({ status }) => status)[0]).toBe(model.outcomes.get(id));
        const metrics = group.getMetrics();
        expect(metrics).toMatchObject({
          accepted: model.accepted,
          fulfilled: model.count('fulfilled'),
          failed: model.count('rejected'),
          cancelled: model.count('cancelled'),
          refused: model.count('refused'),
        });
        // Each failure and each refusal is told once, a cancellation never; each outcome reaches the hook once.
        expect(told).toHaveLength(metrics.failed + metrics.refused);
        expect(settled).toHaveLength(model.outcomes.size);
        expect(peak).toBeLessThanOrEqual(concurrency);
      }
      for (const { outcomes } of entries) expect(outcomes.length).toBeLessThanOrEqual(1);
    },
  );

  const kinds: Record<string, (reason: unknown, sleep: () => Promise<unknown>) => unknown> = {
    value: (reason) => reason,
    throw: (reason) => {
      throw reason;
    },
    resolve: async (reason, sleep) => {
      await sleep();
      return reason;
    },
    reject: async (reason, sleep) => {
      await sleep();
      throw reason;
    },
    thenable: (reason) => ({
      // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
      then: (_resolve: unknown, reject: (reason: unknown) => void) => reject(reason),
    }),
    throwingThen: (reason) => ({
      // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
      get then() {
        throw reason;
      },
    }),
    never: () => new Promise(() => {}),
  };
  property([
    fc.scheduler(),
    fc.array(fc.tuple(fc.constantFrom(...Object.keys(kinds)), falsyOrNot, fc.boolean()), {
      maxLength: 20,
      size: 'max',
    }),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom('throws', 'rejects', 'console'),
  ])(
    'whatever a task does, its handle settles once, and nothing is unhandled',
    async (scheduler, tasks, concurrency, handler) => {
      const unhandled = watchUnhandled();
      silenceConsole();
      const onError =
        handler === 'throws'
          ? () => {
              throw new Error('handler');
            }
          : handler === 'rejects'
            ? () => Promise.reject(new Error('handler'))
            : undefined;
      const group = new BackgroundTasks({ concurrency, maxQueue: 10, onError: onError as () => void });
      const settled = tasks.map(() => 0);
      const handles = tasks.map(([kind, reason, cancels], i) => {
        const handle = group.run(() => kinds[kind]?.(reason, () => scheduler.schedule(Promise.resolve())));
        void handle.done.then(() => {
          (settled[i] as number)++;
        });
        if (cancels) scheduler.schedule(Promise.resolve()).then(() => handle.cancel(reason));
        return handle;
      });
      await scheduler.waitAll();
      await settle();
      const report = await group.close({ grace: 0, abortGrace: 0 });
      const outcomes = await Promise.all(handles.map(({ done }) => done));
      expect(settled.every((times) => times === 1)).toBe(true);

      const counted = (status: Status) => outcomes.filter((outcome) => outcome.status === status).length;
      expect(group.getMetrics()).toMatchObject({
        fulfilled: counted('fulfilled'),
        failed: counted('rejected'),
        cancelled: counted('cancelled'),
        refused: counted('refused'),
        running: report.left.length,
        queued: 0,
      });
      expect(await unhandled()).toEqual([]);
    },
  );

  interface Tree {
    readonly when: 'during' | 'after';
    readonly children: readonly Tree[];
  }
  const when = fc.constantFrom<'during' | 'after'>('during', 'after');
  const trees = (depth: number): fc.Arbitrary<Tree[]> => {
    const children = depth === 0 ? fc.constant([]) : trees(depth - 1);
    return fc.array(fc.record({ when, children }), { maxLength: 3 });
  };
  property([fc.scheduler(), trees(3), fc.integer({ min: 1, max: 3 })])(
    'drain resolves when nothing is left, whatever is born meanwhile',
    async (scheduler, forest, concurrency) => {
      const group = new BackgroundTasks({ concurrency });
      let born = 0;
      let ended = 0;
      const plant = ({ when, children }: Tree): void => {
        born++;
        const { done } = group.run(async () => {
          await scheduler.schedule(Promise.resolve());
          if (when === 'during') children.forEach(plant);
          await scheduler.schedule(Promise.resolve());
          ended++;
        });
        if (when === 'after') void done.then(() => children.forEach(plant));
      };
      forest.forEach(plant);
      let report: unknown;
      const drained = group.drain().then((value) => {
        report = value;
        expect(ended).toBe(born);
        expect([group.running, group.queued]).toEqual([0, 0]);
      });
      await scheduler.waitFor(drained);
      expect(report).toEqual({ clean: true, finished: born, aborted: 0, refused: 0, left: [] });
    },
  );
});
