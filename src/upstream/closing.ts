import { NEVER, now, Timer } from '../core/clock.js';
import { keyText } from '../core/keys.js';
import * as check from '../core/options.js';
import type { CloseOptions, CloseReport, Milliseconds } from '../core/types.js';
import type { Call } from './call.js';

/**
 * The end of an upstream: its calls may finish for `grace`, waiting repeats included, then they are aborted, and after `abortGrace` the
 * report names those that still run. Its parts go last: a repeat needs the pool to the end.
 */
export class Closing {
  readonly report: Promise<CloseReport>;
  readonly #name: string;
  readonly #calls: ReadonlySet<Call>;
  readonly #closeParts: (reason: unknown) => void;
  readonly #makeReason: () => unknown;
  #resolve!: (report: CloseReport) => void;
  #timer: Timer | undefined;
  #graceEnds: Milliseconds = NEVER;
  #abortGrace: Milliseconds = NEVER;
  #reason: unknown;
  #isCut = false;
  #isOver = false;
  #finished = 0;
  #aborted = 0;
  #refused = 0;

  constructor(
    name: string,
    calls: ReadonlySet<Call>,
    closeParts: (reason: unknown) => void,
    makeReason: () => unknown,
  ) {
    this.#name = name;
    this.#calls = calls;
    this.#closeParts = closeParts;
    this.#makeReason = makeReason;
    this.report = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The first call sets the terms, later ones may only shorten them. @throws {TypeError | RangeError} */
  ask(options: CloseOptions | undefined): void {
    const given = check.options('options', options);
    const grace = check.duration('grace', given.grace, NEVER);
    const abortGrace = check.duration('abortGrace', given.abortGrace, 1_000);
    if (this.#isCut) return;
    this.#abortGrace = Math.min(this.#abortGrace, abortGrace);
    if (this.#reason === undefined) this.#reason = given.reason;
    const ends = now() + grace;
    if (ends < this.#graceEnds) {
      this.#graceEnds = ends;
      this.#timer?.cancel();
      if (grace > 0) this.#timer = new Timer(() => this.#cut(), grace);
    }
    if (grace === 0) this.#cut();
    this.#look();
  }

  /** A call is over. */
  ended(call: Call): void {
    if (!call.aborted || !this.#isCut) this.#finished++;
    this.#look();
  }

  #cut(): void {
    this.#isCut = true;
    this.#timer?.cancel();
    this.#reason ??= this.#makeReason();
    for (const call of [...this.#calls]) {
      if (call.aborted) continue;
      if (call.isEntered) this.#aborted++;
      else this.#refused++;
      call.abort(this.#reason);
    }
    if (this.#abortGrace !== NEVER) this.#timer = new Timer(() => this.#finish(), this.#abortGrace);
  }

  #look(): void {
    if (this.#calls.size === 0) this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    const left = [...this.#calls].map(({ group }) =>
      group === undefined ? this.#name : `${this.#name}#${keyText(group)}`,
    );
    const [finished, aborted, refused] = [this.#finished, this.#aborted, this.#refused];
    this.#closeParts(this.#reason ?? this.#makeReason());
    this.#resolve({ clean: aborted === 0 && refused === 0 && left.length === 0, finished, aborted, refused, left });
  }
}
