// The figures of the seed, from the running bot: real clients, stand-ins with the latencies that the seed states.
import { pathToFileURL } from 'node:url';
import { readRecording } from '../src/offline/recording.js';
import { type ReplayResult, replay } from '../src/offline/replay.js';
import { type Stage, setStage } from '../src/offline/stage.js';
import { promptOf } from '../src/prompt.js';
import type { Question } from '../src/question.js';
import { MemoryStore, type Store } from '../src/store.js';

export interface SeedRow {
  readonly name: string;
  /** `ms`, or `share` of calls, 0..1. */
  readonly unit: 'ms' | 'share';
  /** As the seed states it. */
  readonly claimed: { readonly before?: number; readonly after: number };
  readonly measured: { readonly before?: number; readonly after: number };
}

/** One step, done as before and as now. Both on the same bot, with the same operations. */
interface Step {
  readonly before: () => Promise<void>;
  readonly now: () => Promise<unknown>;
}

const STORE_MS: Partial<Record<keyof Store, number>> = {
  notice: 100,
  answer: 100,
  countQuestion: 100,
  saveAnswer: 80,
  saveExchange: 80,
  addUsage: 40,
};
const CONTEXT_MS = {
  'GET /api/:version/guilds/:guild/emojis': 40,
  'GET /api/:version/channels/:channel/messages/pins': 40,
  'GET /api/:version/guilds/:guild/members/:user': 20,
  'GET /api/:version/channels/:channel/messages': 350,
};
const GENERATION_MS = 200;

/** Medians of `runs`, one after the other in turn. `replaySpeed`: of the recording; 0 leaves it out. */
export async function measureBot({ runs = 7, replaySpeed = 10 } = {}): Promise<readonly SeedRow[]> {
  const times = await measureSteps(runs);
  return [...times, ...(replaySpeed === 0 ? [] : await measureSharing(replaySpeed))];
}

async function measureSteps(runs: number): Promise<readonly SeedRow[]> {
  const routes = Object.fromEntries(Object.entries(CONTEXT_MS).map(([route, latency]) => [route, { latency }]));
  const stage = await setStage({
    discord: { limits: {}, weather: { routes } },
    gemini: { tokensPerSecond: 1_000_000, weather: { latency: GENERATION_MS } },
    // Each run asks anew; what is shared is another row.
    config: { share: false, perPerson: Number.POSITIVE_INFINITY, history: 50 },
    store: new MemoryStore({ latency: (call) => STORE_MS[call] ?? 0 }),
    log: () => {},
  });
  try {
    const steps = stepsOf(stage, await questionOn(stage));
    const rows = [
      { name: 'pre-generation checks', claimed: { before: 300, after: 100 } },
      { name: 'context', claimed: { before: 450, after: 350 } },
      { name: 'post-generation work', claimed: { before: 200, after: 0 } },
      { name: 'all three', claimed: { before: 950, after: 650 } },
      { name: `all three and a generation of ${GENERATION_MS} ms`, claimed: { before: 950, after: 650 } },
    ];
    const measured: SeedRow[] = [];
    for (const [i, row] of rows.entries())
      measured.push({ ...row, unit: 'ms', measured: await race(steps[i] as Step, runs) });
    return measured;
  } finally {
    await stage.close();
  }
}

function stepsOf({ bot }: Stage, question: Question): readonly Step[] {
  const { checks, context, after, service } = bot.responder;
  const answer = 'An answer.';
  const preGeneration: Step = {
    before: async () => {
      await checks.handleDegradationCheck();
      await checks.handleCacheLookup(question);
      await checks.validateInputAndRateLimits(question);
    },
    now: () => checks.run(question),
  };
  const buildContext: Step = {
    before: async () => {
      await context.emojis(question);
      await context.pins(question);
      await context.user(question);
      await context.server(question);
    },
    now: () => context.build(question),
  };
  const generation = async () => {
    const prompt = promptOf(question, { emojis: [], pins: [], user: undefined, history: [] });
    for await (const _ of service.generate(prompt, question.user.id, new AbortController().signal));
  };
  const postGeneration: Step = {
    before: async () => {
      for (const work of Object.values(after.tasks(question, answer))) await work();
    },
    now: async () => after.generated(question, answer),
  };
  const generate: Step = { before: generation, now: generation };
  const all = inTurn(preGeneration, buildContext, postGeneration);
  return [
    preGeneration,
    buildContext,
    postGeneration,
    all,
    inTurn(preGeneration, buildContext, generate, postGeneration),
  ];
}

function inTurn(...steps: readonly Step[]): Step {
  return {
    before: async () => {
      for (const { before } of steps) await before();
    },
    now: async () => {
      for (const { now } of steps) await now();
    },
  };
}

/** Someone who is known, in a channel with some history. */
async function questionOn({ bot, discord }: Stage): Promise<Question> {
  const messages = Array.from({ length: 60 }, (_, i) => ({ user: 'Mira', text: `line ${i}` }));
  await discord.control('history', { channel: 'help', messages });
  const guild = bot.client.guilds.cache.first();
  const channel = guild?.channels.cache.find(({ name }) => name === 'help');
  if (guild === undefined || !channel?.isSendable()) throw new Error('No channel to ask in.');
  const author = (await channel.messages.fetch({ limit: 1 })).first()?.author;
  if (author === undefined) throw new Error('Nobody to ask.');
  return {
    text: 'When do I use Promise.allSettled?',
    user: { id: author.id, name: author.displayName },
    guild,
    channel,
    audience: 'user',
  };
}

async function race({ before, now }: Step, runs: number): Promise<{ before: number; after: number }> {
  const times = { before: [] as number[], after: [] as number[] };
  for (let i = -1; i < runs; i++) {
    const [slow, quick] = [await timeOf(before), await timeOf(now)];
    // The first warms up.
    if (i < 0) continue;
    times.before.push(slow);
    times.after.push(quick);
  }
  return { before: median(times.before), after: median(times.after) };
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function measureSharing(speed: number): Promise<readonly SeedRow[]> {
  const recording = await readRecording();
  const alone = await replay(recording, speed, false);
  const shared = await replay(recording, speed, true);
  const calls = ({ generations, reads }: ReplayResult) => generations + reads;
  const generation = shared.coalescers.find(({ name }) => name === 'GeminiGeneration');
  return [
    {
      name: 'calls saved, of all that reached Gemini and Discord',
      unit: 'share',
      claimed: { after: 0.6 },
      measured: { after: 1 - calls(shared) / calls(alone) },
    },
    {
      name: 'hit rate of GeminiGeneration, joined and stored',
      unit: 'share',
      claimed: { after: 0.4 },
      measured: { after: generation?.savedRate ?? 0 },
    },
  ];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const { name, unit, claimed, measured } of await measureBot()) {
    const text = (value: number | undefined) =>
      value === undefined ? '' : unit === 'ms' ? `${value.toFixed(0)} ms` : `${(100 * value).toFixed(0)} %`;
    const both = ({ before, after }: SeedRow['claimed']) => `${text(before).padStart(8)} -> ${text(after).padEnd(8)}`;
    console.log(`${name.padEnd(54)} claimed ${both(claimed)} measured ${both(measured)}`);
  }
}
