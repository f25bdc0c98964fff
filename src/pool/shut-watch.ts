import type { OwnGate } from '../core/gate.js';

/**
 * Hears of gates that shut while somebody waits for a slot. Without it a queue behind full slots would learn only one by one, as the
 * slots come free, that there is nothing to wait for. It listens only then, so that a gate that outlives the pool does not hold it.
 */
export class ShutWatch {
  readonly #gates: readonly OwnGate[];
  readonly #onShut: (reason: unknown) => void;
  #ends: (() => void)[] | undefined;

  constructor(gates: readonly OwnGate[], onShut: (reason: unknown) => void) {
    this.#gates = gates.filter((gate) => gate.onShut !== undefined);
    this.#onShut = onShut;
  }

  begin(): void {
    if (this.#ends !== undefined || this.#gates.length === 0) return;
    this.#ends = [];
    for (const gate of this.#gates) {
      const end = gate.onShut?.(() => {
        const reason = gate.shutReason?.();
        if (reason !== undefined) this.#onShut(reason);
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
