import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULTS } from '../config.js';
import type { Log } from '../log.js';
import { reportOf } from '../report.js';
import { Chat } from './chat.js';
import { type Stage, setStage } from './stage.js';

const REST_MS = 2_000;
const ANSWERING = 8;
const WAITING = 24;
const BURST = 48;
/** Faster than Discord's 5 in 5 s, so that the burst does not take minutes. */
const LIMIT = { limit: 10, interval: 500 };
const LIMITS = {
  'POST /api/:version/channels/:channel/messages': LIMIT,
  'PATCH /api/:version/channels/:channel/messages/:message': LIMIT,
};
const QUESTION = 'When do I use Promise.allSettled?';

/** A conversation that a person can watch: each scene waits for what it shows. */
export async function runScript(print: (line: string) => void = console.log): Promise<void> {
  const log: Log = (level, message, data = {}) => {
    const shown = ['Gateway lost, reconnecting', 'Gateway resumed', 'The model did not answer'];
    if (level === 'error' || shown.includes(message)) print(`   ! ${message}${reasonOf(data)}`);
  };
  print('Discord and Gemini are local stand-ins; the clients and the bot are real.');
  const stage = await setStage({
    discord: { limits: LIMITS, weather: { latency: { median: 25 } } },
    gemini: { tokensPerSecond: 60, weather: { latency: { median: 250 } } },
    config: {
      restFor: REST_MS,
      answering: ANSWERING,
      waiting: WAITING,
      editEvery: 400,
      answerTtl: 3_000,
      perPerson: 1_000,
    },
    log,
  });
  try {
    const chat = new Chat(stage.discord, print);
    await answers(chat, stage);
    await outage(chat, stage);
    await reconnect(chat, stage);
    await burst(chat, stage);
    await shutdown(chat, stage);
    print(`\n── The figures that it logs every ${DEFAULTS.reportEvery / 1000} s\n`);
    for (const line of reportOf(stage.bot.globals.registry.snapshot())) print(`   ${line}`);
  } finally {
    await stage.close();
  }
}

async function answers(chat: Chat, { gemini, bot }: Stage): Promise<void> {
  chat.scene('Mira asks twice, Otto once: each has an answer of their own, two calls of the model for three questions');
  await Promise.all([chat.say('Mira', QUESTION), chat.say('Mira', QUESTION), chat.say('Otto', QUESTION)]);
  await chat.hear(3);
  chat.scene('Four run /faq: the same for everybody, so one more call');
  await Promise.all(
    ['Mira', 'Otto', 'Ada', 'Lin'].map((user) => chat.run(user, 'faq', { question: 'How do I cancel a fetch?' })),
  );
  await chat.hear(4);
  chat.note(`${(await gemini.stats()).counts.generated} calls of the model for 7 questions`);
  await bot.globals.background.drain();
  await chat.run('Lin', 'status');
  await chat.hear(1);
}

async function outage(chat: Chat, { gemini, bot }: Stage): Promise<void> {
  chat.scene('Gemini is down: the breaker opens, what is known is said at once');
  await gemini.setWeather({ outage: 'unavailable' });
  await chat.say('Ada', 'What is a circuit breaker?');
  await chat.hear(1);
  const asked = (await gemini.stats()).requests;
  await Promise.all([chat.say('Otto', 'await in a loop, or not?'), chat.say('Mira', QUESTION)]);
  await chat.hear(2);
  chat.note(
    `breaker ${bot.globals.gemini.breaker?.state}; calls of the model for these two: ${(await gemini.stats()).requests - asked}`,
  );
  chat.scene('Gemini is back: one trial call, and all goes on');
  await gemini.setWeather({ outage: false });
  while (bot.globals.gemini.breaker?.state === 'open') await sleep(50);
  await chat.say('Ada', 'What is a circuit breaker?');
  await chat.hear(1);
  chat.note(`breaker ${bot.globals.gemini.breaker?.state}`);
}

async function reconnect(chat: Chat, { discord }: Stage): Promise<void> {
  chat.scene('The connection to Discord drops; what was said meanwhile is answered');
  await discord.control('drop', {});
  await chat.say('Lin', 'Should I retry a 400, or use backoff?');
  await chat.hear(1);
}

async function burst(chat: Chat, { bot }: Stage): Promise<void> {
  chat.scene(`${BURST} questions at once: ${ANSWERING} are answered at a time, ${WAITING} wait, the others are told`);
  const quiet = { channel: 'random', print: false };
  const topics = ['cache or stale?', 'unhandled rejection?', 'which node version?', 'how to stream?'];
  const people = Array.from({ length: BURST }, (_, i) => `guest${i}`);
  await Promise.all(people.map((user, i) => chat.say(user, topics[i % topics.length] ?? '', quiet)));
  const heard = await chat.hear(ANSWERING + WAITING + 1, quiet);
  const notice = heard.find(({ replyTo }) => replyTo === undefined);
  const { peakRunning, peakQueued, refused } = bot.globals.globalPools.handlers.getMetrics();
  chat.note(
    `${heard.length - 1} answered, oldest first; at most ${peakRunning} at once and ${peakQueued} waiting; ${refused} sent away:`,
  );
  chat.note(`"${notice?.text}"`);
}

async function shutdown(chat: Chat, { bot }: Stage): Promise<void> {
  chat.scene('SIGTERM, with two answers in the making: they are finished');
  await Promise.all([chat.say('Ada', 'What do I do on SIGTERM?'), chat.say('Otto', 'How do I stop a deploy?')]);
  while (bot.globals.globalPools.handlers.running < 2) await sleep(10);
  const stopped = bot.stop();
  await chat.hear(2);
  chat.note(`lost: ${(await stopped).length === 0 ? 'nothing' : (await stopped).join(', ')}`);
}

function reasonOf({ error, replayed }: Readonly<Record<string, unknown>>): string {
  if (replayed !== undefined) return ` (${replayed} events came after)`;
  if (!(error instanceof Error)) return '';
  return `: ${error.name}: ${error.message.replace(/\s+/g, ' ').slice(0, 90)}`;
}
