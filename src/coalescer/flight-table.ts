import type { MapKey } from '../core/keys.js';

interface Identified {
  readonly id: MapKey;
}

/**
 * Which flight is the current one of a key, and which fly at all. Only the current one may write what it brings: that is decided
 * by identity, in `remove`, and nowhere else.
 */
export class FlightTable<F extends Identified> {
  readonly #current = new Map<MapKey, F>();
  /** Superseded ones, whose callers still wait. */
  readonly #detached = new Set<F>();

  /** How many fly. */
  get size(): number {
    return this.#current.size + this.#detached.size;
  }

  /** The current one. */
  get(id: MapKey): F | undefined {
    return this.#current.get(id);
  }

  current(): F[] {
    return [...this.#current.values()];
  }

  all(): F[] {
    return [...this.#current.values(), ...this.#detached];
  }

  /** Makes it the current one of its key; there must be no other. */
  add(flight: F): void {
    this.#current.set(flight.id, flight);
  }

  /** It flies on, but is no longer the current one. */
  detach(flight: F): void {
    if (this.#current.get(flight.id) !== flight) return;
    this.#current.delete(flight.id);
    this.#detached.add(flight);
  }

  /** It has ended. Was it the current one? */
  remove(flight: F): boolean {
    if (this.#current.get(flight.id) !== flight) {
      this.#detached.delete(flight);
      return false;
    }
    return this.#current.delete(flight.id);
  }
}
