import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CircuitOpenError } from '../../../src/breaker/circuit-open-error.js';
import { CircuitBreaker } from '../../../src/breaker/index.js';
import { GateRefusedError, type LocalGate, type OwnGate } from '../../../src/core/gate.js';
import { createPermit, type Permit } from '../../../src/core/permit.js';
import { PromisePool } from '../../../src/pool/index.js';
import { hang } from '../gates-support.js';
import { deferred, expectIdentity, rejection } from '../support.js';

/** A gate that is shut by hand. */
class Door implements LocalGate, OwnGate {
  readonly listeners = new Set<() => void>();
  reason: GateRefusedError | undefined;

  acquire(): Permit {
    return createPermit();
  }

  tryAcquire(): Permit | GateRefusedError {
    return this.reason ?? createPermit();
  }

  onChange(): () => void {
    return () => {};
  }

  onShut(tell: () => void): () => void {
    this.listeners.add(tell);
    return () => this.listeners.delete(tell);
  }

  shutReason(): GateRefusedError | undefined {
    return this.reason;
  }

  shut(): void {
    this.reason = new GateRefusedError('shut');
    for (const tell of [...this.listeners]) tell();
  }
}

describe('a gate that shuts while tasks wait for a slot', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('refuses all of them in the same turn, without a slot, and lets running ones be', async () => {
    const door = new Door();
    const refused: unknown[] = [];
    const hooks = { onRefuse: ({ reason }: { reason: unknown }) => void refused.push(reason) };
    const pool = new PromisePool({ concurrency: 2, gates: [door], hooks });
    const tasks = Array.from({ length: 2 }, () => pool.execute(hang));
    const waiting = Array.from({ length: 5 }, (_, i) =>
      rejection(pool.execute(hang, { priority: i % 2 === 0 ? 'low' : 'high', group: i % 3 })),
    );
    door.shut();
    expect([pool.running, pool.queued]).toEqual([2, 0]);
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 5 }, () => door.reason));
    expect(refused).toHaveLength(5);
    expectIdentity(pool);
    // What comes later is refused at submission.
    expect(await rejection(pool.execute(hang))).toBe(door.reason);
    door.reason = undefined;
    const later = pool.execute(() => 7);
    expect(pool.queued).toBe(1);
    void pool.close({ grace: 0, abortGrace: 0 });
    await Promise.allSettled([...tasks, later]);
  });

  test('is listened to only while somebody waits', async () => {
    const door = new Door();
    const pool = new PromisePool({ concurrency: 1, gates: [door] });
    expect(door.listeners.size).toBe(0);
    const work = deferred();
    const first = pool.execute(() => work.promise);
    expect(door.listeners.size).toBe(0);
    const second = pool.execute(() => 2);
    const third = pool.execute(() => 3);
    expect(door.listeners.size).toBe(1);
    work.resolve();
    await Promise.all([first, second, third]);
    expect(door.listeners.size).toBe(0);
    for (const leave of ['abort', 'clear', 'shut'] as const) {
      const controller = new AbortController();
      const more = deferred();
      const running = pool.execute(() => more.promise);
      const waits = rejection(pool.execute(hang, { signal: controller.signal }));
      expect(door.listeners.size).toBe(1);
      if (leave === 'abort') controller.abort();
      else if (leave === 'clear') pool.clear();
      else door.shut();
      await waits;
      expect(door.listeners.size).toBe(0);
      more.resolve();
      await running;
    }
  });

  test('who comes back from its refusal, by a hook, meets a whole pool', async () => {
    const door = new Door();
    const outcomes: Promise<unknown>[] = [];
    let more = 10;
    const onRefuse = () => {
      if (more-- > 0) outcomes.push(rejection(pool.execute(hang)));
    };
    const pool = new PromisePool({ concurrency: 1, gates: [door], hooks: { onRefuse } });
    void pool.execute(hang);
    const waiting = [1, 2, 3].map(() => rejection(pool.execute(hang)));
    door.shut();
    await Promise.all(waiting);
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => door.reason));
    expect([pool.running, pool.queued]).toEqual([1, 0]);
    expectIdentity(pool);
  });

  // BREAK: a call that hangs is known at its timeout, not when it ends at last.
  test('a hung upstream opens the breaker at the timeouts, while the slots are held, and the queue is refused', async () => {
    const breaker = new CircuitBreaker({ minCalls: 2, failureRate: 0.5, openFor: 1_000 });
    const pool = new PromisePool({ concurrency: 2, timeout: 50, gates: [breaker] });
    const running = [1, 2].map(() => rejection(pool.execute(hang)));
    const waiting = Array.from({ length: 100 }, () => rejection(pool.execute(hang)));
    expect([pool.running, pool.queued]).toEqual([2, 100]);
    await vi.advanceTimersByTimeAsync(49);
    expect(pool.queued).toBe(100);
    await vi.advanceTimersByTimeAsync(1);
    expect(breaker.state).toBe('open');
    expect([pool.running, pool.queued]).toEqual([2, 0]);
    expect(pool.getMetrics()).toMatchObject({ overdue: 2, refused: 100, timedOut: 2 });
    for (const error of await Promise.all(waiting)) expect(error).toBeInstanceOf(CircuitOpenError);
    await Promise.all(running);
    expectIdentity(pool);
  });
});
