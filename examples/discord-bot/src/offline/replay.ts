import { setTimeout as sleep } from 'node:timers/promises';
import type { CoalescerMetrics } from 'paceline';
import type { Log } from '../log.js';
import { reportOf } from '../report.js';
import { percent } from '../status.js';
import { isQuestion, type RecordedEvent, type Recording, readRecording } from './recording.js';
import { type Stage, setStage } from './stage.js';

/** What a run of the recording came to. */
export interface ReplayResult {
  /** As the servers counted them. */
  readonly generations: number;
  readonly reads: number;
  readonly coalescers: readonly CoalescerMetrics[];
  readonly answers: number;
  readonly report: readonly string[];
}

const READS = ['messages', 'messages/pins', 'emojis', 'members/:user'];
const silent: Log = () => {};

/**
 * Plays the recording at `speed` times its pace, and the whole world with it: latencies, limits and times to live are so many times
 * shorter too, else a faster replay would find more duplicates than there were.
 *
 * @param share false: every call has a key of its own, for comparison.
 */
export async function replay({ events }: Recording, speed: number, share: boolean): Promise<ReplayResult> {
  const stage = await setStage({
    discord: { timeScale: speed, weather: { latency: { median: 120 / speed } } },
    gemini: { tokensPerSecond: 80 * speed, weather: { latency: { median: 600 / speed } } },
    config: { timeScale: speed, share },
    log: silent,
  });
  try {
    const started = performance.now();
    for (const event of events) {
      const due = started + event.at / speed - performance.now();
      if (due > 0) await sleep(due);
      await send(stage, event);
    }
    await settled(stage, events.filter((event) => isQuestion(event)).length);
    return await resultOf(stage);
  } finally {
    await stage.close();
  }
}

async function send({ discord }: Stage, event: RecordedEvent): Promise<void> {
  const { channel, user } = event;
  if (event.kind === 'say') await discord.control('say', { channel, user, text: event.text });
  else
    await discord.control('run', {
      channel,
      user,
      name: event.name,
      options: event.question === undefined ? {} : { question: event.question },
    });
}

/** Until all that was asked is answered, and what came after that is done. */
async function settled({ bot }: Stage, questions: number): Promise<void> {
  const { handlers } = bot.globals.globalPools;
  while (handlers.getMetrics().calls < questions || handlers.running > 0) await sleep(20);
  await bot.globals.background.drain();
}

async function resultOf({ bot, discord, gemini }: Stage): Promise<ReplayResult> {
  const { globalCoalescers, globalPools, registry } = bot.globals;
  const [chat, model] = await Promise.all([discord.stats(), gemini.stats()]);
  const reads = Object.entries(chat.routes).filter(
    ([name]) => name.startsWith('GET ') && READS.some((end) => name.endsWith(`/${end}`)),
  );
  const { userContext, serverContext, geminiGeneration } = globalCoalescers;
  return {
    generations: model.counts.generated,
    reads: reads.reduce((sum, [, { requests }]) => sum + requests, 0),
    coalescers: [userContext, serverContext, geminiGeneration].map((coalescer) => coalescer.getMetrics()),
    answers: globalPools.handlers.getMetrics().fulfilled,
    report: reportOf(registry.snapshot()),
  };
}

export async function runReplay(
  { speed }: { readonly speed: number },
  print: (line: string) => void = console.log,
): Promise<void> {
  const recording = await readRecording();
  const { events, title } = recording;
  const questions = events.filter((event) => isQuestion(event)).length;
  print(`${title}.`);
  print(`${events.length} events, ${questions} of them questions, ${speed} times as fast as recorded, three times.\n`);
  const alone = await replay(recording, speed, false);
  const shared = await replay(recording, speed, true);
  const oneView = await replay(asOneView(recording), speed, true);
  for (const line of comparison(alone, shared, oneView)) print(line);
  print('\nThe figures that it logs, of the run with sharing:\n');
  for (const line of shared.report) print(line);
}

/** Every question as one for all: what sharing would come to if nobody had a view of their own. */
function asOneView({ title, events }: Recording): Recording {
  const forAll = (event: RecordedEvent): RecordedEvent => {
    if (event.kind !== 'say' || !isQuestion(event)) return event;
    const { at, channel, user, text } = event;
    return { at, channel, user, kind: 'run', name: 'faq', question: text.replace('@paceline ', '') };
  };
  return { title, events: events.map(forAll) };
}

/** One line for each kind of call, and the rates. */
export function comparison(alone: ReplayResult, shared: ReplayResult, oneView: ReplayResult): readonly string[] {
  const row = (name: string, of: (result: ReplayResult) => number) => {
    const less = (result: ReplayResult) => `${of(result)} (-${percent(1 - of(result) / of(alone))})`;
    return `${name.padEnd(18)} ${String(of(alone)).padStart(6)} ${less(shared).padStart(14)} ${less(oneView).padStart(18)}`;
  };
  return [
    `${'calls that reached'.padEnd(18)} ${'alone'.padStart(6)} ${'shared'.padStart(14)} ${'if all were /faq'.padStart(18)}`,
    row('Gemini', ({ generations }) => generations),
    row('Discord, to read', ({ reads }) => reads),
    row('both', ({ generations, reads }) => generations + reads),
    '',
    ...shared.coalescers.map(
      ({ name, calls, loads, hits, coalesced, savedRate }) =>
        `${name.padEnd(18)} ${calls} calls = ${hits} stored + ${coalesced} joined + ${loads} loads; saved ${percent(savedRate)}`,
    ),
  ];
}
