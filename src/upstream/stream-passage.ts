import type { Call, CallOwner } from './call.js';
import { type HeldSlot, type StreamRules, StreamRun } from './stream-run.js';
import type { UpstreamOpen } from './types.js';

/** A stream on its way through the layers: repeated until its first chunk, then in one slot to its end. */
export class StreamPassage {
  readonly #owner: CallOwner;
  readonly #begin: () => Call;
  readonly #rules: StreamRules;
  readonly #acquire: (call: Call, until: AbortSignal) => Promise<HeldSlot>;

  /** @param begin makes the call. Not before the first chunk is wanted: a generator that was never asked has no end either. */
  constructor(
    owner: CallOwner,
    begin: () => Call,
    rules: StreamRules,
    acquire: (call: Call, until: AbortSignal) => Promise<HeldSlot>,
  ) {
    this.#owner = owner;
    this.#begin = begin;
    this.#rules = rules;
    this.#acquire = acquire;
  }

  async *read<T>(open: UpstreamOpen<T>): AsyncGenerator<T, void, undefined> {
    const call = this.#begin();
    let run: StreamRun<T> | undefined;
    try {
      let chunk = await this.#owner.attempt(call, async (attempt, signal) => {
        const slot = await this.#acquire(call, signal);
        run = new StreamRun<T>(call, slot, this.#rules, signal);
        return run.first(open, attempt);
      });
      while (chunk.done !== true) {
        yield chunk.value;
        chunk = await (run as StreamRun<T>).next();
      }
    } finally {
      // An attempt that was cut has left by itself.
      await run?.leave();
      call.settled();
    }
  }
}
