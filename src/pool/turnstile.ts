import { NEVER } from '../core/clock.js';
import type { Deadline, Deadlines } from '../core/deadlines.js';
import type { AcquireRequest, Gate, LocalGate, OwnGate, Place } from '../core/gate.js';
import { type MapKey, mapKey } from '../core/keys.js';
import { wrongType } from '../core/options.js';
import type { Milliseconds } from '../core/types.js';
import type { RateLimit } from '../limits/rate-limiter.js';
import { RateLimiter } from '../limits/rate-limiter.js';
import { reportError } from '../metrics/hooks.js';
import { Refusal, Ticket } from './ticket.js';

/** Fewer group records than this are left lying. */
const SWEEP_FROM = 64;

/** A ticket, or why something does not start now. */
export type Answer =
  | Ticket
  | Refusal
  /** Not before so many ms, or before somebody wakes us. */
  | { readonly wait: Milliseconds; readonly by: LocalGate }
  /** The same, but only for its group. */
  | { readonly groupWait: Milliseconds; readonly by: LocalGate };

/**
 * The gates of a pool. Rate limits and the gates of this process are asked together, for the chosen head of the queue only: all of them give
 * a permit, or none. Nothing is held while one makes us wait.
 */
export class Turnstile {
  readonly remotes: readonly Gate[];
  readonly locals: readonly LocalGate[];
  readonly #limiters: readonly RateLimiter[];
  readonly #inTurn: readonly LocalGate[];
  readonly #perGroup: RateLimit | undefined;
  readonly #groups = new Map<MapKey | undefined, RateLimiter>();
  #sweepAt = SWEEP_FROM;
  readonly #deadlines: Deadlines;
  readonly #wake: () => void;
  /** What we wait for. */
  #deadline: Deadline | undefined;
  #unsubscribe: (() => void) | undefined;

  /** @param wake called when it is worth asking again. */
  constructor(
    limiters: readonly RateLimiter[],
    gates: readonly Gate[],
    perGroup: RateLimit | undefined,
    deadlines: Deadlines,
    wake: () => void,
  ) {
    this.#limiters = limiters;
    this.locals = gates.filter(isLocal);
    this.#inTurn = [...limiters, ...this.locals];
    this.remotes = gates.filter((gate) => !isLocal(gate));
    this.#perGroup = perGroup;
    this.#deadlines = deadlines;
    this.#wake = wake;
    // Its options are checked now, not with the first task.
    if (perGroup !== undefined) limiterFor(perGroup);
  }

  get countsCost(): boolean {
    return this.#perGroup?.counts === 'cost' || this.#limiters.some(({ countsCost }) => countsCost);
  }

  get isWaiting(): boolean {
    return this.#deadline !== undefined || this.#unsubscribe !== undefined;
  }

  /** @throws {TypeError | RangeError} a rate limit could never admit this cost, or needs one. */
  check(request: AcquireRequest): void {
    for (const limiter of this.#limiters) limiter.checkCost(request);
    if (this.#perGroup?.counts === 'cost') this.#limiterOf(request.group).checkCost(request);
  }

  /** For a task that has to wait for a slot anyway: is a gate shut for now? Takes nothing. */
  refusal(request: AcquireRequest): Refusal | undefined {
    for (const gate of this.locals) {
      const own = gate as OwnGate;
      if (own.shutReason !== undefined) {
        const reason = own.shutReason();
        if (reason !== undefined) {
          own.countRefused?.(reason, 1);
          return new Refusal(reason);
        }
        continue;
      }
      const answer = ask(gate, request);
      if (typeof answer === 'number') continue;
      if (answer instanceof Refusal) return answer;
      giveBack(answer);
    }
    return undefined;
  }

  ask(request: AcquireRequest): Answer {
    this.calm();
    const ticket = new Ticket();
    if (this.#perGroup !== undefined) {
      const by = this.#limiterOf(request.group);
      const denied = addTo(ticket, by, request);
      if (denied !== undefined) return typeof denied === 'number' ? { groupWait: denied, by } : denied;
    }
    for (let i = 0; i < this.#inTurn.length; i++) {
      const by = this.#inTurn[i] as LocalGate;
      const denied = addTo(ticket, by, request);
      if (denied !== undefined) return typeof denied === 'number' ? { wait: denied, by } : denied;
    }
    return ticket;
  }

  /** To be woken after `wait` ms, or when the gate says so. Others' news are no news: two pools would wake each other for ever. */
  await(wait: Milliseconds, gate: LocalGate): void {
    this.calm();
    // First: a gate that wakes us at once is not to end the wait for the time.
    this.#unsubscribe = gate.onChange(this.#wakeUp);
    if (wait !== NEVER) this.#deadline = this.#deadlines.add(wait, this.#wakeUp);
  }

  /** Waits for nothing any more. */
  calm(): void {
    if (this.#deadline !== undefined) this.#deadlines.cancel(this.#deadline);
    this.#deadline = undefined;
    const unsubscribe = this.#unsubscribe;
    this.#unsubscribe = undefined;
    try {
      unsubscribe?.();
    } catch (error) {
      reportError('A gate failed', error);
    }
  }

  /** An upstream asked for a pause. */
  pauseFor(duration: Milliseconds): void {
    for (const limiter of this.#limiters) limiter.pauseFor(duration);
  }

  readonly #wakeUp = (): void => {
    this.calm();
    this.#wake();
  };

  /** Its window outlives the group's tasks, so these records are kept until nothing of them counts any more. */
  #limiterOf(group: AcquireRequest['group']): RateLimiter {
    const key = group === undefined ? undefined : mapKey('group', group);
    let limiter = this.#groups.get(key);
    if (limiter === undefined) {
      if (this.#groups.size >= this.#sweepAt) this.#sweep();
      limiter = limiterFor(this.#perGroup as RateLimit);
      this.#groups.set(key, limiter);
    }
    return limiter;
  }

  #sweep(): void {
    for (const [key, limiter] of this.#groups) if (limiter.isUnused) this.#groups.delete(key);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#groups.size);
  }
}

function limiterFor(perGroup: RateLimit): RateLimiter {
  return new RateLimiter({ ...perGroup, name: 'perGroup.rateLimit' });
}

function isLocal(gate: Gate): gate is LocalGate {
  const { tryAcquire, onChange, isRemote } = gate as Partial<LocalGate> & OwnGate;
  return isRemote !== true && typeof tryAcquire === 'function' && typeof onChange === 'function';
}

/** All or none: what the ticket has goes back if this gate has nothing. Answers why not. */
function addTo(ticket: Ticket, gate: LocalGate, request: AcquireRequest): Refusal | Milliseconds | undefined {
  const answer = ask(gate, request);
  if (typeof answer !== 'number' && !(answer instanceof Refusal)) {
    ticket.add(answer);
    return undefined;
  }
  ticket.release('ignore');
  return answer;
}

function ask(gate: LocalGate, request: AcquireRequest): Place | Refusal | Milliseconds {
  try {
    const answer = (gate as OwnGate).tryPlace?.(request) ?? gate.tryAcquire(request);
    if (typeof answer === 'number') return Number.isNaN(answer) ? 0 : Math.max(0, answer);
    if (answer instanceof Error) return new Refusal(answer);
    if (typeof answer?.release === 'function') return answer;
    return new Refusal(wrongType('gate.tryAcquire()', 'a permit, a refusal or a number', answer));
  } catch (error) {
    return new Refusal(error);
  }
}

function giveBack(permit: Place): void {
  const ticket = new Ticket();
  ticket.add(permit);
  ticket.release('ignore');
}
