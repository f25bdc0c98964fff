import type { AcquireRequest, Gate, LocalGate } from '../../src/core/gate.js';
import { GateRefusedError } from '../../src/core/gate.js';
import { createPermit, type Permit } from '../../src/core/permit.js';
import type { Awaitable } from '../../src/core/types.js';

export interface Waiter {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  /** Leaves the queue. */
  readonly leave: () => void;
}

/** First come, first served. Answers at once where it can. Each method is a seam for the mutants. */
export class Semaphore implements Gate {
  held = 0;
  waiters: Waiter[] = [];

  constructor(readonly capacity: number) {}

  acquire(request: AcquireRequest = {}): Awaitable<Permit> {
    if (request.signal?.aborted) throw request.signal.reason;
    return this.hasRoom() ? this.grant() : this.wait(request);
  }

  hasRoom(): boolean {
    return this.held < this.capacity;
  }

  grant(): Permit {
    this.held++;
    return createPermit(() => this.free());
  }

  free(): void {
    this.held--;
    this.serve();
  }

  serve(): void {
    while (this.hasRoom()) {
      const waiter = this.waiters.shift();
      if (waiter === undefined) return;
      this.unlisten(waiter);
      waiter.resolve(this.grant());
    }
  }

  wait({ signal }: AcquireRequest): Awaitable<Permit> {
    return new Promise((resolve, reject) => {
      const leave = () => this.leave(waiter);
      const waiter: Waiter = { resolve, reject, signal, leave };
      this.waiters.push(waiter);
      signal?.addEventListener('abort', leave);
    });
  }

  leave(waiter: Waiter): void {
    this.waiters = this.waiters.filter((each) => each !== waiter);
    this.unlisten(waiter);
    waiter.reject(waiter.signal?.reason);
  }

  unlisten({ signal, leave }: Waiter): void {
    signal?.removeEventListener('abort', leave);
  }
}

export class LocalSemaphore extends Semaphore implements LocalGate {
  readonly wakes = new Set<{ wake: () => void }>();

  tryAcquire(_request?: AcquireRequest): ReturnType<LocalGate['tryAcquire']> {
    return this.hasRoom() ? this.grant() : Number.POSITIVE_INFINITY;
  }

  onChange(wake: () => void): () => void {
    const entry = { wake };
    this.wakes.add(entry);
    return () => void this.wakes.delete(entry);
  }

  override free(): void {
    super.free();
    for (const { wake } of [...this.wakes]) wake();
  }
}

/** Refuses instead of letting wait. */
export class Refusing extends Semaphore {
  override wait(_request: AcquireRequest): Awaitable<Permit> {
    throw new GateRefusedError('full', { source: 'refusing', retryAfter: 5 });
  }
}

/** Counts units, and must be told how many. */
export class CostLimiter implements Gate {
  units = 0;

  constructor(readonly limit: number) {}

  async acquire({ signal, cost }: AcquireRequest = {}): Promise<Permit> {
    signal?.throwIfAborted();
    if (typeof cost !== 'number') throw new TypeError('Expected `cost` to be a number >= 0');
    if (!(cost >= 0 && cost <= this.limit)) throw new RangeError('Expected `cost` to be within the limit');
    if (this.units + cost > this.limit) throw new GateRefusedError('no units left', { retryAfter: 1_000 });
    this.units += cost;
    return createPermit(() => {
      this.units -= cost;
    });
  }
}

/** Starts count for good: the window is longer than any test. Places that were not used come back. */
export class HourlyLimiter extends LocalSemaphore {
  override grant(): Permit {
    this.held++;
    let isStarted = false;
    return createPermit(() => isStarted || this.free(), {
      onStarted: () => {
        isStarted = true;
      },
    });
  }
}

/** No bound, permits of its own make, one thenable for an answer. */
export class Unbounded implements Gate {
  acquire({ signal }: AcquireRequest = {}): PromiseLike<Permit> {
    const noop = () => {};
    const permit = {
      signal: new AbortController().signal,
      started: noop,
      report: noop,
      release: noop,
      [Symbol.dispose]: noop,
    };
    const answer = signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve(permit);
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    return { then: (onGrant, onRefusal) => answer.then(onGrant, onRefusal) };
  }
}

/** A semaphore on a server. Asks, waits and asks again; what is granted to one who has left goes back. */
export class RemoteSemaphore implements Gate {
  readonly #server: Semaphore;

  constructor(
    capacity: number,
    readonly roundTrip: number,
    readonly waits: boolean,
  ) {
    this.#server = new Semaphore(capacity);
  }

  acquire({ signal }: AcquireRequest = {}): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const onAbort = () => settle(() => reject(signal?.reason));
      let isOver = false;
      const settle = (tell: () => void) => {
        isOver = true;
        signal?.removeEventListener('abort', onAbort);
        tell();
      };
      const ask = async () => {
        await this.#travel();
        const lease = this.#server.hasRoom() ? this.#server.grant() : undefined;
        await this.#travel();
        const giveBack = () => void this.#travel().then(() => lease?.release());
        if (isOver) return giveBack();
        if (lease) return settle(() => resolve(createPermit(giveBack)));
        if (!this.waits) return settle(() => reject(new GateRefusedError('full')));
        await ask();
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', onAbort);
      void ask();
    });
  }

  #travel(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.roundTrip / 2));
  }
}

export class Closed implements Gate {
  async acquire({ signal }: AcquireRequest = {}): Promise<Permit> {
    signal?.throwIfAborted();
    throw new GateRefusedError('maintenance', { retryAfter: 60_000 });
  }
}
