import * as fc from 'fast-check';
import { expect } from 'vitest';
import { ReaderBehindError, StreamCoalescer, type StreamContext } from '../../src/coalescer/index.js';
import { property } from '../support/runs.js';
import { expectStreamIdentity } from './stream-support.js';

interface Plan {
  /** How many chunks it asks for before it leaves; more than there are: it stays. */
  readonly asks: number;
  readonly leaves: 'return' | 'throw' | 'abort' | 'break';
  /** Calls of `next()` at once. */
  readonly parallel: number;
  readonly naps: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  asks: fc.constantFrom(0, 1, 2, 3, 5, 99, 99, 99, 99),
  leaves: fc.constantFrom('return', 'throw', 'abort', 'break'),
  parallel: fc.constantFrom(1, 1, 1, 2, 3),
  naps: fc.nat({ max: 4 }),
});

/** A generation: one stream that was opened. */
interface Generation {
  readonly number: number;
  readonly signal: AbortSignal;
  asked: number;
  sent: number;
  isOver: boolean;
  closes: number;
}

// Laws: each reader that stays sees exactly the upstream's chunks in order from the first, or is told that it is behind, exactly
// then; one open per generation; the upstream is asked for nothing that no reader asked for; closed once, and only when left.
property([
  fc.scheduler(),
  fc.array(plan, { minLength: 1, maxLength: 8 }),
  fc.nat({ max: 8 }),
  fc.constantFrom(1, 2, 3, 100),
  fc.constantFrom(0, 60_000),
])('readers see one stream in order, at the pace of the fastest', async (s, plans, length, maxBuffer, ttl) => {
  const generations: Generation[] = [];
  const coalescer = new StreamCoalescer<string, string>({ maxBuffer, ttl });
  /** By generation: the most chunks that any of its readers asked for. */
  const wanted: number[] = [];
  const nap = (label: string) => s.schedule(Promise.resolve(), label);

  const open = async ({ signal }: StreamContext) => {
    const last = generations.at(-1);
    const isGone = last === undefined || last.isOver || last.signal.aborted || last.sent > maxBuffer;
    expect(isGone, 'the one before cannot be joined').toBe(true);
    const generation: Generation = { number: generations.length, signal, asked: 0, sent: 0, isOver: false, closes: 0 };
    generations.push(generation);
    wanted.push(0);
    await nap('open');
    let isBusy = false;
    return {
      [Symbol.asyncIterator]: () => ({
        async next(): Promise<IteratorResult<string, undefined>> {
          expect(isBusy).toBe(false);
          isBusy = true;
          generation.asked++;
          expect(generation.asked, 'nothing is read ahead').toBeLessThanOrEqual(wanted[generation.number] as number);
          await nap(`chunk ${generation.asked}`);
          isBusy = false;
          if (generation.sent === length) {
            generation.isOver = true;
            return { done: true, value: undefined };
          }
          return { done: false, value: `${generation.number}.${generation.sent++}` };
        },
        async return(): Promise<IteratorResult<string, undefined>> {
          generation.closes++;
          await nap('close');
          return { done: true, value: undefined };
        },
      }),
    };
  };

  const read = async ({ asks, leaves, parallel, naps }: Plan): Promise<void> => {
    for (let i = 0; i < naps; i++) await nap('late');
    const control = new AbortController();
    const reader = coalescer.stream('key', open, { signal: control.signal });
    let generation: Generation | undefined;
    let got = 0;
    for (let asked = 0; ; ) {
      if (asked >= asks) {
        if (leaves === 'abort') {
          control.abort('left');
          if (asked > 0) await expect(reader.next()).rejects.toBe('left');
        } else if (leaves === 'throw') await expect(reader.throw('left')).rejects.toBe('left');
        else await reader.return();
        if (asked > 0 || leaves !== 'abort') expect(await reader.next()).toEqual({ done: true, value: undefined });
        return;
      }
      asked += parallel;
      const before = got;
      const calls = Array.from({ length: parallel }, () => reader.next());
      // Who joins, joins the newest; its first `next` may just have opened that.
      generation ??= generations.at(-1) as Generation;
      wanted[generation.number] = Math.max(wanted[generation.number] as number, asked);
      const isBehind = generation.sent - before > maxBuffer;
      const results = await Promise.allSettled(calls);
      expectStreamIdentity(coalescer);
      for (const result of results) {
        if (result.status === 'rejected') {
          expect(result.reason).toBeInstanceOf(ReaderBehindError);
          expect(isBehind, `behind at ${got}`).toBe(true);
          expect(await reader.next()).toEqual({ done: true, value: undefined });
          return;
        }
        if (!result.value.done) expect(result.value.value).toBe(`${generation.number}.${got++}`);
      }
      expect(isBehind && got > before).toBe(false);
      if (results.some((result) => result.status === 'fulfilled' && result.value.done)) {
        expect(got).toBe(length);
        return;
      }
      await nap('between');
    }
  };

  await s.waitFor(Promise.all(plans.map(read)));
  await s.waitIdle();
  const metrics = coalescer.getMetrics();
  expect(metrics).toMatchObject({ inFlight: 0, loads: generations.length });
  for (const { isOver, closes, signal } of generations) {
    expect(closes).toBe(signal.aborted ? 1 : 0);
    expect(isOver || signal.aborted).toBe(true);
  }
});
