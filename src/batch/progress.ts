import { now } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import { HookSet } from '../metrics/hooks.js';
import { perSecond, type Tally } from './tally.js';
import type { BatchProgress } from './types.js';

interface ProgressHooks {
  onProgress?: (progress: BatchProgress) => void;
}

/** Tells `onProgress` where the batch is. The only reader of the clock while it runs. */
export class Progress {
  readonly #hooks: HookSet<ProgressHooks>;
  readonly #tally: Tally;
  readonly #total: number | undefined;
  readonly #startedAt: Milliseconds;

  constructor(
    source: string,
    onProgress: (progress: BatchProgress) => void,
    { tally, total, startedAt }: { tally: Tally; total: number | undefined; startedAt: Milliseconds },
  ) {
    this.#hooks = new HookSet<ProgressHooks>(source, ['onProgress'], { onProgress });
    this.#tally = tally;
    this.#total = total;
    this.#startedAt = startedAt;
  }

  tell(): void {
    const { fulfilled, rejected, settled, inFlight } = this.#tally;
    const speed = perSecond(settled, now() - this.#startedAt);
    const left = this.#total === undefined ? undefined : this.#total - settled;
    const remainingMs = left === undefined || left === 0 ? left : speed === 0 ? undefined : (left / speed) * 1_000;
    const { onProgress } = this.#hooks.listeners;
    if (onProgress === undefined) return;
    const progress = { total: this.#total, fulfilled, rejected, inFlight, perSecond: speed, remainingMs };
    this.#hooks.tell(onProgress, progress);
  }
}
