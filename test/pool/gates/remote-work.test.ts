import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AcquireRequest, Gate } from '../../../src/core/gate.js';
import type { Permit } from '../../../src/core/permit.js';
import { PromisePool } from '../../../src/pool/index.js';
import { Afar, expectAllFree, hang, later, logged, outcomeNow, refusal } from '../gates-support.js';
import { deferred, expectIdentity, rejection, turns } from '../support.js';

const answering = (answer: (request?: AcquireRequest) => unknown): Gate => ({ acquire: answer as Gate['acquire'] });

describe('gates beyond this process, and the work that they let in', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test('a permit that is lost while the work runs aborts the task with that reason', async () => {
    const lost = new AbortController();
    const log: string[] = [];
    const pool = new PromisePool({
      concurrency: 1,
      gates: [answering(async () => logged(log, { signal: lost.signal }))],
    });
    let seen: unknown;
    const work = deferred();
    const told = pool.execute(({ signal }) => {
      signal.addEventListener('abort', () => {
        seen = signal.reason;
      });
      return work.promise;
    });
    await turns();
    expect(log).toEqual(['started']);
    lost.abort('lease');
    expect(await outcomeNow(told)).toEqual({ reason: 'lease' });
    expect(seen).toBe('lease');
    expect(pool.getMetrics()).toMatchObject({ running: 1, overdue: 1, aborted: 1 });
    expect(log).toEqual(['started', 'report ignore']);
    work.resolve();
    await turns();
    expect(log).toEqual(['started', 'report ignore', 'release ignore']);
    expectAllFree(pool);
  });

  test('a permit that is lost while the next gate is asked turns the task away', async () => {
    const lost = new AbortController();
    const second = new Afar();
    const log: string[] = [];
    const pool = new PromisePool({
      concurrency: 1,
      gates: [answering(() => logged(log, { signal: lost.signal })), second],
    });
    const told = pool.execute(hang);
    lost.abort('lease');
    expect(await outcomeNow(told)).toEqual({ reason: 'lease' });
    expect([log, second.signals]).toEqual([['release ignore'], [true]]);
    second.ask(0).grant();
    await turns();
    expect(second.ask(0).log).toEqual(['release ignore']);
    expectAllFree(pool);
  });

  test('whose permits end leave no listener on its signal', async () => {
    const lost = new AbortController();
    const add = vi.spyOn(lost.signal, 'addEventListener');
    const remove = vi.spyOn(lost.signal, 'removeEventListener');
    const pool = new PromisePool({
      concurrency: 3,
      gates: [answering(async () => logged([], { signal: lost.signal }))],
    });
    await Promise.all(
      Array.from({ length: 10 }, () => pool.execute(() => later(0), { timeout: 50 })).concat([
        vi.runAllTimersAsync() as never,
      ]),
    );
    await turns();
    expect(add.mock.calls.length).toBeGreaterThan(0);
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });

  // Paused: starts nothing (rule 9), also what a gate lets in meanwhile.
  test('what one lets in while the pool is paused starts when it resumes, in its own context, or leaves', async () => {
    const store = new AsyncLocalStorage<string>();
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 3, gates: [gate] });
    const control = new AbortController();
    const task = vi.fn(() => store.getStore());
    const stays = store.run('mine', () => pool.execute(task));
    const leaves = rejection(pool.execute(task, { signal: control.signal }));
    pool.pause();
    for (const { grant } of gate.asks) grant();
    await turns();
    expect(task).not.toHaveBeenCalled();
    expect(pool).toMatchObject({ queued: 2, running: 0 });
    control.abort('left');
    expect(await leaves).toBe('left');
    expect(gate.ask(1).log).toEqual(['release ignore']);
    pool.resume();
    expect(await stays).toBe('mine');
    expectIdentity(pool);
  });

  test('100,000 that one refuses at once need no recursion', async () => {
    const error = refusal();
    let isShut = false;
    const pool = new PromisePool({
      concurrency: 1,
      gates: [
        answering(() => {
          if (isShut) throw error;
          return logged([]);
        }),
      ],
    });
    const done = deferred();
    void pool.execute(() => done.promise);
    const settled = Promise.allSettled(Array.from({ length: 100_000 }, () => pool.execute(hang)));
    isShut = true;
    done.resolve();
    expect((await settled).every((each) => each.status === 'rejected' && each.reason === error)).toBe(true);
    expectAllFree(pool);
  });

  test('a map asks for each item; one that is refused fails it, lets its siblings at the gate go and closes the source', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 3, gates: [gate] });
    const closed = vi.fn();
    function* source() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        closed();
      }
    }
    const work = vi.fn((i: number) => later(10).then(() => i));
    const told = rejection(pool.map(source(), work));
    expect(gate.asks.length).toBe(3);
    expect(pool.getMetrics()).toMatchObject({ calls: 3, queued: 3, running: 0 });
    gate.ask(0).grant();
    await turns();
    expect(work.mock.calls.length).toBe(1);
    const error = refusal();
    gate.ask(1).reject(error);
    await turns();
    expect(gate.signals).toEqual([false, true, true]);
    expect(pool.getMetrics()).toMatchObject({ queued: 0, running: 1, overdue: 1 });
    expectIdentity(pool);
    gate.ask(2).grant();
    await vi.runAllTimersAsync();
    expect(await told).toBe(error);
    expect(gate.ask(2).log).toEqual(['release ignore']);
    expect(closed).toHaveBeenCalledTimes(1);
    expect(gate.asks.length).toBe(3);
    expectAllFree(pool);
  });

  test('a stream over a gate yields in order, and leaving it lets go of what is at the gate', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 2, gates: [gate] });
    const stream = pool.stream([1, 2, 3, 4], async (i) => i);
    const first = stream.next();
    gate.ask(1).grant();
    gate.ask(0).grant();
    expect(await first).toEqual({ done: false, value: 1 });
    await turns();
    await stream.return();
    expect(gate.asks.length).toBeGreaterThan(2);
    expect(gate.signals.slice(2)).toEqual(gate.signals.slice(2).map(() => true));
    for (const { grant } of gate.asks.slice(2)) grant();
    await turns();
    for (const { log } of gate.asks.slice(2)) expect(log).toEqual(['release ignore']);
    expectAllFree(pool);
    expectIdentity(pool);
  });

  test('close lets those at a gate go in within its grace, and onIdle waits for them', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const done = pool.execute(() => 'ran');
    const idle = outcomeNow(pool.onIdle());
    expect(await idle).toBe('pending');
    const closing = pool.close();
    expect(await outcomeNow(closing)).toBe('pending');
    gate.ask(0).grant();
    expect(await done).toBe('ran');
    expect(await closing).toMatchObject({ clean: true, finished: 1 });
  });

  test('acquire: the slot is held from the grant on, and the permit’s holder tells the gates', async () => {
    const gate = new Afar();
    const pool = new PromisePool({ concurrency: 1, gates: [gate] });
    const asked = pool.acquire();
    gate.ask(0).grant();
    const permit: Permit = await asked;
    expect(pool.running).toBe(1);
    expect(gate.ask(0).log).toEqual(['started']);
    permit.report('overload', 500);
    permit.report('success');
    expect(gate.ask(0).log).toEqual(['started', 'report overload 500']);
    permit.release();
    permit.release();
    expect(gate.ask(0).log).toEqual(['started', 'report overload 500', 'release ignore']);
    expectAllFree(pool);
  });
});
