import { isRefusedError } from '../core/errors.js';
import type { Ask } from './ask.js';
import { broken, type Laws, type Trial } from './trial.js';

/** Each must arrive as it is, falsy ones too. Without one the platform makes an AbortError. */
const REASONS: readonly unknown[] = ['given up', '', 0, Number.NaN, false, null, undefined];

/** What holds for the signal of an acquire: before, while it waits, and after. */
export const abortLaws: Laws = {
  async 'aborted before: rejects with the very reason, and takes nothing'(trial) {
    for (const reason of reasons()) {
      const { control, ask } = askAborted(trial, reason);
      const done = 'acquire was called with a signal that had aborted';
      checkReason(done, await trial.settled(done, ask), control.signal.reason);
    }
    await trial.checkWhole('acquires with an aborted signal were rejected');
    const permits = await trial.take('acquires with an aborted signal were rejected');
    if (trial.canBeFull) {
      const { control, ask } = askAborted(trial, 'given up');
      const done = 'acquire of a full gate was called with a signal that had aborted';
      checkReason(done, await trial.settled(done, ask), control.signal.reason);
    }
    for (const permit of permits) permit.release('ignore');
  },

  async 'aborted while it waits: rejects with the very reason at once'(trial) {
    const waiting = await waitingAsks(trial, reasons().length);
    for (const [i, { control }] of waiting.entries()) control.abort(reasons()[i]);
    await trial.turn();
    const done = 'an acquire was aborted while it waited';
    for (const { control, ask } of waiting) {
      // From far away it may take a while, but it comes.
      if (trial.local === undefined) await trial.settled(done, ask);
      checkReason(done, ask, control.signal.reason);
    }
  },

  async 'aborted while it waits: its place goes to others'(trial) {
    const [first, ...rest] = await trial.take('a new gate was filled');
    if (!trial.canBeFull) return;
    const leaving = askWithSignal(trial);
    const staying = trial.ask();
    await trial.quiet();
    leaving.control.abort('given up');
    await trial.turn();
    const done = 'of two acquires that waited one was aborted, and a permit was released';
    first?.release();
    if (!staying.rejection) {
      await trial.settled(done, staying);
      if (!staying.permit) throw broken(done, 'the other to be granted', String(staying));
    }
    for (const permit of rest) permit.release();
    staying.permit?.release();
    await trial.checkWhole(`${done}, and then all others`);
  },

  async 'aborted while it is granted: either the very reason or a permit, and no place is lost'(trial) {
    for (const permit of await trial.take('a new gate was filled')) permit.release('ignore');
    const done = 'an acquire of a free place was aborted on its way';
    for (const pause of [0, 1, 2, 3, undefined]) {
      const { control, ask } = askWithSignal(trial);
      await (pause === undefined ? trial.halfWay() : trial.turn(pause));
      control.abort('given up');
      checkReasonOrPermit(done, await trial.settled(done, ask));
    }
    await trial.checkWhole(`${done} and the permit, where there was one, released`);

    if (!trial.canBeFull) return;
    const [first, second, ...rest] = await trial.take(done);
    const { control, ask } = askWithSignal(trial);
    await trial.quiet();
    first?.release();
    control.abort('given up');
    const both = 'an acquire that waited was aborted right after a permit was released';
    checkReasonOrPermit(both, await trial.settled(both, ask));
    second?.release();
    for (const permit of rest) permit.release();
    await trial.checkWhole(both);
  },

  async 'aborted and then released in one turn: the abort wins, and no place is lost'(trial) {
    const permits = await trial.take('a new gate was filled');
    if (!trial.canBeFull) return;
    const { control, ask } = askWithSignal(trial);
    await trial.quiet();
    const isWaiting = !ask.isSettled;
    control.abort('given up');
    for (const permit of permits) permit.release();
    const done = 'an acquire that waited was aborted right before permits were released';
    await trial.settled(done, ask);
    if (isWaiting) checkReason(done, ask, 'given up');
    await trial.checkWhole(done);
  },

  async 'aborted after it was granted: the permit stays valid until it is released'(trial) {
    const control = new AbortController();
    const [first, ...rest] = await trial.take('a new gate was filled', trial.places, { signal: control.signal });
    if (first === undefined) return;
    control.abort('too late');
    const done = 'the signal of an acquire aborted after the permit was granted';
    await trial.checkFull(done);
    if (first.signal.aborted) throw broken(done, "the permit's own signal not to abort", 'an abort');
    for (const permit of [first, ...rest]) permit.release();
    await trial.checkWhole(`${done}, and the permits were released`);
  },
};

interface Aborting {
  readonly control: AbortController;
  readonly ask: Ask;
}

function reasons(): unknown[] {
  return [new Error('given up'), ...REASONS];
}

function askWithSignal(trial: Trial, control = new AbortController()): Aborting {
  return { control, ask: trial.ask({ signal: control.signal }) };
}

function askAborted(trial: Trial, reason: unknown): Aborting {
  const control = new AbortController();
  control.abort(reason);
  return askWithSignal(trial, control);
}

/** None where the gate refuses instead of letting wait. */
async function waitingAsks(trial: Trial, count: number): Promise<Aborting[]> {
  await trial.take('a new gate was filled');
  if (trial.places < trial.capacity) return [];
  const asks = Array.from({ length: count }, () => askWithSignal(trial));
  await trial.quiet();
  return asks.filter(({ ask }) => !ask.isSettled);
}

function checkReason(done: string, ask: Ask, reason: unknown): void {
  if (!ask.isRejectedWith(reason)) throw broken(done, `a rejection with its reason, ${named(reason)}`, String(ask));
}

function checkReasonOrPermit(done: string, ask: Ask): void {
  // Places of a gate that is far away may still be on their way back.
  if (!ask.permit && !isRefusedError(ask.rejection?.reason)) checkReason(done, ask, 'given up');
  ask.discard();
}

function named(reason: unknown): string {
  return typeof reason === 'object' && reason !== null ? 'that very object' : JSON.stringify(reason);
}
