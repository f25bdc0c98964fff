import { NEVER, Timer } from '../core/clock.js';
import { markHandled } from '../core/deferred.js';
import { ClosedError } from '../core/errors.js';
import { keyText } from '../core/keys.js';
import * as check from '../core/options.js';
import type { CloseOptions, CloseReport, Milliseconds } from '../core/types.js';
import type { PoolEngine } from './engine.js';
import { Job } from './job.js';

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
  #isCutting = false;
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
    if (this.#reason === undefined) this.#reason = given.reason;
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
    if (!this.#isReported && !this.#isCutting && this.#engine.isIdle) this.#finish();
  }

  #cut(): void {
    const { name, slots, counters } = this.#engine;
    this.#isCut = true;
    this.#isCutting = true;
    this.#timer?.cancel();
    const abortedBefore = counters.aborted;
    this.#shutDownMaps();
    this.#refused += this.#engine.refuseAll(new ClosedError({ source: name }));
    for (const slot of [...slots.all]) {
      if (slot.run?.state !== 'running') continue;
      if (slot.run instanceof Job) markHandled(slot.run.promise);
      this.#engine.cut(slot, 'aborted', this.#reasonToTell);
    }
    this.#aborted = counters.aborted - abortedBefore;
    this.#isCutting = false;
    this.#timer = this.#abortGrace === NEVER ? undefined : new Timer(() => this.#finish(), this.#abortGrace);
    this.#engine.onQuiet?.();
  }

  #finish(): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#timer?.cancel();
    // Streams that nobody reads: the pool did not wait for them.
    this.#shutDownMaps();
    const { name, slots } = this.#engine;
    const busy = [...slots.all, ...slots.abandoned].flatMap(({ run }) => run ?? []);
    const left = busy.map(({ group }) => (group.id === undefined ? name : `${name}#${keyText(group.id)}`));
    const [aborted, refused] = [this.#aborted, this.#refused];
    const finished = this.#ended() - this.#endedBefore;
    this.#resolve({ clean: aborted === 0 && refused === 0 && left.length === 0, finished, aborted, refused, left });
  }

  /** What they would still have pulled is refused. */
  #shutDownMaps(): void {
    const maps = [...this.#engine.admission.maps];
    this.#refused += maps.length;
    for (const map of maps) map.shutDown(this.#reasonToTell);
  }

  get #reasonToTell(): unknown {
    if (this.#reason === undefined) this.#reason = new ClosedError({ source: this.#engine.name });
    return this.#reason;
  }

  /** Tasks that ended by themselves, well or badly. */
  #ended(): number {
    const { fulfilled, failed } = this.#engine.counters;
    return fulfilled + failed;
  }
}
