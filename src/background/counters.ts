import { now } from '../core/clock.js';
import type { CloseReport, Milliseconds } from '../core/types.js';
import { DurationHistogram, summarize } from '../metrics/histogram.js';
import type { BackgroundTask } from './background-task.js';
import type { BackgroundMetrics, TaskOutcome } from './types.js';

/** Totals at one moment, from which a report takes its differences. */
export interface Tally {
  readonly finished: number;
  readonly aborted: number;
  readonly neverRan: number;
}

/** What became of the tasks of one group. */
export class Counters {
  accepted = 0;
  #fulfilled = 0;
  #failed = 0;
  #cancelled = 0;
  #refused = 0;
  /** Accepted, and fulfilled or failed. */
  #finished = 0;
  /** Cancelled when its work had begun. */
  #aborted = 0;
  /** Accepted, but cancelled or refused before it was entered. */
  #neverRan = 0;
  #runMs: DurationHistogram | undefined;

  count(task: BackgroundTask, { status }: TaskOutcome, runMs: Milliseconds): void {
    if (status === 'fulfilled' || status === 'rejected') {
      if (status === 'fulfilled') this.#fulfilled++;
      else this.#failed++;
      if (task.wasAdmitted) this.#finished++;
      if (task.wasEntered) this.#measure(runMs);
    } else {
      if (status === 'cancelled') this.#cancelled++;
      else this.#refused++;
      if (task.wasEntered) this.#aborted++;
      else if (task.wasAdmitted) this.#neverRan++;
    }
  }

  tally(): Tally {
    return { finished: this.#finished, aborted: this.#aborted, neverRan: this.#neverRan };
  }

  reportSince(since: Tally, left: readonly string[]): CloseReport {
    const total = this.tally();
    const finished = total.finished - since.finished;
    const aborted = total.aborted - since.aborted;
    const refused = total.neverRan - since.neverRan;
    return { clean: aborted === 0 && refused === 0 && left.length === 0, finished, aborted, refused, left };
  }

  metrics(name: string, running: number, queued: number): BackgroundMetrics {
    const ended = this.#fulfilled + this.#failed;
    return {
      kind: 'background',
      name,
      running,
      queued,
      accepted: this.accepted,
      fulfilled: this.#fulfilled,
      failed: this.#failed,
      cancelled: this.#cancelled,
      refused: this.#refused,
      failureRate: ended === 0 ? 0 : this.#failed / ended,
      runMs: summarize(this.#runMs, now()),
    };
  }

  #measure(runMs: Milliseconds): void {
    const time = now();
    this.#runMs ??= new DurationHistogram(time);
    this.#runMs.add(runMs, time);
  }
}
