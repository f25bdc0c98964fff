import { Slot, type SlotOwner } from './slot.js';

/** Slots kept for the next run. More are made and dropped as they are needed. */
const SPARE_SLOTS = 256;

/** All slots of a pool. */
export class Slots {
  /** Those that were not given up, busy or not. */
  readonly all = new Set<Slot>();
  /** Those that were given up, and whose work runs on. */
  readonly abandoned = new Set<Slot>();
  readonly #owner: SlotOwner;
  readonly #spare: Slot[] = [];

  constructor(owner: SlotOwner) {
    this.#owner = owner;
  }

  /** One to occupy, or to give back. */
  take(): Slot {
    return this.#spare.pop() ?? this.#make();
  }

  giveBack(slot: Slot): void {
    if (this.#spare.length < SPARE_SLOTS) this.#spare.push(slot);
    else this.all.delete(slot);
  }

  abandon(slot: Slot): void {
    slot.isAbandoned = true;
    this.all.delete(slot);
    this.abandoned.add(slot);
  }

  #make(): Slot {
    const slot = new Slot(this.#owner);
    this.all.add(slot);
    return slot;
  }
}
