import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { deferred, expectIdentity, Gauge, rejection, turns } from './support.js';

const hang = () => new Promise<never>(() => {});

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

describe('stream', () => {
  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 4 }),
    fc.array(fc.nat(), { maxLength: 20, size: 'max' }),
    fc.constantFrom('input' as const, 'completion' as const),
    fc.option(fc.nat({ max: 6 }), { nil: undefined }),
    fc.boolean(),
  ])(
    'yields every result once, in its order, and never pulls further ahead than it may',
    async (s, limit, items, order, buffer, isAsync) => {
      const pool = new PromisePool({ concurrency: limit });
      const gauge = new Gauge();
      const bound = Math.max(limit, buffer ?? limit);
      const completed: number[] = [];
      let pulled = 0;
      let read = 0;
      function* source() {
        for (const [i] of items.entries()) {
          pulled++;
          expect(pulled - read).toBeLessThanOrEqual(bound);
          yield i;
        }
      }
      async function* later() {
        for (const i of source()) {
          await s.schedule(Promise.resolve());
          yield i;
        }
      }
      const work = (i: number) =>
        gauge.around(async () => {
          await s.schedule(Promise.resolve());
          completed.push(i);
          return i;
        });
      const stream = pool.stream(isAsync ? later() : source(), work, { order, buffer });
      expect(pulled).toBe(0);
      const seen: number[] = [];
      await s.waitFor(
        (async () => {
          for await (const i of stream) {
            read++;
            seen.push(i);
            await s.schedule(Promise.resolve());
          }
        })(),
      );
      expect(seen).toEqual(order === 'input' ? items.map((_, i) => i) : completed);
      expect(gauge.max).toBeLessThanOrEqual(limit);
      expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, calls: items.length });
      expectIdentity(pool);
    },
  );

  // POOL-64 hwp#7: no output until the buffer was full. BATCH-13 p-map#72: the head blocks.
  test('yields a result as soon as it is there', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const gates = [deferred<string>(), deferred<string>()];
    const inOrder = pool.stream(gates, (gate) => gate.promise);
    const byCompletion = pool.stream([1, 2], (i) => (i === 1 ? hang() : 'second'), { order: 'completion' });
    const first = inOrder.next();
    gates[0]?.resolve('first');
    expect(await first).toEqual({ done: false, value: 'first' });
    gates[1]?.resolve('done');
    expect(await collect(inOrder)).toEqual(['done']);
    expect(await byCompletion.next()).toEqual({ done: false, value: 'second' });
    await byCompletion.return();
  });

  test('leaving the loop aborts what runs and closes the source, also while next() is pending', async () => {
    const pool = new PromisePool({ concurrency: 2 });
    const signals: AbortSignal[] = [];
    let closed = 0;
    function* source() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        closed++;
      }
    }
    for await (const i of pool.stream(source(), (i, { signal }) => {
      signals.push(signal);
      return i === 0 ? i : hang();
    })) {
      expect(i).toBe(0);
      break;
    }
    expect(closed).toBe(1);
    expect(signals.slice(1).every(({ aborted }) => aborted)).toBe(true);
    const stuck = pool.stream(source(), hang, { concurrency: 1 });
    const pending = stuck.next();
    await stuck.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(await stuck.next()).toEqual({ done: true, value: undefined });
    expect(closed).toBe(2);
    expectIdentity(pool);
  });

  test('an error is thrown once, after what is ready in order, and after what runs has ended', async () => {
    const pool = new PromisePool({ concurrency: 3 });
    const gauge = new Gauge();
    const failure = new Error('third');
    const stream = pool.stream([0, 1, 2, 3, 4], (i) =>
      gauge.around(async () => {
        await turns(i === 3 ? 40 : i * 4);
        if (i === 2) throw failure;
        return i;
      }),
    );
    expect(await stream.next()).toEqual({ done: false, value: 0 });
    await turns(100);
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    expect(await rejection(stream.next())).toBe(failure);
    expect(gauge.now).toBe(0);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('a signal ends it at once; one that is aborted before starts nothing', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const control = new AbortController();
    const stream = pool.stream([1], hang, { signal: control.signal });
    const next = rejection(stream.next());
    control.abort('why');
    expect(await next).toBe('why');
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    const work = vi.fn();
    expect(await rejection(pool.stream([1], work, { signal: control.signal }).next())).toBe('why');
    expect(work).not.toHaveBeenCalled();
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
  });

  // POOL-67 (its family): what nobody reads stayed on the signal for as long as that lived.
  test('one that is never read leaves no listener; one whose signal aborts before it is read, throws', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const control = new AbortController();
    const stream = pool.stream([1], (x) => x, { signal: control.signal });
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    control.abort('why');
    expect(await rejection(stream.next())).toBe('why');
  });

  test('bad arguments throw at once', () => {
    const pool = new PromisePool({ concurrency: 1 });
    expect(() => pool.stream(5 as never, () => 1)).toThrow(TypeError);
    expect(() => pool.stream([1], 5 as never)).toThrow(TypeError);
    for (const options of [{ order: 'random' }, { buffer: -1 }, { buffer: Number.NaN }, { concurrency: 0 }]) {
      expect(() => pool.stream([1], () => 1, options as never)).toThrow(RangeError);
    }
  });

  test('a stream that nobody reads does not hold up onIdle or close, and is over then', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const stream = pool.stream([1, 2, 3], (i) => i);
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    await turns(); // The second result is made, and waits for its reader.
    await pool.onIdle();
    expect(await pool.close()).toMatchObject({ left: [] });
    expect(await stream.next()).toEqual({ done: false, value: 2 });
    expect(await rejection(stream.next())).toMatchObject({ code: 'CLOSED' });
    expect(await rejection(pool.stream([1], (i) => i).next())).toMatchObject({ code: 'CLOSED' });
  });

  test('throw() rejects with its error and ends the stream', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const stream = pool.stream([1, 2], (i) => i);
    await stream.next();
    expect(await rejection(stream.throw(new Error('mine')))).toMatchObject({ message: 'mine' });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  // POOL-74 supercharge#90: processed items were kept for ever.
  test('100,000 items through a stream leave nothing behind', async () => {
    const pool = new PromisePool({ concurrency: 10 });
    let sum = 0;
    for await (const i of pool.stream(Array(100_000).keys(), (i) => i, { order: 'completion' })) sum += i;
    expect(sum).toBe((99_999 * 100_000) / 2);
    expect(pool.getMetrics()).toMatchObject({ fulfilled: 100_000, running: 0 });
  });
});
