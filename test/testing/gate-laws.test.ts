import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Gate } from '../../src/core/gate.js';
import { gateLaws } from '../../src/testing/index.js';
import {
  Closed,
  CostLimiter,
  HourlyLimiter,
  LocalSemaphore,
  Refusing,
  RemoteSemaphore,
  Semaphore,
  Unbounded,
} from './gates.js';
import { judge } from './support.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Gates of all kinds that keep their promises, and how long a law may take, ms. */
const gates: readonly [name: string, make: () => { gate: Gate; capacity: number }, time: number][] = [
  ['a semaphore', () => ({ gate: new Semaphore(3), capacity: 3 }), 100],
  ['a lock', () => ({ gate: new Semaphore(1), capacity: 1 }), 100],
  ['a semaphore with very many places', () => ({ gate: new Semaphore(5_000), capacity: 5_000 }), 100],
  ['a local semaphore', () => ({ gate: new LocalSemaphore(2), capacity: 2 }), 100],
  ['a local lock', () => ({ gate: new LocalSemaphore(1), capacity: 1 }), 100],
  ['a semaphore that refuses', () => ({ gate: new Refusing(3), capacity: 3 }), 100],
  ['a limiter of cost', () => ({ gate: new CostLimiter(3), capacity: 3 }), 100],
  ['a limiter of starts an hour', () => ({ gate: new HourlyLimiter(3), capacity: 3 }), 100],
  ['a limiter of one start an hour', () => ({ gate: new HourlyLimiter(1), capacity: 1 }), 100],
  ['a gate without a bound', () => ({ gate: new Unbounded(), capacity: Number.POSITIVE_INFINITY }), 100],
  ['a gate that always refuses', () => ({ gate: new Closed(), capacity: 0 }), 100],
  ['a gate that lets wait for ever', () => ({ gate: new Semaphore(0), capacity: 0 }), 100],
  ['a local gate that lets wait for ever', () => ({ gate: new LocalSemaphore(0), capacity: 0 }), 100],
  ['a remote semaphore', () => ({ gate: new RemoteSemaphore(3, 40, true), capacity: 3 }), 2_000],
  ['a remote lock', () => ({ gate: new RemoteSemaphore(1, 40, true), capacity: 1 }), 2_000],
  ['a remote semaphore that refuses', () => ({ gate: new RemoteSemaphore(3, 40, false), capacity: 3 }), 2_000],
  ['a remote lock that refuses', () => ({ gate: new RemoteSemaphore(1, 40, false), capacity: 1 }), 2_000],
  [
    'a semaphore on the other side of the world',
    () => ({ gate: new RemoteSemaphore(2, 400, true), capacity: 2 }),
    15_000,
  ],
];

describe.each(gates)('%s', (_, make, time) => {
  for (const law of gateLaws(make)) {
    test(law.name, async () => {
      const { message, took } = await judge(law);
      expect(message).toBeUndefined();
      expect(took).toBeLessThan(time);
      // Nobody waits any more, and what was on its way has arrived.
      await vi.advanceTimersByTimeAsync(1_000);
      expect(vi.getTimerCount()).toBe(0);
    });
  }
});

describe('gateLaws', () => {
  test('makes no gate until a law is run, and then one for each run', async () => {
    const make = vi.fn(() => ({ gate: new Semaphore(2), capacity: 2 }));
    const [law] = gateLaws(make);
    expect(make).not.toHaveBeenCalled();
    if (law) await judge(law);
    if (law) await judge(law);
    expect(make).toHaveBeenCalledTimes(2);
  });

  test('gives each law a name of its own', () => {
    const names = gateLaws(() => ({ gate: new Semaphore(2), capacity: 2 })).map((law) => law.name);
    expect(names.length).toBeGreaterThan(20);
    expect(new Set(names).size).toBe(names.length);
  });

  test('leaves nothing held', async () => {
    for (const law of gateLaws(() => ({ gate, capacity: 2 }))) await judge(law);
    expect(gate.held).toBe(0);
    expect(gate.waiters).toEqual([]);
  });
  const gate = new Semaphore(2);

  test('hands on what make throws', async () => {
    const [law] = gateLaws(() => {
      throw new Error('no Redis');
    });
    expect(law && (await judge(law)).message).toBe('no Redis');
  });

  test.each([
    [
      { gate: new Semaphore(2), capacity: Number.NaN },
      'Expected `capacity` to be an integer >= 1 or Infinity, got `NaN`',
    ],
    [{ gate: new Semaphore(2) }, 'Expected `capacity` to be an integer >= 1 or Infinity, got `undefined`'],
    [{ gate: undefined, capacity: 1 }, 'Expected `gate` to be a Gate, got `undefined`'],
    [{ gate: {}, capacity: 1 }, 'Expected `acquire` to be a function, got `undefined`'],
  ])('says what is wrong with %o', async (made, message) => {
    const [law] = gateLaws(() => made as { gate: Gate; capacity: number });
    expect(law && (await judge(law)).message).toBe(message);
  });

  test('takes a function', () => {
    expect(() => gateLaws({ gate: new Semaphore(2), capacity: 2 } as never)).toThrow(TypeError);
  });
});
