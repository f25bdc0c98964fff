import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { ReaderBehindError, StreamCoalescer } from '../../src/coalescer/index.js';
import { TimeoutError } from '../../src/core/errors.js';
import { property } from '../support/runs.js';
import { StreamModel, type StreamModelOptions } from './stream-model.js';
import { expectStreamIdentity, manualStreams } from './stream-support.js';
import { turn } from './support.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const options: fc.Arbitrary<StreamModelOptions> = fc.record({
  ttl: fc.constantFrom(0, 10, 50, 2_000, 2_000),
  maxBuffer: fc.constantFrom(1, 2, 3, 100),
  maxEntries: fc.constantFrom(1, 1, 100),
  idleTimeout: fc.constantFrom(20, 60, 1_000),
  whenOrphaned: fc.constantFrom('abort' as const, 'abort' as const, 'finish' as const),
});

const index = fc.nat({ max: 40 });
const key = fc.constantFrom('a', 'a', 'b');

type Step =
  | { op: 'open'; key: string; signal: 'none' | 'live' | 'aborted'; fresh: boolean }
  | { op: 'next'; reader: number; times: number }
  | { op: 'leave'; reader: number; how: 'return' | 'throw' | 'abort' }
  | { op: 'answer'; stream: number; kind: 'chunk' | 'end' | 'fail' }
  | { op: 'flow'; reader: number; chunks: number }
  | { op: 'whole'; key: string; chunks: number }
  | { op: 'forget'; key: string; abort: boolean }
  | { op: 'advance'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('open' as const),
      key,
      signal: fc.constantFrom('none' as const, 'live' as const, 'live' as const, 'aborted' as const),
      fresh: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({ op: fc.constant('next' as const), reader: index, times: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('answer' as const),
      stream: index,
      kind: fc.constantFrom(
        'chunk' as const,
        'chunk' as const,
        'chunk' as const,
        'chunk' as const,
        'end' as const,
        'fail' as const,
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('flow' as const), reader: index, chunks: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('whole' as const), key, chunks: fc.nat({ max: 2 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('leave' as const),
      reader: index,
      how: fc.constantFrom('return' as const, 'throw' as const, 'abort' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('forget' as const), key, abort: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('advance' as const), ms: fc.constantFrom(1, 5, 10, 25, 60) }) },
);

/** Runs the steps through both and compares after each. */
async function runBoth(settings: StreamModelOptions, steps: readonly Step[]): Promise<void> {
  const model = new StreamModel(settings);
  const real = new StreamCoalescer<string, string>(settings);
  const upstream = manualStreams<string>();
  const outcomes: string[] = [];
  const readers: { it: AsyncGenerator<string, void, undefined>; control: AbortController | undefined }[] = [];
  const shown = (reason: unknown): string => {
    if (reason instanceof TimeoutError) return 'timeout';
    if (reason instanceof ReaderBehindError) return 'behind';
    return (reason as { name?: string }).name ?? String(reason);
  };

  /** Also those that nobody listens to any more: what they answer comes too late. */
  const isAsked = ({ number }: { number: number }) => upstream.streams[number]?.isAsked === true;

  const take = (at: Step): void => {
    if (at.op === 'open') {
      const control = at.signal === 'none' ? undefined : new AbortController();
      if (at.signal === 'aborted') control?.abort('left');
      model.open(at.key, at.signal, at.fresh);
      readers.push({ it: real.stream(at.key, upstream.open, { signal: control?.signal, fresh: at.fresh }), control });
    } else if (at.op === 'next' || at.op === 'leave') {
      const living = model.readers.filter(({ state }) => state !== 'over');
      const like = living[at.reader % Math.max(1, living.length)];
      const reader = like && readers[model.readers.indexOf(like)];
      if (!reader || !like) return;
      if (at.op === 'leave') {
        if (at.how === 'abort') {
          model.abort(like);
          reader.control?.abort('left');
        } else {
          model.leave(like);
          if (at.how === 'return') void reader.it.return();
          else reader.it.throw('left').catch(() => {});
        }
        return;
      }
      for (let i = 0; i < at.times; i++) {
        model.next(like);
        const call = outcomes.push('pending') - 1;
        reader.it.next().then(
          ({ done, value }) => {
            outcomes[call] = done ? 'done' : (value as string);
          },
          (reason: unknown) => {
            outcomes[call] = shown(reason);
          },
        );
      }
    } else if (at.op === 'answer') {
      const asked = model.streams.filter(isAsked);
      const like = asked[at.stream % Math.max(1, asked.length)];
      const nth = like?.number ?? 0;
      const stream = upstream.streams[nth];
      if (!like || !stream) return;
      const value = `${nth}.${like.received.length}`;
      model.answer(like, at.kind);
      if (at.kind === 'chunk') stream.push(value);
      else if (at.kind === 'end') stream.end();
      else stream.fail(`error ${nth}`);
    } else if (at.op === 'forget') {
      expect(real.forget(at.key, { abort: at.abort })).toBe(model.forget(at.key, at.abort));
    }
  };

  const compare = (): void => {
    expectStreamIdentity(real);
    expect(outcomes).toEqual(model.calls);
    expect(upstream.streams.length).toBe(model.streams.length);
    for (const [i, { status, pulls, returns }] of model.streams.entries()) {
      const stream = upstream.nth(i);
      expect([stream.pulls, stream.returns]).toEqual([pulls, returns]);
      expect(stream.signal.aborted).toBe(status === 'timeout' || status === 'aborted');
    }
    expect(real.getMetrics()).toMatchObject({
      ...model.count,
      ...model.ends,
      entries: model.entries.length,
      inFlight: model.streams.filter(({ status }) => status === 'running').length,
    });
  };

  /** One reader at the pace of its upstream, else few streams would ever be longer than their buffer. */
  const flow = async (reader: number, chunks: number): Promise<void> => {
    for (let i = 0; i < chunks; i++) {
      take({ op: 'next', reader, times: 1 });
      await turn();
      take({ op: 'answer', stream: model.streams.filter(isAsked).length - 1, kind: 'chunk' });
      await turn();
    }
  };

  for (const at of steps) {
    if (at.op === 'flow') await flow(at.reader, at.chunks);
    else if (at.op === 'whole') {
      // A reader whose stream, if it needs one, is short and ends: else few would ever be stored.
      take({ op: 'open', key: at.key, signal: 'none', fresh: false });
      const reader = model.readers.filter(({ state }) => state !== 'over').length - 1;
      await flow(reader, at.chunks);
      take({ op: 'next', reader, times: 1 });
      await turn();
      take({ op: 'answer', stream: model.streams.filter(isAsked).length - 1, kind: 'end' });
    } else take(at);
    if (at.op === 'advance') {
      model.advance(at.ms);
      await vi.advanceTimersByTimeAsync(at.ms);
    }
    await turn();
    compare();
  }

  // Every call settles, every listener and timer goes.
  for (const [i, { it }] of readers.entries()) {
    const like = model.readers[i];
    if (like) model.leave(like);
    void it.return();
  }
  model.advance(100_000);
  await vi.advanceTimersByTimeAsync(100_000);
  await turn();
  compare();
  expect(outcomes).not.toContain('pending');
  for (const { control } of readers) if (control) expect(getEventListeners(control.signal, 'abort')).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
}

// Laws: order from the first chunk, one open per generation, the pace of the fastest, the bound of the buffer, settlement, return()
// once, table identity, the calls identity; against a naive model.
property([options, fc.array(step, { maxLength: 60, size: 'max' })])(
  'does what the naive model does, whatever readers, upstreams and time do',
  runBoth,
);
