import { now } from '../core/clock.js';
import type { Milliseconds } from '../core/types.js';
import type { HookSet } from '../metrics/hooks.js';
import type { PoolHooks, PoolSettleEvent } from './hooks.js';
import type { Run } from './run.js';

/** Tells a pool's hooks what has happened to a run. Nothing is made for hooks that nobody has. */
export class Announcer {
  readonly #name: string;
  readonly #hooks: HookSet<PoolHooks>;

  constructor(name: string, hooks: HookSet<PoolHooks>) {
    this.#name = name;
    this.#hooks = hooks;
  }

  /** Does anybody want to know how long something took? */
  get wantsTimes(): boolean {
    const { onStart, onSettle, onRefuse, onOverdue, onAbandon } = this.#hooks.listeners;
    return (onStart ?? onSettle ?? onRefuse ?? onOverdue ?? onAbandon) !== undefined;
  }

  queued({ group }: Run, queued: number): void {
    const { onQueue } = this.#hooks.listeners;
    if (onQueue !== undefined) this.#hooks.tell(onQueue, { name: this.#name, group: group.id, queued });
  }

  started(run: Run, running: number): void {
    const { onStart } = this.#hooks.listeners;
    if (onStart === undefined) return;
    this.#hooks.tell(onStart, { name: this.#name, group: run.group.id, running, waitMs: waitMs(run) });
  }

  /** @param state what it was before it ended. @param time of the end, if it is timed. */
  settled(run: Run, state: Run['state'], isFulfilled: boolean, result: unknown, time: Milliseconds | undefined): void {
    const { onSettle } = this.#hooks.listeners;
    if (onSettle === undefined) return;
    const error = isFulfilled ? undefined : result;
    const event = { status: statusOf(state, isFulfilled), error, waitMs: waitMs(run), runMs: runMs(run, time) };
    this.#hooks.tell(onSettle, { name: this.#name, group: run.group.id, ...event });
  }

  refused({ group, watch }: Pick<Run, 'group' | 'watch'>, reason: unknown): void {
    const { onRefuse } = this.#hooks.listeners;
    if (onRefuse === undefined) return;
    const waited = watch?.isTimed === true ? now() - watch.queuedAt : 0;
    this.#hooks.tell(onRefuse, { name: this.#name, group: group.id, reason, waitMs: waited });
  }

  overdue(run: Run): void {
    const { onOverdue } = this.#hooks.listeners;
    if (onOverdue === undefined) return;
    this.#hooks.tell(onOverdue, { name: this.#name, group: run.group.id, runMs: runMs(run, undefined) });
  }

  abandoned(run: Run, time: Milliseconds | undefined): void {
    const { onAbandon } = this.#hooks.listeners;
    if (onAbandon === undefined) return;
    this.#hooks.tell(onAbandon, { name: this.#name, group: run.group.id, runMs: runMs(run, time) });
  }
}

function waitMs({ watch }: Run): Milliseconds {
  return watch?.isTimed === true ? watch.startedAt - watch.queuedAt : 0;
}

/** 0 for a run that is not timed: a hook that came later than the run. */
function runMs({ watch }: Run, time: Milliseconds | undefined): Milliseconds {
  return watch?.isTimed === true ? (time ?? now()) - watch.startedAt : 0;
}

function statusOf(state: Run['state'], isFulfilled: boolean): PoolSettleEvent['status'] {
  if (state === 'running') return isFulfilled ? 'fulfilled' : 'rejected';
  return state === 'timedOut' ? 'timeout' : 'aborted';
}
