import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import type { AcquireRequest } from '../../../src/core/gate.js';
import type { Permit } from '../../../src/core/permit.js';
import { PromisePool } from '../../../src/pool/index.js';
import { property } from '../../support/runs.js';
import { logged, Room } from '../gates-support.js';
import { expectIdentity, Gauge, turns } from '../support.js';

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('execute' as const, 'acquire' as const),
      answer: fc.nat({ max: 5 }),
      tenant: fc.nat({ max: 2 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('abort' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('map' as const), items: fc.nat({ max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('clear' as const, 'pause' as const, 'resume' as const, 'close' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resize' as const), to: fc.integer({ min: 1, max: 4 }) }) },
);

/** What the permit of one request was told must be one of these, whatever happened. */
const LIVES = [
  ['release ignore'],
  ['started', 'report success', 'release ignore'],
  ['started', 'report failure', 'release ignore'],
  ['started', 'report ignore', 'release ignore'],
];

describe('gates beyond this process, in any order of events', () => {
  property([fc.scheduler(), fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 })])(
    'every caller is settled, every permit lives once, slots and places are conserved, and the identity holds at every step',
    async (s, steps, concurrency) => {
      const room = new Room(2);
      const lives: string[][] = [];
      const isGone: boolean[] = [];
      const gate = {
        acquire({ signal }: AcquireRequest = {}): Permit | Promise<Permit> {
          const index = lives.push([]) - 1;
          const give = (): Permit => logged(lives[index] as string[]);
          signal?.addEventListener('abort', () => {
            isGone[index] = true;
          });
          const kind = index % 6;
          if (kind === 0) return give();
          if (kind === 1) {
            lives.pop();
            lives.push(['refused']);
            throw new Error('shut');
          }
          // The late answer comes when the scheduler says so, whether it is still wanted or not.
          return s.schedule(Promise.resolve(), `answer ${index}`).then(() => {
            if (kind !== 2) return give();
            lives[index] = ['refused'];
            throw new Error('shut later');
          });
        },
      };
      const pool = new PromisePool({ concurrency, gates: [room, gate] });
      const gauge = new Gauge();
      const controls: AbortController[] = [];
      const all: Promise<unknown>[] = [];
      const check = () => {
        expectIdentity(pool);
        expect(pool.running).toBeLessThanOrEqual(4);
        expect(room.held).toBeLessThanOrEqual(2);
      };
      for (const [i, each] of steps.entries()) {
        const control = new AbortController();
        const options = { signal: control.signal, group: `${i % 3}` };
        if (each.do === 'execute') {
          controls.push(control);
          all.push(
            pool.execute(
              () =>
                gauge.around(async () => {
                  await s.schedule(Promise.resolve(), `work ${i}`);
                  if (each.answer === 0) throw new Error('failed');
                }),
              options,
            ),
          );
        } else if (each.do === 'acquire') {
          controls.push(control);
          all.push(
            pool.acquire(options).then(async (permit) => {
              gauge.enter();
              await s.schedule(Promise.resolve(), `hold ${i}`);
              gauge.leave();
              permit.release();
            }),
          );
        } else if (each.do === 'map') {
          controls.push(control);
          const work = () => gauge.around(() => s.schedule(Promise.resolve(), `item of ${i}`));
          all.push(pool.map(Array(each.items).fill(i), work, { signal: control.signal }));
        } else if (each.do === 'abort') {
          const chosen = controls[each.which % Math.max(1, controls.length)];
          const before = pool.queued;
          chosen?.abort('left');
          expect(pool.queued).toBeLessThanOrEqual(before);
        } else if (each.do === 'resize') {
          pool.concurrency = each.to;
        } else if (each.do === 'clear') {
          pool.clear('cleared');
        } else if (each.do === 'pause') {
          pool.pause();
        } else if (each.do === 'resume') {
          pool.resume();
        } else if (i % 3 === 0) {
          void pool.close({ grace: i % 2 === 0 ? 0 : Number.POSITIVE_INFINITY, abortGrace: Number.POSITIVE_INFINITY });
        }
        check();
        if (i % 3 === 0 && s.count() > 0) await s.waitOne();
        await turns(3);
        check();
      }
      pool.resume();
      await s.waitFor(Promise.allSettled(all));
      // Late answers of those who had left.
      await s.waitIdle();
      await turns(20);
      check();
      expect(gauge.now).toBe(0);
      expect(gauge.max).toBeLessThanOrEqual(4);
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0 });
      expect(room).toMatchObject({ held: 0, wakes: new Set() });
      for (const life of lives) if (life[0] !== 'refused') expect(LIVES).toContainEqual(life);
      // Whose request was given up never started.
      for (const [i, life] of lives.entries()) if (isGone[i]) expect(life).not.toContain('started');
    },
  );
});
