import { NEVER } from '../core/clock.js';
import { ignore, markHandled, type Resolve } from '../core/deferred.js';
import { ClosedError, isRefusedError, type RefusedError } from '../core/errors.js';
import { type AcquireRequest, GateRefusedError } from '../core/gate.js';
import { mapKey } from '../core/keys.js';
import * as check from '../core/options.js';
import type { Permit } from '../core/permit.js';
import type { Key, Milliseconds, Task } from '../core/types.js';
import type { Waiting } from './admission.js';
import { checkCost, levelOf } from './check-options.js';
import type { PoolEngine } from './engine.js';
import { Hold } from './hold.js';
import { Job } from './job.js';
import type { Group, Level } from './lanes.js';
import { Refusal, Ticket } from './ticket.js';
import type { ExecuteOptions } from './types.js';
import { Watch } from './watch.js';

/** What comes in: checked, then started, left to wait, or refused. */
export class Intake {
  readonly #engine: PoolEngine;
  readonly #timeout: Milliseconds;
  readonly #queueTimeout: Milliseconds;
  /** Without options there is nothing to look at. */
  readonly #isPlain: boolean;

  constructor(engine: PoolEngine, timeout: Milliseconds, queueTimeout: Milliseconds) {
    this.#engine = engine;
    this.#timeout = timeout;
    this.#queueTimeout = queueTimeout;
    this.#isPlain = timeout === NEVER && queueTimeout === NEVER && engine.admission.turnstile?.countsCost !== true;
  }

  /** @param task undefined: the slot itself is wanted. @throws {TypeError | RangeError} */
  submit(task: Task<unknown> | undefined, options: ExecuteOptions | undefined): Promise<unknown> {
    if (options === undefined && this.#isPlain) {
      return this.#place(makeJob(task, this.#engine.admission.lanes.ungrouped), 1, NEVER);
    }
    return this.#submitWith(task, check.options('options', options));
  }

  /** @throws {TypeError | RangeError} */
  tryAcquire(request: AcquireRequest | undefined): Permit | RefusedError | Milliseconds {
    const { cost, group: id } = check.options('request', request);
    const engine = this.#engine;
    const { admission, name } = engine;
    checkCost(admission, cost, id);
    if (engine.isClosing) return new ClosedError({ source: name });
    if (admission.turnstile?.remotes.length) {
      return new GateRefusedError('Gates beyond this process cannot answer at once: use `acquire`', { source: name });
    }
    const group = this.#group(id);
    const answer = admission.mayStartNow(group) ? admission.tryAsk({ cost, group: id }) : NEVER;
    if (!(answer instanceof Ticket)) {
      admission.lanes.forgetIfIdle(group);
      admission.resettle();
      return typeof answer === 'number' ? answer : refusalOf(answer.reason, name);
    }
    let permit: unknown;
    const hold = new Hold(undefined, group, Promise.resolve(), (value) => {
      permit = value;
    });
    engine.counters.calls++;
    engine.wasIdle = false;
    engine.time(hold);
    if (engine.feedback.isOn) engine.gatehouse.ticket = answer;
    engine.startNow(hold, NEVER);
    admission.resettle();
    if (!(permit instanceof Promise)) return permit as Permit;
    // A hook has closed the pool meanwhile.
    markHandled(permit);
    return new ClosedError({ source: name });
  }

  /** @throws {TypeError | RangeError} */
  check({ timeout, queueTimeout, priority, cost, group }: ExecuteOptions): void {
    check.duration('timeout', timeout, NEVER);
    check.duration('queueTimeout', queueTimeout, NEVER);
    levelOf(priority);
    if (group !== undefined) mapKey('group', group);
    checkCost(this.#engine.admission, cost, group);
  }

  #submitWith(task: Task<unknown> | undefined, given: ExecuteOptions): Promise<unknown> {
    const engine = this.#engine;
    const signal = check.abortSignal('signal', given.signal);
    const timeout = check.duration('timeout', given.timeout, task === undefined ? NEVER : this.#timeout);
    const queueTimeout = check.duration('queueTimeout', given.queueTimeout, this.#queueTimeout);
    const level = levelOf(given.priority);
    checkCost(engine.admission, given.cost, given.group);
    const job = makeJob(task, this.#group(given.group));
    if (signal?.aborted === true) {
      engine.counters.calls++;
      engine.refuse(job, signal.reason, 'aborted');
      return job.promise;
    }
    if (signal !== undefined || timeout !== NEVER || queueTimeout !== NEVER || given.cost !== undefined) {
      job.watch = new Watch(engine, job, signal, timeout);
      job.watch.cost = given.cost;
    }
    return this.#place(job, level, queueTimeout);
  }

  #place(job: Job, level: Level, queueTimeout: Milliseconds): Promise<unknown> {
    const engine = this.#engine;
    engine.wasIdle = false;
    if (engine.isClosing) {
      engine.counters.calls++;
      engine.refuse(job, new ClosedError({ source: engine.name }), 'refused');
    } else if (engine.admission.turnstile !== undefined) {
      engine.time(job);
      this.#placeAtGates(job, level, queueTimeout);
    } else {
      engine.counters.calls++;
      job.watch?.listen();
      engine.time(job);
      if (engine.admission.mayStartNow(job.group)) engine.startNow(job, queueTimeout);
      else engine.enqueue(job, level, queueTimeout);
    }
    return job.promise;
  }

  #placeAtGates(job: Job, level: Level, queueTimeout: Milliseconds): void {
    const engine = this.#engine;
    const { admission } = engine;
    const request = job.request();
    const mayStart = admission.mayStartNow(job.group);
    const answer = admission.alone((turnstile) => (mayStart ? turnstile.ask(request) : turnstile.refusal(request)));
    // Not before: a gate that looks at this pool finds its counters in order.
    engine.counters.calls++;
    const { watch } = job;
    if (watch?.signal?.aborted === true) {
      // A gate came back to whoever holds that signal.
      if (answer instanceof Ticket) answer.release('ignore');
      engine.refuse(job, watch.signal.reason, 'aborted');
      admission.resettle();
      return;
    }
    watch?.listen();
    if (answer instanceof Refusal) {
      engine.refuse(job, answer.reason, 'refused');
    } else if (answer instanceof Ticket && admission.mayStartNow(job.group)) {
      engine.gatehouse.ticket = answer;
      engine.startNow(job, queueTimeout);
    } else {
      // A ticket, still: a gate of somebody's own making has come back to this pool, and what it brought has the slot.
      if (answer instanceof Ticket) answer.release('ignore');
      engine.enqueue(job, level, queueTimeout);
    }
    admission.resettle();
  }

  #group(id: Key | undefined): Group<Waiting> {
    const { lanes } = this.#engine.admission;
    return id === undefined ? lanes.ungrouped : lanes.group(id, mapKey('group', id));
  }
}

/** What a gate threw may be anything. */
function refusalOf(reason: unknown, source: string): RefusedError {
  return isRefusedError(reason) ? reason : new GateRefusedError('A gate failed', { source, cause: reason });
}

function makeJob(task: Task<unknown> | undefined, group: Group<Waiting>): Job {
  let resolve: Resolve<unknown> = ignore;
  const promise = new Promise<unknown>((resolves) => {
    resolve = resolves;
  });
  return task === undefined ? new Hold(undefined, group, promise, resolve) : new Job(task, group, promise, resolve);
}
