import { expect, vi } from 'vitest';
import { type AcquireRequest, type Gate, GateRefusedError, type LocalGate } from '../../src/core/gate.js';
import type { Permit } from '../../src/core/permit.js';
import type { PromisePool } from '../../src/pool/index.js';
import { type Deferred, deferred, turns } from './support.js';

export const hang = () => new Promise<never>(() => {});
export const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export interface Start {
  readonly at: number;
  readonly units: number;
}

/** The law of a rate limit: no window of `interval` has more than `limit`. */
export function expectWindows(starts: readonly Start[], limit: number, interval: number): void {
  let first = 0;
  let units = 0;
  for (const { at, units: more } of starts) {
    units += more;
    while (at - (starts[first] as Start).at >= interval) units -= (starts[first++] as Start).units;
    expect(units).toBeLessThanOrEqual(limit);
  }
}

/** A permit without any sense of its own: it writes down whatever it is told, also a second time. */
export function logged(log: string[], options: { name?: string; signal?: AbortSignal } = {}): Permit {
  const name = options.name === undefined ? '' : `${options.name} `;
  const permit: Permit = {
    signal: options.signal ?? new AbortController().signal,
    started: () => void log.push(`${name}started`),
    report: (verdict, retryAfter) =>
      void log.push(`${name}report ${verdict}${retryAfter === undefined ? '' : ` ${retryAfter}`}`),
    release: (verdict) => void log.push(`${name}release ${verdict}`),
    [Symbol.dispose]: () => void log.push(`${name}dispose`),
  };
  return permit;
}

/** A gate of this process with room for so many, that counts all it is asked and told. */
export class Room implements LocalGate {
  held = 0;
  asked = 0;
  /** Starts that it was told of. */
  started = 0;
  readonly releases: string[] = [];
  readonly requests: AcquireRequest[] = [];
  readonly wakes = new Set<() => void>();
  /** Takes the place of its answer, or of what it does before. */
  override: ((request: AcquireRequest) => ReturnType<LocalGate['tryAcquire']> | undefined) | undefined;

  constructor(
    public size: number,
    readonly whenFull: number = Number.POSITIVE_INFINITY,
  ) {}

  acquire(): Permit {
    throw new Error('a pool asks the gates of its process by `tryAcquire`');
  }

  tryAcquire(request: AcquireRequest = {}): ReturnType<LocalGate['tryAcquire']> {
    this.asked++;
    this.requests.push(request);
    const answer = this.override?.(request);
    if (answer !== undefined) return answer;
    if (this.held >= this.size) return this.whenFull;
    this.held++;
    return {
      ...logged([]),
      started: () => void this.started++,
      release: (verdict) => {
        this.held--;
        this.releases.push(verdict ?? 'success');
        this.wake();
      },
    };
  }

  onChange(wake: () => void): () => void {
    const own = () => wake();
    this.wakes.add(own);
    return () => void this.wakes.delete(own);
  }

  wake(): void {
    for (const wake of [...this.wakes]) if (this.wakes.has(wake)) wake();
  }

  resize(size: number): void {
    this.size = size;
    this.wake();
  }
}

export interface Ask extends Deferred<Permit> {
  readonly request: AcquireRequest;
  /** What its permit was told. */
  readonly log: string[];
  readonly permit: Permit;
  /** Gives the permit. */
  readonly grant: () => void;
}

/** A gate beyond this process: it answers when the test says so. */
export class Afar implements Gate {
  readonly asks: Ask[] = [];

  acquire(request: AcquireRequest = {}): Promise<Permit> {
    const answer = deferred<Permit>();
    const log: string[] = [];
    const permit = logged(log);
    this.asks.push({ ...answer, request, log, permit, grant: () => answer.resolve(permit) });
    return answer.promise;
  }

  ask(index: number): Ask {
    const ask = this.asks[index];
    if (ask === undefined) throw new Error(`it was asked ${this.asks.length} times only`);
    return ask;
  }

  get signals(): readonly boolean[] {
    return this.asks.map(({ request }) => request.signal?.aborted === true);
  }
}

export const refusal = (message = 'no') => new GateRefusedError(message);

/** How many listen to the changes of a gate. */
export function watchListeners(gate: LocalGate): () => number {
  let count = 0;
  const { onChange } = gate;
  vi.spyOn(gate, 'onChange').mockImplementation((wake) => {
    const end = onChange.call(gate, wake);
    let isEnded = false;
    count++;
    return () => {
      if (!isEnded) count--;
      isEnded = true;
      end();
    };
  });
  return () => count;
}

/** What a promise came to, without waiting for it. */
export async function outcomeNow(promise: Promise<unknown>): Promise<unknown> {
  let outcome: unknown = 'pending';
  void promise.then(
    (value) => {
      outcome = { value };
    },
    (reason) => {
      outcome = { reason };
    },
  );
  await turns(4);
  return outcome;
}

/** Every slot can be taken now. */
export function expectAllFree(pool: PromisePool, gates: readonly Room[] = []): void {
  expect(pool.getMetrics()).toMatchObject({ running: 0, queued: 0, overdue: 0 });
  for (const gate of gates) expect(gate).toMatchObject({ held: 0, wakes: new Set() });
}
