import type { OwnGate } from '../core/gate.js';

/**
 * Hears of gates that shut while somebody waits for a slot. Without it a queue behind full slots would learn only one by one, as the
 * slots come free, that there is nothing to wait for. It listens only then, so that a gate that outlives the pool does not hold it.
 */
export class ShutWatch {
  readonly #gates: readonly OwnGate[];
  readonly #onShut: (reason: unknown) => number;
  #ends: (() => void)[] | undefined;

  /** @param onShut answers how many it has refused. */
  constructor(gates: readonly OwnGate[], onShut: (reason: unknown) => number) {
    this.#gates = gates.filter((gate) => gate.onShut !== undefined);
    this.#onShut = onShut;
  }

  begin(): void {
    if (this.#ends !== undefined || this.#gates.length === 0) return;
    this.#ends = [];
    for (const gate of this.#gates) {
      const end = gate.onShut?.(() => {
        const reason = gate.shutReason?.();
        if (reason === undefined) return;
        const refused = this.#onShut(reason);
        gate.countRefused?.(reason, refused);
      });
      if (end !== undefined) this.#ends.push(end);
    }
  }

  end(): void {
    if (this.#ends === undefined) return;
    for (const end of this.#ends) end();
    this.#ends = undefined;
  }
}
