import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { gatherAllSettled } from '../../src/batch/index.js';
import { Gauge, never, rejection, turns } from './support.js';

describe('gatherAllSettled', () => {
  test('what arrived and what failed, by name', async () => {
    const error = new Error('down');
    const report = await gatherAllSettled({
      user: async () => ({ id: 1 }),
      count: () => 0,
      nothing: () => undefined,
      broken: () => Promise.reject(error),
      thrown: () => {
        throw undefined;
      },
    });
    expect(report.ok).toBe(false);
    expect(report.values).toEqual({ user: { id: 1 }, count: 0, nothing: undefined });
    expect('nothing' in report.values).toBe(true);
    expect(Object.keys(report.errors)).toEqual(['broken', 'thrown']);
    expect(report.errors.broken).toBe(error);
    expect(report.results).toEqual({
      user: { status: 'fulfilled', value: { id: 1 } },
      count: { status: 'fulfilled', value: 0 },
      nothing: { status: 'fulfilled', value: undefined },
      broken: { status: 'rejected', reason: error },
      thrown: { status: 'rejected', reason: undefined },
    });
  });

  test('unwrap gives all of it, or throws all reasons; it may be detached', async () => {
    const { unwrap } = await gatherAllSettled({ a: () => 1, b: async () => 'x' });
    expect(unwrap()).toEqual({ a: 1, b: 'x' });
    const failing = await gatherAllSettled({ a: () => 1, b: () => Promise.reject('b'), c: () => Promise.reject('c') });
    const error = await rejection(Promise.resolve().then(failing.unwrap));
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toEqual(['b', 'c']);
    expect((error as Error).message).toBe('2 of 3 tasks failed: b, c');
  });

  test('all start inside the call, in order; or a few at a time', async () => {
    const started: string[] = [];
    const gauge = new Gauge();
    const task = (name: string) => () => {
      started.push(name);
      return gauge.around(() => Promise.resolve());
    };
    const names = [...'abcdefgh'];
    const running = gatherAllSettled(Object.fromEntries(names.map((name) => [name, task(name)])));
    expect(started).toEqual(names);
    await running;
    expect(gauge.max).toBe(8);
    gauge.max = 0;
    await gatherAllSettled(Object.fromEntries(names.map((name) => [name, task(name)])), { concurrency: 2 });
    expect(gauge.max).toBe(2);
  });

  test('no tasks are no failure', async () => {
    expect(await gatherAllSettled({})).toMatchObject({ ok: true, results: {}, values: {}, errors: {} });
  });

  test('symbols, inherited and hidden names are no tasks', async () => {
    const tasks = Object.create({ inherited: () => 1 });
    tasks.own = () => 2;
    tasks[Symbol('s')] = () => 3;
    Object.defineProperty(tasks, 'hidden', { value: () => 4 });
    expect((await gatherAllSettled(tasks)).values).toEqual({ own: 2 });
  });

  test.each(['__proto__', 'constructor', 'toString', '', '0'])('%j is a name like any other', async (name) => {
    const tasks = Object.fromEntries([
      [name, () => ({ polluted: true })],
      ['other', () => Promise.reject('no')],
    ]);
    const { values, results, errors } = await gatherAllSettled(tasks);
    expect(Object.entries(values)).toEqual([[name, { polluted: true }]]);
    expect(Object.keys(results).sort()).toEqual([name, 'other'].sort());
    expect(Object.getPrototypeOf(values)).toBe(Object.prototype);
    expect((values as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.keys(errors)).toEqual(['other']);
  });

  test('a name that failed is not among the values', async () => {
    const tasks = Object.fromEntries([['__proto__', () => Promise.reject('no')]]);
    const { values, errors } = await gatherAllSettled(tasks);
    expect(Object.keys(values)).toEqual([]);
    expect(Object.entries(errors)).toEqual([['__proto__', 'no']]);
  });

  test('on an abort what is not done is rejected with the reason itself, at once', async () => {
    const control = new AbortController();
    const seen: unknown[] = [];
    const running = gatherAllSettled(
      {
        done: () => 1,
        hanging: ({ signal }) => {
          signal.addEventListener('abort', () => seen.push(signal.reason));
          return never();
        },
        unstarted: () => 2,
      },
      { signal: control.signal, concurrency: 1 },
    );
    await turns();
    control.abort(0);
    const report = await running;
    expect(report.values).toEqual({ done: 1 });
    expect(report.errors).toEqual({ hanging: 0, unstarted: 0 });
    expect(report.ok).toBe(false);
    expect(report.unwrap).toThrow(AggregateError);
    expect(seen).toEqual([0]);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
  });

  test('with an aborted signal nothing runs', async () => {
    const report = await gatherAllSettled(
      {
        a: () => {
          throw new Error('it ran');
        },
      },
      { signal: AbortSignal.abort('no') },
    );
    expect(report.errors).toEqual({ a: 'no' });
  });

  test('options of a batch that it does not have are ignored', async () => {
    const onProgress = vi.fn();
    const others = { delay: 3_600_000, onProgress };
    const report = await gatherAllSettled({ a: () => 1, b: () => 2 }, others as object);
    expect(report.ok).toBe(true);
    expect(onProgress).not.toHaveBeenCalled();
  });
});
