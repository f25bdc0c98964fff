import { now, Timer } from './clock.js';

/** Below this many dead entries nothing is swept. */
const SWEEP_FROM = 32;

/** Handle of one deadline. Made and kept by `Deadlines`; others only cancel it. */
export class Deadline {
  readonly at: number;
  /** Undefined once it fired or was cancelled. */
  expire: (() => void) | undefined;

  constructor(at: number, expire: () => void) {
    this.at = at;
    this.expire = expire;
  }
}

/**
 * One owner's deadlines behind one timer, that of the earliest. A timer per task would cost ten times as much.
 *
 * A binary heap by time. Adding in rising order, the common case of one timeout for all, is O(1), else O(log n). Cancelling
 * leaves a dead entry, O(1); the dead are dropped when they reach the top or outnumber the living. While nothing lives there is
 * no timer, so an idle owner never keeps the process alive.
 */
export class Deadlines {
  readonly #keepAlive: boolean;
  #heap: Deadline[] = [];
  #dead = 0;
  #timer: Timer | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  /** @param keepAlive whether the process must stay up for them. */
  constructor(keepAlive = true) {
    this.#keepAlive = keepAlive;
  }

  /** Calls `expire` once, `delay` ms from now, unless it is cancelled before. `expire` must not throw. */
  add(delay: number, expire: () => void): Deadline {
    const deadline = new Deadline(now() + delay, expire);
    const heap = this.#heap;
    heap.push(deadline);
    this.#siftUp(heap.length - 1);
    if (deadline.at < this.#armedFor || this.#timer?.isOrphan === true) this.#arm(deadline.at, delay);
    return deadline;
  }

  cancel(deadline: Deadline): void {
    if (deadline.expire === undefined) return;
    deadline.expire = undefined;
    this.#dead++;
    if (this.#dead === this.#heap.length) this.#reset();
    else if (this.#dead > SWEEP_FROM && this.#dead > this.#heap.length / 2) this.#sweep();
  }

  /** Cancels all of them. */
  clear(): void {
    for (const deadline of this.#heap) deadline.expire = undefined;
    this.#reset();
  }

  #reset(): void {
    this.#heap = [];
    this.#dead = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #arm(at: number, delay: number): void {
    this.#timer?.cancel();
    this.#armedFor = at;
    this.#timer = new Timer(this.#onTimer, delay, this.#keepAlive);
  }

  readonly #onTimer = (): void => {
    // That the timer fired proves that its moment is over, also where the clock is frozen or faked apart from the timers.
    const time = Math.max(now(), this.#armedFor);
    this.#timer = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    for (let first = this.#first(); first !== undefined && first.at <= time; first = this.#first()) {
      const { expire } = first;
      first.expire = undefined;
      this.#pop();
      expire?.();
    }
    const next = this.#first();
    if (next === undefined) this.#reset();
    else if (next.at < this.#armedFor) this.#arm(next.at, Math.max(0, next.at - now()));
  };

  /** The earliest that lives. */
  #first(): Deadline | undefined {
    let first = this.#heap[0];
    while (first !== undefined && first.expire === undefined) {
      this.#pop();
      this.#dead--;
      first = this.#heap[0];
    }
    return first;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    this.#siftDown(0);
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((each) => each.expire !== undefined);
    this.#dead = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as Deadline;
    let place = from;
    while (place > 0) {
      const up = (place - 1) >> 1;
      const parent = heap[up] as Deadline;
      if (parent.at <= item.at) break;
      heap[place] = parent;
      place = up;
    }
    heap[place] = item;
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as Deadline;
    let place = from;
    for (;;) {
      let down = 2 * place + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && (heap[down + 1] as Deadline).at < (heap[down] as Deadline).at) down++;
      const child = heap[down] as Deadline;
      if (child.at >= item.at) break;
      heap[place] = child;
      place = down;
    }
    heap[place] = item;
  }
}
