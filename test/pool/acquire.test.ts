import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClosedError } from '../../src/core/errors.js';
import { PromisePool } from '../../src/pool/index.js';
import { property } from '../support/runs.js';
import { expectIdentity, rejection, turns } from './support.js';

describe('acquire', () => {
  test('gives a slot that is held until it is released, once, in that very step', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const permit = await pool.acquire();
    const task = vi.fn();
    void pool.execute(task);
    expect(pool.getMetrics()).toMatchObject({ running: 1, queued: 1 });
    permit.started();
    permit.release();
    permit.release('failure');
    expect(task).toHaveBeenCalledOnce();
    await pool.onIdle();
    expect(pool.getMetrics()).toMatchObject({ calls: 2, fulfilled: 2, failed: 0, running: 0 });
    expectIdentity(pool);
  });

  test('counts by what was reported first, and its methods may be taken off it', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const { report, release } = await pool.acquire();
    report('overload', 1_000);
    report('success');
    release('success');
    const second = await pool.acquire();
    expect(() => second.release('ok' as never)).toThrow(RangeError);
    expect(pool.running).toBe(1);
    second.release('ignore');
    expect(pool.getMetrics()).toMatchObject({ failed: 1, fulfilled: 1, running: 0 });
  });

  test('using gives it back at the end of the block, also after a throw', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    await rejection(
      (async () => {
        using slot = await pool.acquire();
        expect(slot.signal.aborted).toBe(false);
        throw new Error('inside');
      })(),
    );
    expect(pool.getMetrics()).toMatchObject({ running: 0, fulfilled: 1 });
  });

  test('its signal ends the wait, not the work; bad options reject', async () => {
    const pool = new PromisePool({ concurrency: 1, timeout: 1 });
    const control = new AbortController();
    const held = await pool.acquire({ signal: control.signal });
    const waiting = rejection(pool.acquire({ signal: control.signal, group: 'g', priority: 'high' }));
    control.abort('why');
    expect(await waiting).toBe('why');
    expect(held.signal.aborted).toBe(false);
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 0, aborted: 1 });
    held.release();
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    for (const options of [{ timeout: 5 }, { queueTimeout: -1 }, { group: {} }, 5]) {
      expect(await rejection(pool.acquire(options as never))).toSatisfy(
        (e) => e instanceof TypeError || e instanceof RangeError,
      );
    }
    expect(await rejection(pool.acquire({ signal: control.signal }))).toBe('why');
  });

  property([
    fc.scheduler(),
    fc.integer({ min: 1, max: 3 }),
    fc.array(fc.record({ holds: fc.boolean(), aborts: fc.boolean() }), { maxLength: 20, size: 'max' }),
  ])('holds and tasks share the slots in one order, whoever leaves', async (s, concurrency, users) => {
    const pool = new PromisePool({ concurrency });
    const order: number[] = [];
    const expected: number[] = [];
    const all = users.map(async ({ holds, aborts }, i) => {
      const control = new AbortController();
      const signal = control.signal;
      const isWaiting = pool.running >= concurrency;
      const enter = async () => {
        order.push(i);
        expect(pool.running).toBeLessThanOrEqual(concurrency);
        await s.schedule(Promise.resolve());
      };
      const result = holds
        ? pool.acquire({ signal }).then(async (permit) => {
            await enter();
            permit.release();
          })
        : pool.execute(enter, { signal });
      if (aborts && isWaiting) control.abort();
      else expected.push(i);
      await result.catch(() => {});
    });
    await s.waitFor(Promise.all(all));
    expect([...order].sort((a, b) => a - b)).toEqual(expected);
    expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0 });
    expectIdentity(pool);
  });
});

describe('acquire and the end of a pool', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('outstanding permits count as running: close waits for them, then aborts their signal', async () => {
    const pool = new PromisePool({ concurrency: 2, name: 'p' });
    const polite = await pool.acquire();
    const stubborn = await pool.acquire({ group: 'g' });
    const waiting = rejection(pool.acquire());
    polite.signal.addEventListener('abort', () => polite.release());
    const report = pool.close({ grace: 10, abortGrace: 5, reason: 'over' });
    await vi.advanceTimersByTimeAsync(10);
    expect(await waiting).toBeInstanceOf(ClosedError);
    expect(stubborn.signal.reason).toBe('over');
    await vi.advanceTimersByTimeAsync(5);
    expect(await report).toEqual({ clean: false, finished: 0, aborted: 2, refused: 1, left: ['p#g'] });
    stubborn.release();
    await turns();
    expect(pool.running).toBe(0);
    expectIdentity(pool);
  });

  test('clear takes waiting acquires out of the queue', async () => {
    const pool = new PromisePool({ concurrency: 1 });
    const held = await pool.acquire();
    const waiting = rejection(pool.acquire());
    expect(pool.clear()).toBe(1);
    expect(await waiting).toMatchObject({ code: 'CLEARED' });
    held.release();
  });

  test('one that is ended by onStart frees its slot', async () => {
    const control = new AbortController();
    const pool = new PromisePool({ concurrency: 1, hooks: { onStart: () => control.abort('early') } });
    expect(await rejection(pool.acquire({ signal: control.signal }))).toBe('early');
    expect(pool.running).toBe(0);
  });
});
