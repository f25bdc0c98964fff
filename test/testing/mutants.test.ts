import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AcquireRequest, type Gate, GateRefusedError } from '../../src/core/gate.js';
import { createPermit, type Permit } from '../../src/core/permit.js';
import type { Awaitable } from '../../src/core/types.js';
import { gateLaws } from '../../src/testing/index.js';
import { LocalSemaphore, Refusing, Semaphore, type Waiter } from './gates.js';
import { judge } from './support.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Permits of its own making, one method spoiled. */
function handMade(spoil: (permit: Permit, gate: Semaphore) => Partial<Permit>): new (capacity: number) => Gate {
  return class extends Semaphore {
    override grant(): Permit {
      const permit = super.grant();
      const { signal } = permit;
      return { ...permit, signal, [Symbol.dispose]: () => permit.release('ignore'), ...spoil(permit, this) };
    }
  };
}

/** Costs are counted, and not checked. */
class Uncosted extends LocalSemaphore {
  override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
    request.signal?.throwIfAborted();
    return this.hasRoom() ? this.take(request) : this.wait(request);
  }
  take({ cost = 1 }: AcquireRequest): Permit {
    this.held += cost;
    return createPermit(() => {
      this.held -= cost;
      this.serve();
    });
  }
}

/** Broken gates: what is wrong, the gate, the law that must say so, and its words. */
const mutants: readonly [fault: string, Broken: new (capacity: number) => Gate, law: string, words: string | RegExp][] =
  [
    [
      'grants one more than it has',
      class extends Semaphore {
        override hasRoom() {
          return this.held <= this.capacity;
        }
      },
      'as many permits as its capacity are held at once, and no more',
      'a new gate was filled: expected no more than 3 permits at once, got one more',
    ],
    [
      'keeps one place to itself',
      class extends Semaphore {
        override hasRoom() {
          return this.held < this.capacity - 1;
        }
      },
      'as many permits as its capacity are held at once, and no more',
      'a new gate was filled: expected 3 of 3 places to be free, got 2 and no answer',
    ],
    [
      'grants no permit but true',
      class extends Semaphore {
        override grant(): Permit {
          super.grant();
          return true as never;
        }
      },
      'as many permits as its capacity are held at once, and no more',
      'a new gate was filled: expected 3 of 3 places to be free, got 0 and no permit but true',
    ],
    [
      'grants nothing',
      class extends Semaphore {
        override grant(): Permit {
          super.grant();
          return undefined as never;
        }
      },
      'as many permits as its capacity are held at once, and no more',
      'a new gate was filled: expected 3 of 3 places to be free, got 0 and no permit but undefined',
    ],
    [
      'frees only what was started',
      class extends Semaphore {
        override grant(): Permit {
          this.held++;
          let isStarted = false;
          const onStarted = () => {
            isStarted = true;
          };
          return createPermit(() => isStarted && this.free(), { onStarted });
        }
      },
      'a permit released before it was started gives its place back',
      /^all permits were released: expected 3 of 3 places to be free, got 0 and no answer$/,
    ],
    [
      'forgets who waits',
      class extends Semaphore {
        override serve() {}
      },
      'every acquire settles: a released place goes to one that waits',
      '3 acquires wait and a permit is released: expected one of them to settle, got no answer',
    ],
    [
      'wakes all that wait for one place',
      class extends Semaphore {
        override serve() {
          for (const waiter of this.waiters.splice(0)) {
            this.unlisten(waiter);
            waiter.resolve(this.grant());
          }
        }
      },
      'every acquire settles: a released place goes to one that waits',
      '3 acquires wait and a permit is released: expected one of them to be granted, got 3 permits',
    ],
    [
      'cannot wait without a signal',
      class extends Semaphore {
        override wait(request: AcquireRequest): Awaitable<Permit> {
          return request.signal ? super.wait(request) : new Promise(() => {});
        }
      },
      'every acquire settles: a released place goes to one that waits',
      /got no answer$/,
    ],
    [
      'frees at the report',
      class extends Semaphore {
        override grant(): Permit {
          this.held++;
          return createPermit(undefined, { onReport: () => this.free() });
        }
      },
      'a report frees nothing',
      'of a full gate one permit reported: expected no more than 3 permits at once, got one more',
    ],
    [
      'frees at each release',
      handMade((_, gate) => ({ release: () => gate.free() })),
      'a second release frees nothing',
      'a permit was released four times: expected no more than 3 permits at once, got one more',
    ],
    [
      'throws at a second release',
      handMade((permit) => {
        let isReleased = false;
        const release = () => {
          if (isReleased) throw new Error('released already');
          isReleased = true;
          permit.release();
        };
        return { release };
      }),
      'a second release frees nothing',
      'a permit was released four times: expected no throw, got Error: released already',
    ],
    [
      'has a dispose that does nothing',
      handMade(() => ({ [Symbol.dispose]() {} })),
      'dispose releases',
      'all permits were disposed of: expected 3 of 3 places to be free, got 0 and no answer',
    ],
    [
      'takes the place again when a released permit is started',
      handMade((_, gate) => {
        let isReleased = false;
        const release = () => {
          if (!isReleased) gate.free();
          isReleased = true;
        };
        const started = () => {
          if (isReleased) gate.held++;
        };
        return { release, started, [Symbol.dispose]: release };
      }),
      'what a permit is told after its release is ignored',
      /^a permit was started and reported after its release: expected 1 of 3 places to be free, got 0 and no answer$/,
    ],
    [
      'throws when started twice',
      handMade(() => {
        let isStarted = false;
        const started = () => {
          if (isStarted) throw new Error('started already');
          isStarted = true;
        };
        return { started };
      }),
      'a permit may be started and reported again, in any order',
      'a permit was reported, started, both again, and released: expected no throw, got Error: started already',
    ],
    [
      'frees a started permit twice',
      class extends Semaphore {
        override grant(): Permit {
          this.held++;
          let isStarted = false;
          const onStarted = () => {
            isStarted = true;
          };
          const onRelease = () => {
            if (isStarted) this.held--;
            this.free();
          };
          return createPermit(onRelease, { onStarted });
        }
      },
      'a permit may be started and reported again, in any order',
      /expected no more than 3 permits at once, got one more$/,
    ],
    [
      'has permits that need their `this`',
      handMade((permit) => ({
        release(this: Permit) {
          this.signal.throwIfAborted();
          permit.release();
        },
      })),
      'the methods of a permit may be taken off it',
      /^the methods of a permit were called without it: expected no throw, got TypeError: /,
    ],
    [
      'is through with a permit whose verdict it refused',
      handMade((permit, gate) => {
        let isReleased = false;
        const release: Permit['release'] = (verdict = 'success') => {
          if (isReleased) return;
          isReleased = true;
          if (!['success', 'ignore'].includes(verdict)) throw new TypeError('unknown verdict');
          gate.free();
        };
        return { report: permit.report, release, [Symbol.dispose]: release as () => void };
      }),
      'an unknown verdict neither loses nor doubles a place',
      /verdict and then as it should be: expected 1 of 3 places to be free, got 0 and no answer$/,
    ],
    [
      'throws a string at an unknown verdict',
      handMade((permit) => ({
        report(verdict) {
          if (verdict !== 'success' && verdict !== 'ignore') throw 'unknown verdict';
          permit.report(verdict);
        },
      })),
      'an unknown verdict neither loses nor doubles a place',
      "a verdict was unknown: expected a TypeError or RangeError, got 'unknown verdict'",
    ],
    [
      'has permits without a signal',
      handMade(() => ({ signal: undefined as never })),
      'a permit has a signal, which has not aborted',
      'a permit was granted: expected its `signal` to be an AbortSignal that has not aborted, got undefined',
    ],
    [
      'has permits whose signal has aborted',
      handMade(() => ({ signal: AbortSignal.abort() })),
      'a permit has a signal, which has not aborted',
      /got an aborted one$/,
    ],
    [
      'does not look whether the signal has aborted',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          return super.acquire(request.signal?.aborted ? {} : request);
        }
      },
      'aborted before: rejects with the very reason, and takes nothing',
      'acquire was called with a signal that had aborted: expected a rejection with its reason, that very object, got a permit',
    ],
    [
      'loses falsy reasons',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          if (request.signal?.aborted) throw request.signal.reason || new Error('aborted');
          return super.acquire(request);
        }
      },
      'aborted before: rejects with the very reason, and takes nothing',
      'acquire was called with a signal that had aborted: expected a rejection with its reason, "", got a rejection with Error: aborted',
    ],
    [
      'takes a place before it looks at the signal',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          if (request.signal?.aborted) this.held++;
          return super.acquire(request);
        }
      },
      'aborted before: rejects with the very reason, and takes nothing',
      /^acquires with an aborted signal were rejected: expected 3 of 3 places to be free, got 0 and no answer$/,
    ],
    [
      'ignores an abort while it waits',
      class extends Semaphore {
        override wait({ signal: _, ...request }: AcquireRequest): Awaitable<Permit> {
          return super.wait(request);
        }
      },
      'aborted while it waits: rejects with the very reason at once',
      'an acquire was aborted while it waited: expected it to settle, got no answer in 2000 ms',
    ],
    [
      'wraps the reason',
      class extends Semaphore {
        override leave(waiter: Waiter) {
          this.waiters = this.waiters.filter((each) => each !== waiter);
          this.unlisten(waiter);
          waiter.reject(new GateRefusedError('aborted', { cause: waiter.signal?.reason }));
        }
      },
      'aborted while it waits: rejects with the very reason at once',
      /expected a rejection with its reason, that very object, got a rejection with GateRefusedError: aborted$/,
    ],
    [
      'is local and rejects a turn late',
      class extends LocalSemaphore {
        override leave(waiter: Waiter) {
          this.waiters = this.waiters.filter((each) => each !== waiter);
          this.unlisten(waiter);
          setTimeout(() => waiter.reject(waiter.signal?.reason), 1);
        }
      },
      'aborted while it waits: rejects with the very reason at once',
      /got no answer$/,
    ],
    [
      'gives a place to one who has left',
      class extends Semaphore {
        override leave(waiter: Waiter) {
          this.unlisten(waiter);
          waiter.reject(waiter.signal?.reason);
        }
      },
      'aborted while it waits: its place goes to others',
      'of two acquires that waited one was aborted, and a permit was released: expected it to settle, got no answer in 2000 ms',
    ],
    [
      'loses a place that is granted as the abort comes',
      class extends Semaphore {
        override async acquire(request: AcquireRequest = {}): Promise<Permit> {
          const permit = await super.acquire(request);
          await undefined;
          request.signal?.throwIfAborted();
          return permit;
        }
      },
      'aborted while it is granted: either the very reason or a permit, and no place is lost',
      /^an acquire of a free place was aborted on its way.*: expected 3 of 3 places to be free, got . and no answer$/,
    ],
    [
      'lets the release win over an earlier abort',
      class extends Semaphore {
        override leave(waiter: Waiter) {
          queueMicrotask(() => this.waiters.includes(waiter) && super.leave(waiter));
        }
      },
      'aborted and then released in one turn: the abort wins, and no place is lost',
      'an acquire that waited was aborted right before permits were released: expected a rejection with its reason, "given up", got a permit',
    ],
    [
      'releases when the signal of a granted acquire aborts',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const answer = super.acquire(request);
          if ('release' in answer) request.signal?.addEventListener('abort', () => answer.release());
          return answer;
        }
      },
      'aborted after it was granted: the permit stays valid until it is released',
      'the signal of an acquire aborted after the permit was granted: expected no more than 3 permits at once, got one more',
    ],
    [
      'makes the signal of the acquire that of the permit',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const answer = super.acquire(request);
          const { signal } = request;
          if (!('release' in answer) || !signal) return answer;
          return { ...answer, signal, [Symbol.dispose]: () => answer.release('ignore') };
        }
      },
      'aborted after it was granted: the permit stays valid until it is released',
      /expected the permit's own signal not to abort, got an abort$/,
    ],
    [
      'needs a request',
      class extends Semaphore {
        override acquire(request?: AcquireRequest): Awaitable<Permit> {
          return super.acquire({ ...request, signal: (request as AcquireRequest).signal });
        }
      },
      'a request may be left out, and so may all that is in it',
      /^acquire was called with |^requests that say nothing: expected one answer, got a rejection with TypeError/,
    ],
    [
      'looks at `cost` where it is there and undefined',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          if ('cost' in request && typeof request.cost !== 'number') throw new TypeError('cost');
          return super.acquire(request);
        }
      },
      'a request may be left out, and so may all that is in it',
      /^acquire was called with \{ signal,cost,group \}: expected a permit, got a rejection with TypeError: cost$/,
    ],
    [
      'counts NaN and negative costs',
      Uncosted,
      'a cost that is no number >= 0 is refused, or costs are not looked at',
      /^the gate was asked with a `cost` of NaN.* and granted/,
    ],
    [
      'counts negative costs',
      class extends Uncosted {
        override take(request: AcquireRequest): Permit {
          const cost = request.cost ?? 1;
          if (typeof cost !== 'number' || !(cost > Number.NEGATIVE_INFINITY) || cost > 3) throw new RangeError('cost');
          return super.take(request);
        }
      },
      'a cost that is no number >= 0 is refused, or costs are not looked at',
      'the gate was asked with a `cost` of -1 and granted: expected no more than 3 permits at once, got one more',
    ],
    [
      'refuses a wrong cost with an Error of any kind',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const { cost = 1 } = request;
          if (!(cost >= 0 && cost <= 3)) throw new Error('cost');
          return super.acquire(request);
        }
      },
      'a cost that is no number >= 0 is refused, or costs are not looked at',
      'the gate was asked with a `cost` of NaN: expected a TypeError or RangeError, got Error: cost',
    ],
    [
      'lets wait for ever for more than it can have',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const { cost = 1 } = request;
          if (typeof cost !== 'number' || !(cost >= 0)) throw new RangeError('cost');
          return cost > 3 ? new Promise(() => {}) : super.acquire(request);
        }
      },
      'a cost that is no number >= 0 is refused, or costs are not looked at',
      'the gate was asked with a `cost` of Infinity: expected each to settle, got no answer',
    ],
    [
      'counts negative costs in tryAcquire',
      class extends Uncosted {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const { cost = 1 } = request;
          if (typeof cost !== 'number' || !(cost >= 0 && cost <= 3)) throw new RangeError('cost');
          return super.acquire(request);
        }
        override tryAcquire(request: AcquireRequest) {
          return this.hasRoom() ? this.take(request) : Number.POSITIVE_INFINITY;
        }
      },
      'tryAcquire with such a cost throws, or costs are not looked at',
      /^the gate was asked with a `cost` of NaN.* and granted/,
    ],
    [
      'refuses with an Error of any kind',
      class extends Semaphore {
        override wait(): Awaitable<Permit> {
          throw new Error('full');
        }
      },
      'a refusal is a RefusedError, its retryAfter a number >= 0 or undefined, and takes nothing',
      'a full gate refused: expected a RefusedError, got Error: full',
    ],
    [
      'says that a new try makes sense in NaN ms',
      class extends Semaphore {
        override wait(): Awaitable<Permit> {
          throw new GateRefusedError('full', { retryAfter: Number.NaN });
        }
      },
      'a refusal is a RefusedError, its retryAfter a number >= 0 or undefined, and takes nothing',
      'a full gate refused: expected `retryAfter` to be a number >= 0 or undefined, got NaN',
    ],
    [
      'loses a place with each refusal',
      class extends Refusing {
        override wait(request: AcquireRequest): Awaitable<Permit> {
          this.held++;
          return super.wait(request);
        }
      },
      'a refusal is a RefusedError, its retryAfter a number >= 0 or undefined, and takes nothing',
      /^a full gate was asked for more, and emptied: expected 3 of 3 places to be free/,
    ],
    [
      'leaves its listener when it grants after a wait',
      class extends Semaphore {
        override unlisten(waiter: Waiter) {
          if (waiter.signal?.aborted) super.unlisten(waiter);
        }
      },
      'no listener is left when an acquire has settled',
      'an acquire was settled after a wait: expected no listener to be left on the signal, got 1',
    ],
    [
      'listens although it grants at once',
      class extends Semaphore {
        override acquire(request: AcquireRequest = {}): Awaitable<Permit> {
          const answer = super.acquire(request);
          request.signal?.addEventListener('abort', () => {}, { once: true });
          return answer;
        }
      },
      'no listener is left when an acquire has settled',
      'permits were granted: expected no listener to be left on the signal, got 3',
    ],
    [
      'leaves its listener when it is aborted',
      class extends Semaphore {
        override unlisten(waiter: Waiter) {
          if (!waiter.signal?.aborted) super.unlisten(waiter);
        }
      },
      '1,000 acquires with one signal leave no listener',
      '1,000 acquires shared a signal that aborted: expected no listener to be left on the signal, got 997',
    ],
    [
      'answers tryAcquire with a promise',
      class extends LocalSemaphore {
        override tryAcquire() {
          return Promise.resolve(super.tryAcquire()) as never;
        }
      },
      'tryAcquire answers at once: a permit, a RefusedError or a number >= 0',
      /expected tryAcquire to answer with a permit, a RefusedError or a number >= 0, got a promise$/,
    ],
    [
      'throws what tryAcquire should return',
      class extends LocalSemaphore {
        override tryAcquire() {
          if (!this.hasRoom()) throw new GateRefusedError('full');
          return this.grant();
        }
      },
      'tryAcquire answers at once: a permit, a RefusedError or a number >= 0',
      'tryAcquire of a full gate: expected tryAcquire to answer, got a throw of GateRefusedError: full',
    ],
    [
      'answers tryAcquire with NaN',
      class extends LocalSemaphore {
        override tryAcquire() {
          return this.hasRoom() ? this.grant() : Number.NaN;
        }
      },
      'tryAcquire answers at once: a permit, a RefusedError or a number >= 0',
      /got NaN$/,
    ],
    [
      'has no bound in tryAcquire',
      class extends LocalSemaphore {
        override tryAcquire() {
          return this.grant();
        }
      },
      'tryAcquire answers at once: a permit, a RefusedError or a number >= 0',
      'tryAcquire of a full gate: expected no permit, got one more',
    ],
    [
      'gives nothing by tryAcquire',
      class extends LocalSemaphore {
        override tryAcquire() {
          return Number.POSITIVE_INFINITY;
        }
      },
      'tryAcquire answers at once: a permit, a RefusedError or a number >= 0',
      'tryAcquire was called with 0 of 3 places held: expected a permit, got Infinity',
    ],
    [
      'lets tryAcquire pass by who waits',
      class extends LocalSemaphore {
        override serve() {
          queueMicrotask(() => super.serve());
        }
      },
      'tryAcquire passes nobody by',
      'while an acquire waited, a permit was released and tryAcquire called: expected tryAcquire to give no permit, got one',
    ],
    [
      'never calls onChange',
      class extends LocalSemaphore {
        override onChange() {
          return () => {};
        }
      },
      'after an answer of Infinity, onChange calls when a place comes free',
      'two wait for onChange and a permit is released, for the first time: expected 1 to be served, got 0',
    ],
    [
      'calls onChange before the place is free',
      class extends LocalSemaphore {
        override free() {
          for (const { wake } of this.wakes) wake();
          this.held--;
          this.serve();
        }
      },
      'after an answer of Infinity, onChange calls when a place comes free',
      /expected 1 to be served, got 0$/,
    ],
    [
      'calls only who asked last',
      class extends LocalSemaphore {
        override onChange(wake: () => void) {
          this.wakes.clear();
          return super.onChange(wake);
        }
      },
      'after an answer of Infinity, onChange calls when a place comes free',
      /for the second time: expected 2 to be served, got 1$/,
    ],
    [
      'calls on after onChange was ended',
      class extends LocalSemaphore {
        override onChange(wake: () => void) {
          super.onChange(wake);
          return () => {};
        }
      },
      'onChange calls no more once it has been ended',
      /^places came free after onChange was ended: expected no call, got \d+$/,
    ],
    [
      'cannot end onChange',
      class extends LocalSemaphore {
        override onChange(wake: () => void) {
          super.onChange(wake);
          return undefined as never;
        }
      },
      'onChange calls no more once it has been ended',
      'onChange was called: expected the function that ends it, got none',
    ],
  ];

describe('a gate that', () => {
  test.each(mutants)('%s', async (_, Broken, name, words) => {
    const laws = gateLaws(() => ({ gate: new Broken(3), capacity: 3 }));
    const law = laws.find((each) => each.name === name);
    const { message, took } = law ? await judge(law) : { message: `there is no law "${name}"`, took: 0 };
    if (typeof words === 'string') expect(message).toBe(words);
    else expect(message).toMatch(words);
    // Before the test runner loses patience: 5 s by default.
    expect(took).toBeLessThan(2_500);
  });

  test('is broken is found by each law', () => {
    const broken = new Set(mutants.map(([, , law]) => law));
    const laws = gateLaws(() => ({ gate: new Semaphore(3), capacity: 3 }));
    expect(laws.map((law) => law.name).filter((name) => !broken.has(name))).toEqual([]);
  });
});
