import { now, Timer } from '../core/clock.js';
import { PromiseMaker } from '../core/deferred.js';

/** A wait that is over when `end` is called or its time is up, whichever comes first. Its time can only become shorter. */
export class BoundedWait {
  readonly over: Promise<void>;
  readonly #resolve: (value: undefined) => void;
  #due = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  /** @param delay ms; Infinity has no timer. The timer keeps the process alive: somebody waits. */
  constructor(delay: number) {
    const maker = new PromiseMaker();
    this.over = maker.make();
    this.#resolve = maker.takeResolve();
    this.shorten(delay);
  }

  shorten(delay: number): void {
    if (delay === 0) {
      this.end();
      return;
    }
    const due = now() + delay;
    if (due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = new Timer(this.end, delay);
  }

  /** A second call does nothing. */
  readonly end = (): void => {
    this.#timer?.cancel();
    this.#due = Number.NEGATIVE_INFINITY;
    this.#resolve(undefined);
  };
}
