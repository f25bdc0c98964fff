import { now } from '../core/clock.js';
import { isRefusedError } from '../core/errors.js';
import type { AcquireRequest, Gate, LocalGate } from '../core/gate.js';
import { callable, limit, object } from '../core/options.js';
import type { Permit } from '../core/permit.js';
import { sleep } from '../core/sleep.js';
import type { Milliseconds } from '../core/types.js';
import { Ask, giveBack, isPermit, shown } from './ask.js';

/** A law tries a gate, and throws what `broken` makes when the gate breaks it. */
export type Law = (trial: Trial) => Promise<void>;

/** By name. */
export type Laws = Readonly<Record<string, Law>>;

/** So many permits are held at most: a gate without a bound, or with a high one, is tried with these. */
const MOST = 100;

/** What has not happened by then will not: longer than any round trip, shorter than the time limits of test runners. */
const PATIENCE: Milliseconds = 2_000;

/** Once it was in vain, the gate is broken, and there is no point in waiting as long again to learn how. */
const IMPATIENCE: Milliseconds = 50;

/** Enough for a promise that waits for promises. */
const TURNS = 20;

/** How a law says that it is broken: what was done, what had to come of it, and what came. */
export function broken(done: string, expected: string, got: string): Error {
  return new Error(`${done}: expected ${expected}, got ${got}`);
}

/** One gate before a law. Whatever it grants is given back at the end. */
export class Trial {
  readonly gate: Gate;
  /** A gate of this process. */
  readonly local: LocalGate | undefined;
  /** What the gate says that it is. */
  readonly capacity: number;
  /** How many permits a law holds to have it full. */
  readonly places: number;
  readonly #asks: Ask[] = [];
  readonly #kept: Permit[] = [];
  readonly #over = new AbortController();
  #roundTrip: Milliseconds = 0;
  #patience = PATIENCE;

  constructor({ gate, capacity }: { gate: Gate; capacity: number }) {
    callable('acquire', object('gate', gate, 'a Gate').acquire);
    this.gate = gate;
    this.local = isLocal(gate) ? gate : undefined;
    this.capacity = capacity === 0 ? 0 : limit('capacity', capacity);
    this.places = Math.min(capacity, MOST);
  }

  /** There is a place to wait for: it has some, and all of them can be held. */
  get canBeFull(): boolean {
    return this.places > 0 && this.places === this.capacity;
  }

  /** It costs one unit, so a limiter that counts cost has as many places as units. It waits until the trial is over, at most. */
  ask(request?: AcquireRequest): Ask {
    return this.askBarely({ cost: 1, signal: this.#over.signal, ...request });
  }

  askBarely(request: AcquireRequest | undefined): Ask {
    const ask = new Ask(this.gate, request);
    this.#asks.push(ask);
    return ask;
  }

  /** An ask that is not refused: places may be on their way back, so a refusal is not yet the answer. */
  async askUntilSettled(request: AcquireRequest | undefined): Promise<Ask> {
    for (const start = now(); ; await sleep(2, undefined)) {
      const ask = this.askBarely(request);
      await this.until(() => ask.isSettled);
      if (!isRefusedError(ask.rejection?.reason) || now() - start >= this.#patience) return ask;
    }
  }

  /** Holds so many places at once, by default all. */
  async take(done: string, wanted: number = this.places, request?: AcquireRequest): Promise<Permit[]> {
    const ask = (): Promise<Ask> => this.askUntilSettled({ cost: 1, ...request });
    const asks = await this.timed(() => Promise.all(Array.from({ length: wanted }, ask)));
    const permits = asks.flatMap(({ permit }) => permit ?? []);
    const failed = asks.find((ask) => !ask.permit);
    if (failed === undefined) return permits;
    throw broken(done, `${wanted} of ${this.capacity} places to be free`, `${permits.length} and ${failed}`);
  }

  /** What free places are asked for tells how far away the gate is. */
  async timed<T>(act: () => Promise<T>): Promise<T> {
    const start = now();
    const result = await act();
    if (this.#patience === PATIENCE) this.#roundTrip = Math.max(this.#roundTrip, now() - start);
    return result;
  }

  /** One acquire while all places are held: it waits or is refused. */
  async askWhenFull(done: string, request?: AcquireRequest): Promise<Ask> {
    const ask = this.ask(request);
    await this.quiet();
    if (ask.permit) throw broken(done, `no more than ${this.capacity} permits at once`, 'one more');
    return ask;
  }

  /** All places are held. Nothing to see where there is no bound. */
  async checkFull(done: string): Promise<void> {
    if (this.places === this.capacity) (await this.askWhenFull(done)).discard();
  }

  /** All places are free, and no more than there are. */
  async checkWhole(done: string): Promise<void> {
    const permits = await this.take(done);
    await this.checkFull(done);
    for (const permit of permits) permit.release('ignore');
  }

  /** The answer to an acquire, which must come. */
  async settled(done: string, ask: Ask): Promise<Ask> {
    if (await this.until(() => ask.isSettled)) return ask;
    throw broken(done, 'it to settle', `no answer in ${PATIENCE} ms`);
  }

  /** What `tryAcquire` answers, which must be there at once. */
  tryAcquire(done: string, request?: AcquireRequest): Permit | number | undefined {
    let answer: unknown;
    try {
      answer = this.local?.tryAcquire({ cost: 1, ...request });
    } catch (error) {
      throw broken(done, 'tryAcquire to answer', `a throw of ${shown(error)}`);
    }
    if (isPermit(answer)) {
      this.keep(answer);
      return answer;
    }
    if (typeof answer === 'number' && answer >= 0) return answer;
    if (isRefusedError(answer)) return undefined;
    throw broken(done, 'tryAcquire to answer with a permit, a RefusedError or a number >= 0', shown(answer));
  }

  /** A permit to be given back at the end. */
  keep(permit: Permit): void {
    this.#kept.push(permit);
  }

  /** Waits until `look` says yes; false where it never does. */
  async until(look: () => boolean): Promise<boolean> {
    const start = now();
    for (let delay = 1; ; delay = Math.min(delay * 2, 32)) {
      await this.turn();
      if (look()) return true;
      if (now() - start >= this.#patience) {
        this.#patience = IMPATIENCE;
        return false;
      }
      await sleep(delay, undefined);
    }
  }

  /** What this gate is about to do, it has done: a gate that is far away gets the time of its round trips. */
  async quiet(): Promise<void> {
    await sleep(Math.min(2 * this.#roundTrip + 4, PATIENCE), undefined);
    // After a busy moment both timers are due at once: what the gate's one brings about comes first.
    await sleep(1, undefined);
  }

  /** Half way there, where the gate is far away. */
  async halfWay(): Promise<void> {
    if (this.#roundTrip >= 2) await sleep(this.#roundTrip / 2, undefined);
  }

  /** Everything that needs no time. */
  async turn(turns: number = TURNS): Promise<void> {
    for (let i = 0; i < turns; i++) await undefined;
  }

  end(): void {
    for (const ask of this.#asks) ask.discard();
    for (const permit of this.#kept) giveBack(permit);
    this.#over.abort();
  }
}

function isLocal(gate: Gate): gate is LocalGate {
  const { tryAcquire, onChange } = gate as Partial<LocalGate>;
  return typeof tryAcquire === 'function' && typeof onChange === 'function';
}
