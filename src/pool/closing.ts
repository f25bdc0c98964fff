import { Timer } from '../core/clock.js';
import { markHandled } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import { keyText } from '../core/keys.js';
import * as check from '../core/options.js';
import type { CloseOptions, CloseReport, Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import { Job } from './job.js';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The end of a pool: accepted work may finish for `grace`, then what waits is refused and what runs is aborted, then aborted work may
 * react for `abortGrace`, then the report names what is left.
 */
export class Closing {
  readonly report: Promise<CloseReport>;
  readonly #engine: PoolEngine;
  readonly #endedBefore: number;
  #resolve!: (report: CloseReport) => void;
  #timer: Timer | undefined;
  #graceEnds: Milliseconds = NEVER;
  #abortGrace: Milliseconds = NEVER;
  #reason: unknown;
  #isCut = false;
  #isReported = false;
  #aborted = 0;
  #refused = 0;

  constructor(engine: PoolEngine) {
    this.#engine = engine;
    this.#endedBefore = this.#ended();
    this.report = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The first call sets the terms, later ones may only shorten them. @throws {TypeError | RangeError} */
  ask(options: CloseOptions | undefined, time: Milliseconds): void {
    const given = check.options('options', options);
    const grace = check.duration('grace', given.grace, NEVER);
    const abortGrace = check.duration('abortGrace', given.abortGrace, 1_000);
    if (this.#isCut) return;
    this.#abortGrace = Math.min(this.#abortGrace, abortGrace);
    this.#reason ??= given.reason;
    if (time + grace < this.#graceEnds) {
      this.#graceEnds = time + grace;
      this.#timer?.cancel();
      if (grace > 0) this.#timer = new Timer(() => this.#cut(), grace);
    }
    if (grace === 0) this.#cut();
    this.look();
  }

  /** Something has left: are we done? */
  look(): void {
    if (!this.#isReported && this.#engine.isIdle) this.#finish();
  }

  #cut(): void {
    const { name, lanes, busy, maps, counters } = this.#engine;
    this.#isCut = true;
    const abortedBefore = counters.aborted;
    const reason = this.#reason ?? new ClosedError({ source: name });
    for (const map of [...maps]) map.shutDown(reason);
    const waiting = lanes.remove((item) => item instanceof Job) as Job[];
    for (const job of waiting) {
      this.#refused++;
      markHandled(job.promise);
      counters.queued--;
      this.#engine.refuse(job, new ClosedError({ source: name }), 'refused');
    }
    for (const slot of [...busy]) {
      if (slot.run?.state !== 'running') continue;
      if (slot.run instanceof Job) markHandled(slot.run.promise);
      this.#engine.cut(slot, 'aborted', reason);
    }
    this.#aborted = counters.aborted - abortedBefore;
    this.#timer = this.#abortGrace === NEVER ? undefined : new Timer(() => this.#finish(), this.#abortGrace);
    this.#engine.onQuiet?.();
  }

  #finish(): void {
    this.#isReported = true;
    this.#timer?.cancel();
    const { name, busy, maps } = this.#engine;
    // Streams that nobody reads: the pool did not wait for them.
    for (const map of [...maps]) map.shutDown(this.#reason ?? new ClosedError({ source: name }));
    const left = busy.map(({ run }) => (run?.group.id === undefined ? name : `${name}#${keyText(run.group.id)}`));
    const [aborted, refused] = [this.#aborted, this.#refused];
    const finished = this.#ended() - this.#endedBefore;
    this.#resolve({ clean: aborted === 0 && refused === 0 && left.length === 0, finished, aborted, refused, left });
  }

  /** Tasks that ended by themselves, well or badly. */
  #ended(): number {
    const { fulfilled, failed } = this.#engine.counters;
    return fulfilled + failed;
  }
}
