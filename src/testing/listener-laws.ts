import type { Ask } from './ask.js';
import { broken, type Laws, type Trial } from './trial.js';
import { WatchedSignal } from './watched-signal.js';

const MANY = 1_000;

/** What holds for listeners: a signal may outlive the gate, and what listens to it is kept as long. */
export const listenerLaws: Laws = {
  async 'no listener is left when an acquire has settled'(trial) {
    const granted = new WatchedSignal();
    const permits = await trial.take('a new gate was filled', trial.places, { signal: granted.signal });
    await checkNone(trial, 'permits were granted', granted);
    if (trial.places === trial.capacity) {
      const [waits, leaves] = [new WatchedSignal(), new WatchedSignal()];
      const left = trial.ask({ signal: leaves.signal });
      const ask = trial.ask({ signal: waits.signal });
      await trial.quiet();
      if (left.rejection) await checkNone(trial, 'an acquire was refused', leaves);
      leaves.abort('given up');
      await trial.until(() => left.isSettled);
      await checkNone(trial, 'an acquire was aborted while it waited', leaves);
      for (const permit of permits) permit.release('ignore');
      if (trial.places > 0) await trial.until(() => ask.isSettled);
      if (ask.isSettled) await checkNone(trial, 'an acquire was settled after a wait', waits);
      ask.discard();
    }
    for (const permit of permits) permit.release('ignore');
    await checkNone(trial, 'permits were released', granted);
    granted.abort('given up');
    const late = trial.ask({ signal: granted.signal });
    await trial.until(() => late.isSettled);
    await checkNone(trial, 'acquire was called with an aborted signal', granted);
  },

  async '1,000 acquires with one signal leave no listener'(trial) {
    const shared = new WatchedSignal();
    const asks: Ask[] = [];
    for (let i = 0; i < MANY; i++) asks.push(trial.ask({ signal: shared.signal }));
    await trial.until(() => asks.filter((ask) => ask.permit).length >= Math.min(trial.capacity, MANY));
    await trial.quiet();
    shared.abort('given up');
    await trial.until(() => asks.every((ask) => ask.isSettled));
    for (const ask of asks) ask.discard();
    await checkNone(trial, '1,000 acquires shared a signal that aborted', shared);
  },
};

async function checkNone(trial: Trial, done: string, watched: WatchedSignal): Promise<void> {
  if (await trial.until(() => watched.listeners === 0)) return;
  throw broken(done, 'no listener to be left on the signal', String(watched.listeners));
}
