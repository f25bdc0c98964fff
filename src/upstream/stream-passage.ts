import { AbortSubscription } from '../core/abort.js';
import type { Call, CallOwner } from './call.js';
import { type StreamRules, StreamRun } from './stream-run.js';
import type { UpstreamOpen } from './types.js';

/** A stream on its way through the layers: repeated until its first chunk, then in one slot to its end. */
export class StreamPassage {
  readonly #owner: CallOwner;
  readonly #call: Call;
  #isBegun = false;
  readonly #rules: StreamRules;

  constructor(owner: CallOwner, call: Call, rules: StreamRules) {
    this.#owner = owner;
    this.#call = call;
    this.#rules = rules;
    // A generator that is left before it was asked for anything has no end of its own.
    const onAbort = (): void => {
      if (!this.#isBegun) call.settled();
    };
    if (call.aborted) onAbort();
    else new AbortSubscription(call.asSignal, { onAbort });
  }

  async *read<T>(open: UpstreamOpen<T>): AsyncGenerator<T, void, undefined> {
    const call = this.#call;
    this.#isBegun = true;
    let run: StreamRun<T> | undefined;
    try {
      let chunk = await this.#owner.attempt(call, async (attempt, signal) => {
        const slot = await this.#owner.acquire(call, signal);
        run = new StreamRun<T>(call, slot, this.#rules, signal);
        return run.first(open, attempt);
      });
      // The whole way was to the first chunk; each further one has its `timeout`.
      call.endDeadline();
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
