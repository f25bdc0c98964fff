import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fifo } from '../../src/core/fifo.js';
import { property } from '../support/runs.js';

describe('Fifo', () => {
  // Lengths around a block (256) and the ways across its borders are what can go wrong.
  const command = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('push'), n: fc.integer({ min: 1, max: 600 }) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('shift'), n: fc.integer({ min: 1, max: 600 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('filter'), n: fc.integer({ min: 1, max: 5 }) }) },
  );

  property([fc.array(command, { maxLength: 40, size: 'max' })])(
    'is an array that is pushed and shifted',
    (commands) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { kind, n } of commands) {
        if (kind === 'push') {
          for (let i = 0; i < n; i++) {
            fifo.push(next);
            model.push(next++);
          }
        } else if (kind === 'shift') {
          for (let i = 0; i < n; i++) {
            expect(fifo.peek()).toBe(model[0]);
            expect(fifo.shift()).toBe(model.shift());
          }
        } else {
          const seen: number[] = [];
          fifo.filter((item) => {
            seen.push(item);
            return item % n === 0;
          });
          expect(seen).toEqual(model);
          model = model.filter((item) => item % n === 0);
        }
        expect(fifo.length).toBe(model.length);
        expect(fifo.peek()).toBe(model[0]);
      }
      while (model.length > 0) expect(fifo.shift()).toBe(model.shift());
      expect([fifo.length, fifo.shift(), fifo.peek()]).toEqual([0, undefined, undefined]);
    },
  );

  test('holds falsy items as any other', () => {
    const fifo = new Fifo<unknown>();
    const items = [undefined, null, 0, '', false, Number.NaN];
    for (const item of items) fifo.push(item);
    expect(items.map(() => fifo.shift())).toEqual(items);
    expect(fifo.length).toBe(0);
  });

  test('takes a million through in time that grows as their number', () => {
    const time = (n: number) => {
      const fifo = new Fifo<number>();
      const started = process.cpuUsage();
      for (let i = 0; i < n; i++) fifo.push(i);
      let sum = 0;
      for (let i = 0; i < n; i++) sum += fifo.shift() as number;
      expect(sum).toBe((n * (n - 1)) / 2);
      return process.cpuUsage(started).user;
    };
    time(10_000);
    const small = Math.max(time(100_000), 2_000);
    // Quadratic would be 100.
    expect(time(1_000_000) / small).toBeLessThan(50);
  });
});
