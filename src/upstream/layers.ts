import { NEVER } from '../core/clock.js';
import { Deadlines } from '../core/deadlines.js';
import type { Milliseconds, TaskContext } from '../core/types.js';
import type { ExecuteOptions } from '../pool/index.js';
import type { AttemptContext } from '../retry/index.js';
import { Call, type CallOwner } from './call.js';
import type { Closing } from './closing.js';
import { Door } from './door.js';
import type { Parts } from './parts.js';
import type { HeldSlot } from './stream-run.js';

/** What a call goes through below the coalescer: retry, breaker, rate and slot. */
export class Layers implements CallOwner {
  /** Those that are not over. */
  readonly calls = new Set<Call>();
  readonly deadlines = new Deadlines();
  closing: Closing | undefined;
  readonly #name: string;
  readonly #parts: Parts;
  readonly #door: Door | undefined;
  /** For a pool that was handed in; one of our own knows its timeout. */
  readonly #foreignTimeout: Milliseconds | undefined;

  constructor(name: string, parts: Parts, timeout: Milliseconds) {
    const { outerBreaker, pool } = parts;
    this.#name = name;
    this.#parts = parts;
    this.#door = outerBreaker && new Door(outerBreaker, pool);
    this.#foreignTimeout = parts.ownsPool || timeout === NEVER ? undefined : timeout;
  }

  get ownsPool(): boolean {
    return this.#parts.ownsPool;
  }

  /** @param signal of its caller, or of the load that it is. */
  begin(options: ExecuteOptions, totalTimeout: Milliseconds, signal: AbortSignal | undefined): Call {
    const call = new Call(this, options, totalTimeout, signal);
    this.calls.add(call);
    return call;
  }

  attempt<T>(call: Call, work: (context: AttemptContext | undefined, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { totalTimeout } = call;
    const { policy } = this.#parts;
    // What it runs, a pool and all before it, answers an abort at once.
    if (policy !== undefined) {
      return policy.run(work, call.asSignal, totalTimeout === NEVER ? undefined : totalTimeout);
    }
    if (totalTimeout !== NEVER) call.endWithin(this.deadlines, this.#name);
    return work(undefined, call.asSignal);
  }

  admit<T>(task: (context: TaskContext) => unknown, call: Call, signal: AbortSignal): Promise<T> {
    const options = this.#poolOptions(call, signal);
    if (this.#door !== undefined) return this.#door.execute(task, options, signal);
    return this.#parts.pool.execute(task, options) as Promise<T>;
  }

  acquire(call: Call, signal: AbortSignal): Promise<HeldSlot> {
    const { timeout: _, ...options } = this.#poolOptions(call, signal);
    if (this.#door !== undefined) return this.#door.acquire(options, signal);
    return this.#parts.pool.acquire(options);
  }

  onAnswered(call: Call): void {
    this.closing?.answered(call);
  }

  onOver(call: Call): void {
    if (this.calls.delete(call)) this.closing?.look();
  }

  // One literal: what is spread costs as much as the rest of the call.
  #poolOptions({ options }: Call, signal: AbortSignal): ExecuteOptions {
    const { group, priority, cost, queueTimeout, timeout } = options;
    return { signal, group, priority, cost, queueTimeout, timeout: timeout ?? this.#foreignTimeout };
  }
}
