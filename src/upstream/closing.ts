import { NEVER, now, Timer } from '../core/clock.js';
import { keyText } from '../core/keys.js';
import * as check from '../core/options.js';
import type { CloseOptions, CloseReport, Milliseconds } from '../core/types.js';
import type { Call } from './call.js';

/** Checked options of `close`. */
export interface Terms {
  readonly grace: Milliseconds;
  readonly abortGrace: Milliseconds;
  readonly reason: unknown;
}

/** @throws {TypeError | RangeError} */
export function checkTerms(options: CloseOptions | undefined): Terms {
  const { grace, abortGrace, reason } = check.options('options', options);
  return {
    grace: check.duration('grace', grace, NEVER),
    abortGrace: check.duration('abortGrace', abortGrace, 1_000),
    reason,
  };
}

interface ClosingOwner {
  readonly name: string;
  /** Those that are not over. */
  readonly calls: ReadonlySet<Call>;
  makeReason(): unknown;
  /** @param isClean all callers were answered. Answers what still runs in a pool of ours after `abortGrace`. */
  closeParts(isClean: boolean, reason: unknown, abortGrace: Milliseconds): Promise<readonly string[]>;
}

/**
 * The end of an upstream: its callers may get their answers for `grace`, waiting repeats included, then its calls are aborted; what
 * still runs then, or after its caller was answered, has `abortGrace`, and the report names what is left. The parts go last: a repeat
 * needs the pool to the end.
 */
export class Closing {
  readonly report: Promise<CloseReport>;
  readonly #owner: ClosingOwner;
  #resolve!: (report: CloseReport) => void;
  #timer: Timer | undefined;
  #graceEnds: Milliseconds = NEVER;
  #abortGrace: Milliseconds = NEVER;
  #reason: unknown;
  #isCut = false;
  #cutAt: Milliseconds = 0;
  #isCutting = false;
  #isOver = false;
  /** Calls whose callers have no answer. */
  #open = 0;
  #finished = 0;
  #aborted = 0;
  #refused = 0;

  constructor(owner: ClosingOwner) {
    this.#owner = owner;
    this.report = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const call of owner.calls) if (!call.isSettled) this.#open++;
  }

  /** Is it what callers were told who had no answer when the grace ended? */
  wasCutBy(reason: unknown): boolean {
    return this.#isCut && Object.is(reason, this.#reason);
  }

  /** The first call sets the terms, later ones may only shorten them. */
  ask({ grace, abortGrace, reason }: Terms): void {
    if (this.#isCut) return;
    this.#abortGrace = Math.min(this.#abortGrace, abortGrace);
    if (this.#reason === undefined) this.#reason = reason;
    const ends = now() + grace;
    if (ends < this.#graceEnds) {
      this.#graceEnds = ends;
      this.#timer?.cancel();
      if (grace > 0) this.#timer = new Timer(() => this.#cut(), grace);
    }
    if (grace === 0) this.#cut();
    this.look();
  }

  /** A caller has its answer. */
  answered(call: Call): void {
    this.#open--;
    if (!this.#isCut || !call.aborted) this.#finished++;
    this.look();
  }

  /** Something may have ended: are we done? */
  look(): void {
    if (this.#isCutting || this.#open > 0) return;
    if (this.#owner.calls.size === 0) this.#finish();
    else if (!this.#isCut) this.#cut();
  }

  #cut(): void {
    this.#isCut = true;
    this.#cutAt = now();
    this.#isCutting = true;
    this.#timer?.cancel();
    if (this.#reason === undefined) this.#reason = this.#owner.makeReason();
    for (const call of [...this.#owner.calls]) {
      if (call.isSettled || call.aborted) continue;
      if (call.isEntered) this.#aborted++;
      else this.#refused++;
      call.abort(this.#reason);
    }
    this.#isCutting = false;
    if (this.#abortGrace !== NEVER) this.#timer = new Timer(() => this.#finish(), this.#abortGrace);
    this.look();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    void this.#report();
  }

  async #report(): Promise<void> {
    const { name, calls } = this.#owner;
    const foreign = [...calls].map(({ group }) => (group === undefined ? name : `${name}#${keyText(group)}`));
    const isClean = foreign.length === 0;
    const reason = this.#reason ?? this.#owner.makeReason();
    const left = [...foreign, ...(await this.#owner.closeParts(isClean, reason, isClean ? this.#graceLeft : 0))];
    const [finished, aborted, refused] = [this.#finished, this.#aborted, this.#refused];
    this.#resolve({ clean: aborted === 0 && refused === 0 && left.length === 0, finished, aborted, refused, left });
  }

  /** For what still runs though its caller was answered. */
  get #graceLeft(): Milliseconds {
    return this.#isCut ? Math.max(0, this.#cutAt + this.#abortGrace - now()) : this.#abortGrace;
  }
}
