import { Fifo } from '../core/fifo.js';
import type { BackgroundTask } from './background-task.js';

/** Below this many entries nothing is swept. */
const SWEEP_FROM = 32;

/**
 * Tasks that wait for a place, oldest first. One that leaves out of turn (it was cancelled) stays behind as a dead entry until
 * it comes to the front or the dead outnumber the living: O(1), amortised.
 */
export class TaskQueue {
  readonly #entries = new Fifo<BackgroundTask>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(task: BackgroundTask): void {
    task.isQueued = true;
    this.#length++;
    this.#entries.push(task);
  }

  /** Takes the oldest. */
  shift(): BackgroundTask | undefined {
    let task = this.#entries.shift();
    while (task !== undefined && !task.isQueued) task = this.#entries.shift();
    if (task !== undefined) {
      task.isQueued = false;
      this.#length--;
    }
    return task;
  }

  /** Does nothing if it does not wait. */
  remove(task: BackgroundTask): void {
    if (!task.isQueued) return;
    task.isQueued = false;
    this.#length--;
    const { length } = this.#entries;
    if (length > SWEEP_FROM && this.#length < length / 2) this.#entries.filter((each) => each.isQueued);
  }

  /** All of them, oldest first. O(n). */
  list(): BackgroundTask[] {
    const tasks: BackgroundTask[] = [];
    // The only walk through a Fifo; sweeping on the way does no harm.
    this.#entries.filter((each) => each.isQueued && tasks.push(each) > 0);
    return tasks;
  }
}
