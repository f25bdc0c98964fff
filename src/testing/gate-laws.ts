import type { Gate } from '../core/gate.js';
import { callable } from '../core/options.js';
import { abortLaws } from './abort-laws.js';
import { listenerLaws } from './listener-laws.js';
import { localGateLaws } from './local-gate-laws.js';
import { permitLaws } from './permit-laws.js';
import { requestLaws } from './request-laws.js';
import { Trial } from './trial.js';

/** One law of gates, to be run as one test. */
export interface GateLaw {
  /** A sentence that fits a test's name. */
  readonly name: string;
  /** Tries a new gate. Rejects with an Error that says what was done, what was expected and what came, when the law is broken. */
  readonly run: () => Promise<void>;
}

/**
 * The conformance suite of every Gate, for any test runner: `for (const law of gateLaws(make)) test(law.name, law.run)`.
 *
 * It holds semaphores, rate limiters, breakers and pools to what all of them promise: every acquire settles, nothing is held
 * after an abort, a second release frees nothing, no listener is left. A full gate may let wait or refuse; it may answer at once
 * or after a round trip. A `LocalGate` is held to `tryAcquire` and `onChange` as well.
 *
 * It runs on any runtime, with real timers. A law takes a few milliseconds and some of the gate's round trips, one that is broken
 * up to two seconds. Whatever a law was granted is released when it ends.
 *
 * @param make gives each law a gate of its own with all places free (a semaphore in Redis: under a key of its own), and its
 * `capacity`: how many permits can be held at once, Infinity for no bound, 0 where all is refused. From 2 to 10 make the strictest
 * tests: of a capacity above 100 only so many are held, and the bound itself is not seen.
 * @throws {TypeError} `make` is no function.
 *
 * @example
 * for (const law of gateLaws(() => ({ gate: new RedisSemaphore({ key: randomUUID(), permits: 3 }), capacity: 3 }))) {
 *   test(law.name, law.run);
 * }
 */
export function gateLaws(make: () => { gate: Gate; capacity: number }): readonly GateLaw[] {
  callable('make', make);
  const laws = { ...permitLaws, ...abortLaws, ...requestLaws, ...listenerLaws, ...localGateLaws };
  return Object.entries(laws).map(([name, law]) => ({
    name,
    async run() {
      const trial = new Trial(make());
      try {
        await law(trial);
      } finally {
        trial.end();
      }
    },
  }));
}
