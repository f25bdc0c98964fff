import { createPermit, type Permit } from '../core/permit.js';

/** The limiter, as its places see it. */
export interface PlaceHolder {
  readonly started: (place: RatePlace) => void;
  /** It never started. */
  readonly givenBack: (place: RatePlace) => void;
}

/** It was not tried: its owner waited for it. */
export const GRANTED = -1;

/** A place in a rate window. Each of its moments happens once. */
export class RatePlace {
  readonly units: number;
  /** How many had been denied when it was tried, or `GRANTED`. */
  readonly triedAt: number;
  readonly #holder: PlaceHolder;
  #isStarted = false;
  #isReleased = false;

  constructor(holder: PlaceHolder, units: number, triedAt: number) {
    this.#holder = holder;
    this.units = units;
    this.triedAt = triedAt;
  }

  started(): void {
    if (this.#isStarted || this.#isReleased) return;
    this.#isStarted = true;
    this.#holder.started(this);
  }

  /** A rate window does not ask how it went. */
  report(): void {}

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (!this.#isStarted) this.#holder.givenBack(this);
  }
}

/** The same as a permit. */
export function permitFor(place: RatePlace): Permit {
  return createPermit(() => place.release(), { onStarted: () => place.started() });
}
