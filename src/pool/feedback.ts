import { NEVER, now } from '../core/clock.js';
import type { Milliseconds, Settled, Verdict } from '../core/types.js';
import { classifyResult } from '../core/verdicts.js';
import type { ConcurrencyLimit } from '../limits/concurrency-limit.js';
import { type Classify, verdictOf, waitIn } from '../limits/reading.js';
import { reportError } from '../metrics/hooks.js';
import type { Admission } from './admission.js';
import type { Run } from './run.js';
import type { Slot } from './slot.js';
import type { Ticket } from './ticket.js';

/** What results tell: verdicts to the gates, samples to an adaptive limit, pauses to the rate limits. */
export class Feedback {
  /** Do gates or an adaptive limit learn from results? Known to each start, so it is not worked out there. */
  isOn = false;
  #adaptive: ConcurrencyLimit | undefined;
  readonly #admission: Admission;
  readonly #name: string;
  readonly #classify: Classify | undefined;
  readonly #maxPause: Milliseconds;

  constructor(
    admission: Admission,
    adaptive: ConcurrencyLimit | undefined,
    name: string,
    classify: Classify | undefined,
    maxPause: Milliseconds,
  ) {
    this.#admission = admission;
    this.#name = name;
    this.#classify = classify;
    this.#maxPause = maxPause;
    this.adaptive = adaptive;
  }

  /** Undefined: the limit is a number. */
  get adaptive(): ConcurrencyLimit | undefined {
    return this.#adaptive;
  }

  set adaptive(adaptive: ConcurrencyLimit | undefined) {
    this.#adaptive = adaptive;
    this.isOn = adaptive !== undefined || this.#admission.turnstile !== undefined;
  }

  /** The function has ended, or its caller was told of a timeout. */
  settled(slot: Slot, result: Settled<unknown>): void {
    const ticket = slot.ticket as Ticket;
    if (ticket.isReported) return;
    const verdict =
      this.#classify === undefined ? classifyResult(result) : verdictOf(result, this.#classify, this.#name);
    this.report(slot, verdict, waitIn(result, verdict));
  }

  /** @param wait what the upstream asked for. */
  report(slot: Slot, verdict: Verdict, wait: Milliseconds | undefined): void {
    const ticket = slot.ticket as Ticket;
    if (ticket.isReported) return;
    ticket.report(verdict, wait);
    const pause = Math.min(wait ?? 0, this.#maxPause);
    // What a holder of a permit reports may be any number.
    if (pause > 0 && pause < NEVER) this.#admission.turnstile?.pauseFor(pause);
    if (verdict !== 'ignore' && this.adaptive !== undefined)
      this.#sample(this.adaptive, slot.run as Run, ticket, verdict);
  }

  #sample(adaptive: ConcurrencyLimit, { watch }: Run, { inFlight }: Ticket, verdict: Exclude<Verdict, 'ignore'>): void {
    const atMs = now();
    // One that was running when the limit became adaptive is not timed, perhaps.
    if (watch === undefined || !watch.isTimed) return;
    try {
      const limit = adaptive.onSample({ runMs: atMs - watch.startedAt, inFlight, verdict, atMs });
      if (!Number.isInteger(limit) || limit < 1) return;
      this.#admission.resize(Math.min(Math.max(limit, adaptive.min), adaptive.max));
    } catch (error) {
      reportError('`onSample` of an adaptive limit failed', error);
    }
  }
}
