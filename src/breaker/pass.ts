import type { Settled } from '../core/types.js';
import type { Circuit } from './circuit.js';

/**
 * What lets a call in. While the breaker is closed all calls share one, so nothing is made for them; each trial call has its own. The next
 * change of state makes it worthless.
 */
export class Pass {
  readonly expiresAt: number;
  readonly #circuit: Circuit;

  constructor(circuit: Circuit, expiresAt: number) {
    this.#circuit = circuit;
    this.expiresAt = expiresAt;
  }

  /** To be handed to `then`: the result is counted, and stays what it is. */
  readonly fulfilled = <T>(value: T): T => {
    this.settled({ status: 'fulfilled', value });
    return value;
  };

  /** To be handed to `then`. */
  readonly rejected = (reason: unknown): never => {
    this.settled({ status: 'rejected', reason });
    throw reason;
  };

  settled(result: Settled<unknown>): void {
    this.#circuit.settled(this, result);
  }

  /** The caller gives up: nothing is counted. */
  left(): void {
    this.#circuit.free(this);
  }
}
