import type { Permit } from '../core/permit.js';
import type { Verdict } from '../core/types.js';
import { shown } from './ask.js';
import { broken, type Laws, type Trial } from './trial.js';

/** What holds for permits and the places they stand for. */
export const permitLaws: Laws = {
  async 'as many permits as its capacity are held at once, and no more'(trial) {
    await trial.checkWhole('a new gate was filled');
  },

  async 'a permit released before it was started gives its place back'(trial) {
    for (const done of ['a new gate was filled', 'all permits were released', 'all permits were released again']) {
      for (const permit of await trial.take(done)) permit.release();
    }
    await trial.checkWhole('all permits were released three times');
  },

  async 'every acquire settles: a released place goes to one that waits'(trial) {
    if (!trial.canBeFull) return;
    const held = await trial.take('a new gate was filled');
    // Without a signal: that is a path of its own.
    let open = [1, 2, 3].map(() => trial.ask({ signal: undefined }));
    await trial.quiet();
    let surplus = 0;
    while (open.length > 0) {
      const done = `${open.length} acquires wait and a permit is released`;
      if (open.some((ask) => !ask.isSettled)) held.shift()?.release();
      if (!(await trial.until(() => open.some((ask) => ask.isSettled)))) {
        throw broken(done, 'one of them to settle', 'no answer');
      }
      const granted = open.flatMap(({ permit }) => permit ?? []);
      surplus += granted.length - 1;
      if (surplus > 0) throw broken(done, 'one of them to be granted', `${granted.length} permits`);
      held.push(...granted);
      open = open.filter((ask) => !ask.isSettled);
    }
    for (const permit of held) permit.release();
    await trial.checkWhole('those that waited were granted and have released');
  },

  async 'a report frees nothing'(trial) {
    if (!trial.canBeFull) return;
    const [first] = await fill(trial);
    first?.report('success');
    await trial.checkFull('of a full gate one permit reported');
  },

  async 'a second release frees nothing'(trial) {
    const [first, ...others] = await fill(trial);
    if (first === undefined) return;
    const done = 'a permit was released four times';
    attempt(done, () => {
      first.release();
      first.release('success');
      first.release('ignore');
      first[Symbol.dispose]();
    });
    await checkOneFreed(trial, done, others);
  },

  async 'dispose releases'(trial) {
    const permits = await fill(trial);
    const done = 'all permits were disposed of';
    for (const permit of permits) attempt(done, () => permit[Symbol.dispose]());
    await trial.checkWhole(done);
  },

  async 'what a permit is told after its release is ignored'(trial) {
    const [first, ...others] = await fill(trial);
    if (first === undefined) return;
    const done = 'a permit was started and reported after its release';
    attempt(done, () => {
      first.release('ignore');
      first.started();
      first.report('success');
      first.release('success');
    });
    await checkOneFreed(trial, done, others);
  },

  async 'a permit may be started and reported again, in any order'(trial) {
    const [first, ...others] = await fill(trial);
    if (first === undefined) return;
    const done = 'a permit was reported, started, both again, and released';
    attempt(done, () => {
      first.report('success');
      first.started();
      first.report('ignore');
      first.started();
      first.release('success');
    });
    // A rate limiter counts what was started, so this place is free or is not. Never are two.
    for (const permit of others) permit.release('ignore');
    await trial.take(done, trial.places - 1);
    if (!trial.canBeFull) return;
    trial.ask();
    await trial.checkFull(done);
  },

  async 'the methods of a permit may be taken off it'(trial) {
    const [first, ...others] = await fill(trial);
    if (first === undefined) return;
    const done = 'the methods of a permit were called without it';
    const { started, report, release, [Symbol.dispose]: dispose } = first;
    attempt(done, () => {
      report('success');
      release();
      started();
      dispose();
    });
    await checkOneFreed(trial, done, others);
  },

  async 'an unknown verdict neither loses nor doubles a place'(trial) {
    const [first, ...others] = await fill(trial);
    if (first === undefined) return;
    const unknown = 'fine' as Verdict;
    for (const tell of [() => first.report(unknown), () => first.release(unknown)]) {
      try {
        tell();
      } catch (error) {
        if (!isArgumentError(error)) throw broken('a verdict was unknown', 'a TypeError or RangeError', shown(error));
      }
    }
    const done = 'a permit was released with an unknown verdict and then as it should be';
    attempt(done, () => first.release());
    await checkOneFreed(trial, done, others);
  },

  async 'a permit has a signal, which has not aborted'(trial) {
    for (const permit of await fill(trial)) {
      const signal = permit.signal as Partial<AbortSignal> | null | undefined;
      if (typeof signal?.addEventListener !== 'function' || signal.aborted !== false) {
        const got = signal?.aborted === true ? 'an aborted one' : shown(signal);
        throw broken('a permit was granted', 'its `signal` to be an AbortSignal that has not aborted', got);
      }
    }
  },
};

/** By name too: a gate may come from another realm. */
export function isArgumentError(error: unknown): boolean {
  const { name } = (error ?? {}) as { name?: unknown };
  return name === 'TypeError' || name === 'RangeError';
}

function fill(trial: Trial): Promise<Permit[]> {
  return trial.take('a new gate was filled');
}

/** Of a full gate exactly one place has come free. */
async function checkOneFreed(trial: Trial, done: string, others: readonly Permit[]): Promise<void> {
  const again = await trial.take(done, 1);
  await trial.checkFull(done);
  for (const permit of [...others, ...again]) permit.release('ignore');
  await trial.checkWhole(`${done}, and the others too`);
}

function attempt(done: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw broken(done, 'no throw', shown(error));
  }
}
