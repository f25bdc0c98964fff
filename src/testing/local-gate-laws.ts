import type { Permit } from '../core/permit.js';
import { broken, type Law, type Laws, type Trial } from './trial.js';
import { WatchedSignal } from './watched-signal.js';

/** What holds for a `LocalGate` besides. Other gates keep these laws by having none of it. */
export const localGateLaws: Laws = {
  'tryAcquire answers at once: a permit, a RefusedError or a number >= 0': local(async (trial) => {
    const watched = new WatchedSignal();
    const { signal } = watched;
    const permits: Permit[] = [];
    for (let i = 0; i < trial.places; i++) {
      const done = `tryAcquire was called with ${i} of ${trial.capacity} places held`;
      const answer = trial.tryAcquire(done, { signal });
      if (typeof answer !== 'object') throw broken(done, 'a permit', named(answer));
      permits.push(answer);
    }
    if (trial.places === trial.capacity) {
      const done = 'tryAcquire of a full gate';
      if (typeof trial.tryAcquire(done, { signal }) === 'object') throw broken(done, 'no permit', 'one more');
      await trial.checkFull('all permits of a gate were given by tryAcquire');
    }
    if (watched.listeners > 0) throw broken('tryAcquire has answered', 'no listener on the signal', 'one');
    for (const permit of permits) permit.release('ignore');
    await trial.checkWhole('permits given by tryAcquire were released');
  }),

  'tryAcquire passes nobody by': local(async (trial) => {
    const [first] = await trial.take('a new gate was filled');
    if (!trial.canBeFull) return;
    const ask = await trial.askWhenFull('a new gate was filled');
    if (ask.isSettled) return;
    const done = 'while an acquire waited, a permit was released and tryAcquire called';
    first?.release('ignore');
    if (typeof trial.tryAcquire(done) === 'object') throw broken(done, 'tryAcquire to give no permit', 'one');
  }),

  'after an answer of Infinity, onChange calls when a place comes free': local(async (trial) => {
    const permits = await trial.take('a new gate was filled');
    if (!trial.canBeFull || trial.tryAcquire('tryAcquire of a full gate') !== Number.POSITIVE_INFINITY) return;
    const woken: Permit[] = [];
    const ends = [0, 1].map(() => {
      let isServed = false;
      return trial.local?.onChange(() => {
        if (isServed) return;
        const answer = trial.tryAcquire('tryAcquire was called by onChange');
        if (typeof answer !== 'object') return;
        isServed = true;
        woken.push(answer);
      });
    });
    const release = async (permit: Permit | undefined, served: number): Promise<void> => {
      const done = `two wait for onChange and a permit is released, for the ${served === 1 ? 'first' : 'second'} time`;
      permit?.release('ignore');
      await trial.until(() => woken.length >= served);
      if (woken.length !== served) throw broken(done, `${served} to be served`, String(woken.length));
    };
    await release(permits[0], 1);
    await release(permits[1] ?? woken[0], 2);
    for (const end of ends) end?.();
  }),

  'onChange calls no more once it has been ended': local(async (trial) => {
    let calls = 0;
    const end = trial.local?.onChange(() => {
      calls++;
    });
    if (typeof end !== 'function') throw broken('onChange was called', 'the function that ends it', named(end));
    end();
    end();
    for (const permit of await trial.take('a new gate was filled')) permit.release('ignore');
    await trial.checkWhole('permits were released');
    if (calls > 0) throw broken('places came free after onChange was ended', 'no call', String(calls));
  }),
};

/** For gates that are not local there is nothing to see. */
function local(law: Law): Law {
  return async (trial: Trial) => {
    if (trial.local) await law(trial);
  };
}

function named(answer: unknown): string {
  return answer === undefined ? 'none' : String(answer);
}
