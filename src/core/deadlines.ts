import { NEVER, now, Timer } from './clock.js';

/** So many dead entries are not worth a sweep. */
const SLACK = 32;

/** Handle of one deadline. Made and kept by `Deadlines`; others only cancel it. */
export interface Deadline {
  readonly at: number;
  /** Undefined once it fired or was cancelled. */
  expire: (() => void) | undefined;
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
  #living = 0;
  #timer: Timer | undefined;
  #armedFor = NEVER;

  /** @param keepAlive whether the process must stay up for them. */
  constructor(keepAlive = true) {
    this.#keepAlive = keepAlive;
  }

  /** Calls `expire` once, `delay` ms from now, unless it is cancelled before. `expire` must not throw. */
  add(delay: number, expire: () => void): Deadline {
    const deadline: Deadline = { at: now() + delay, expire };
    this.#living++;
    this.#rise(deadline, this.#heap.length);
    if (deadline.at < this.#armedFor || this.#timer?.isOrphan) this.#arm(deadline.at, delay);
    return deadline;
  }

  cancel(deadline: Deadline): void {
    if (deadline.expire === undefined) return;
    deadline.expire = undefined;
    if (--this.#living === 0) this.clear();
    else if (this.#heap.length > 2 * this.#living + SLACK) {
      const all = this.#heap;
      this.#heap = [];
      for (const each of all) if (each.expire !== undefined) this.#rise(each, this.#heap.length);
    }
  }

  /** Cancels all of them. */
  clear(): void {
    for (const deadline of this.#heap) deadline.expire = undefined;
    this.#heap = [];
    this.#living = 0;
    this.#timer?.cancel();
    this.#armedFor = NEVER;
  }

  #arm(at: number, delay: number): void {
    this.#timer?.cancel();
    this.#armedFor = at;
    this.#timer = new Timer(this.#onTimer, delay, this.#keepAlive);
  }

  readonly #onTimer = (): void => {
    // That the timer fired proves that its moment is over, also where the clock is frozen or faked apart from the timers.
    const time = Math.max(now(), this.#armedFor);
    this.#armedFor = NEVER;
    let first = this.#heap[0];
    while (first !== undefined && (first.expire === undefined || first.at <= time)) {
      const { expire } = first;
      this.#dropFirst();
      this.cancel(first);
      expire?.();
      first = this.#heap[0];
    }
    if (first !== undefined && first.at < this.#armedFor) this.#arm(first.at, first.at - now());
  };

  /** The hole at the top sinks to the bottom, the earlier of two rising each time; the last entry fills it. */
  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Deadline;
    let hole = 0;
    for (let child = 1; child < heap.length; child = 2 * hole + 1) {
      if (child + 1 < heap.length && (heap[child + 1] as Deadline).at < (heap[child] as Deadline).at) child++;
      heap[hole] = heap[child] as Deadline;
      hole = child;
    }
    if (heap.length > 0) this.#rise(last, hole);
  }

  /** Puts it there, or as far above as it is earlier than those above. */
  #rise(deadline: Deadline, from: number): void {
    const heap = this.#heap;
    let place = from;
    while (place > 0) {
      const up = (place - 1) >> 1;
      const parent = heap[up] as Deadline;
      if (parent.at <= deadline.at) break;
      heap[place] = parent;
      place = up;
    }
    heap[place] = deadline;
  }
}
