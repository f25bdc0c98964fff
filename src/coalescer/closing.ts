import { now, Timer } from '../core/clock.js';
import { keyText } from '../core/keys.js';
import type { CloseReport, Key, Milliseconds } from '../core/types.js';

interface ClosableFlight {
  readonly context: { readonly key: Key };
  abort(reason: unknown): void;
}

export interface ClosingRules {
  readonly grace: Milliseconds;
  readonly abortGrace: Milliseconds;
  readonly reason: unknown;
}

/**
 * The end of a coalescer: waits for the flights of this moment, aborts those that outlast the grace, and waits a little longer for
 * the loads of aborted ones.
 */
export class Closing {
  readonly report: Promise<CloseReport>;
  readonly #name: string;
  #resolve!: (report: CloseReport) => void;
  /** Not ended. */
  readonly #flying: Set<ClosableFlight>;
  /** Ended, but their loads still run. */
  readonly #landing = new Set<ClosableFlight>();
  #finished = 0;
  #aborted = 0;
  #rules: ClosingRules | undefined;
  #graceEnd = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(name: string, flights: readonly ClosableFlight[]) {
    this.#name = name;
    this.#flying = new Set(flights);
    this.report = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The first call begins it; a later one takes effect if it ends the grace earlier. */
  endWithin(rules: ClosingRules): void {
    const graceEnd = now() + rules.grace;
    if (this.#rules !== undefined && (this.#flying.size === 0 || graceEnd >= this.#graceEnd)) return;
    this.#rules = rules;
    this.#graceEnd = graceEnd;
    this.#timer?.cancel();
    if (this.#flying.size === 0) this.#finish();
    else if (rules.grace === 0) this.#abort(rules.reason);
    else if (rules.grace !== Number.POSITIVE_INFINITY) {
      this.#timer = new Timer(() => this.#abort(rules.reason), rules.grace);
    }
  }

  /** @param byItself it fulfilled or rejected: its load has settled too. */
  ended(flight: ClosableFlight, byItself: boolean): void {
    if (!this.#flying.delete(flight)) return;
    if (byItself) this.#finished++;
    else {
      this.#aborted++;
      this.#landing.add(flight);
    }
    if (this.#flying.size === 0) this.#awaitLandings();
  }

  /** The load of a flight that had ended has settled. */
  landed(flight: ClosableFlight): void {
    if (this.#landing.delete(flight) && this.#flying.size === 0 && this.#landing.size === 0) this.#finish();
  }

  #abort(reason: unknown): void {
    for (const flight of this.#flying) flight.abort(reason);
  }

  #awaitLandings(): void {
    this.#timer?.cancel();
    const abortGrace = this.#rules?.abortGrace ?? 0;
    if (this.#landing.size === 0) this.#finish();
    else if (abortGrace !== Number.POSITIVE_INFINITY) this.#timer = new Timer(() => this.#finish(), abortGrace);
  }

  #finish(): void {
    this.#timer?.cancel();
    const left = [...this.#landing].map(({ context }) => `${this.#name}#${keyText(context.key)}`);
    const clean = this.#aborted === 0;
    this.#resolve({ clean, finished: this.#finished, aborted: this.#aborted, refused: 0, left });
  }
}
