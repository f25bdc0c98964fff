import { isRefusedError } from '../core/errors.js';
import type { AcquireRequest } from '../core/gate.js';
import type { Permit } from '../core/permit.js';
import { type Ask, shown } from './ask.js';
import { isArgumentError } from './permit-laws.js';
import { broken, type Laws, type Trial } from './trial.js';

const BARE_REQUESTS: readonly (AcquireRequest | undefined)[] = [
  undefined,
  {},
  { signal: undefined, cost: undefined, group: undefined },
];

/** The last is a number all right, but no gate with a bound can ever grant it. */
const BAD_COSTS: readonly unknown[] = [Number.NaN, -1, Number.NEGATIVE_INFINITY, '1', Number.POSITIVE_INFINITY];

/** What holds for requests and refusals. */
export const requestLaws: Laws = {
  async 'a request may be left out, and so may all that is in it'(trial) {
    if (trial.places === 0) return;
    const answers: string[] = [];
    for (const request of BARE_REQUESTS) {
      const done = `acquire was called with ${request === undefined ? 'nothing' : `{ ${Object.keys(request)} }`}`;
      const ask = await trial.askUntilSettled(request);
      // A limiter that counts cost must be told one: it says so each time, and not because it was given no object.
      const needsCost = answers.every((answer) => answer === String(ask)) && isArgumentError(ask.rejection?.reason);
      if (!ask.permit && !needsCost) throw broken(done, 'a permit', String(ask));
      answers.push(String(ask));
      ask.permit?.release('ignore');
    }
    if (new Set(answers).size > 1) throw broken('requests that say nothing', 'one answer', answers.join(', '));
    await trial.checkWhole('permits of bare requests were released');
  },

  async 'a cost that is no number >= 0 is refused, or costs are not looked at'(trial) {
    const asks = BAD_COSTS.map((cost) => ({ cost, ask: trial.ask({ cost } as AcquireRequest) }));
    const isGranted = ({ ask }: { ask: Ask }): boolean => ask.permit !== undefined;
    const isSettled = ({ ask }: { ask: Ask }): boolean => ask.isSettled;
    const isFull = (): boolean => asks.filter(isGranted).length >= trial.places;
    await trial.timed(() => trial.until(() => asks.every(isSettled) || isFull()));
    await trial.quiet();
    await checkBadCosts(
      trial,
      asks.flatMap(({ cost, ask }) => (ask.permit ? [{ cost, permit: ask.permit }] : [])),
    );
    for (const { ask } of asks) ask.discard();
    if (trial.places > 0 && !(await trial.until(() => asks.every(isSettled)))) {
      throw broken(costing(asks.filter((each) => !isSettled(each))), 'each to settle', 'no answer');
    }
    for (const { cost, ask } of asks) {
      const reason = ask.rejection?.reason;
      // Where others were granted, they may have taken all places.
      const isRefused = isRefusedError(reason) && (trial.places === 0 || asks.some(isGranted));
      if (ask.rejection && !isRefused) checkArgumentError(costing([{ cost }]), reason);
    }
    await trial.checkWhole('acquires with wrong costs were over');
  },

  async 'tryAcquire with such a cost throws, or costs are not looked at'(trial) {
    const granted: Costly[] = [];
    for (const cost of BAD_COSTS) {
      try {
        const answer = trial.local?.tryAcquire({ cost } as AcquireRequest);
        if (typeof answer !== 'object' || !('release' in answer)) continue;
        trial.keep(answer);
        granted.push({ cost, permit: answer });
      } catch (error) {
        checkArgumentError(costing([{ cost }]), error);
      }
    }
    await checkBadCosts(trial, granted);
    await trial.checkWhole('tries with wrong costs were over');
  },

  async 'a refusal is a RefusedError, its retryAfter a number >= 0 or undefined, and takes nothing'(trial) {
    const permits = await trial.take('a new gate was filled');
    if (trial.places < trial.capacity) return;
    const asks = [trial.ask(), trial.ask(), trial.ask()];
    await trial.quiet();
    for (const { rejection } of asks) {
      if (rejection === undefined) continue;
      const done = 'a full gate refused';
      if (!isRefusedError(rejection.reason)) throw broken(done, 'a RefusedError', shown(rejection.reason));
      const wait: unknown = rejection.reason.retryAfter;
      if (wait !== undefined && !(typeof wait === 'number' && wait >= 0)) {
        throw broken(done, '`retryAfter` to be a number >= 0 or undefined', shown(wait));
      }
    }
    for (const ask of asks) ask.discard();
    for (const permit of permits) permit.release('ignore');
    await trial.checkWhole('a full gate was asked for more, and emptied');
  },
};

interface Costly {
  readonly cost: unknown;
  readonly permit: Permit;
}

/** A wrong cost that was granted is a place like any other: neither more nor less of the gate is taken. */
async function checkBadCosts(trial: Trial, granted: readonly Costly[]): Promise<void> {
  if (granted.length === 0) return;
  const done = `${costing(granted)} and granted`;
  const left = trial.places - granted.length;
  if (left < 0) throw broken(done, `no more than ${trial.capacity} permits at once`, `${granted.length}`);
  const others = await trial.take(done, left);
  await trial.checkFull(done);
  for (const { permit } of granted) permit.release('ignore');
  for (const permit of others) permit.release('ignore');
}

function costing(calls: readonly { readonly cost: unknown }[]): string {
  return `the gate was asked with a \`cost\` of ${calls.map(({ cost }) => shown(cost)).join(', ')}`;
}

function checkArgumentError(done: string, error: unknown): void {
  if (!isArgumentError(error)) throw broken(done, 'a TypeError or RangeError', shown(error));
}
