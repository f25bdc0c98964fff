import { hash } from '../random.js';

/** What it knows: the words that a question must have some of, and what it says then. */
const TOPICS: readonly (readonly [words: readonly string[], text: string])[] = [
  [
    ['allsettled'],
    '`Promise.all` gives up at the first error, `Promise.allSettled` waits for all and tells you how each one ended. Take `all` when the parts are worthless without one another, `allSettled` when a part may be missing.',
  ],
  [
    ['cancel', 'abort', 'abortcontroller'],
    'Make an `AbortController`, hand its `signal` to `fetch` and to everything below it, and call `abort()`. A promise cannot be cancelled from outside; what listens to the signal can stop.',
  ],
  [
    ['retry', 'retries', 'backoff'],
    'Wait longer after each attempt and add jitter, or all clients come back in the same moment. Never before a Retry-After, never for a 400, and in one layer only: retries in two places multiply.',
  ],
  [
    ['429', 'limit', 'limits'],
    'Two things are limited: how many at once, and how many a minute. A pool bounds the first, a rate limit the second. A 429 says when to come back, so believe it, and hold back the others too.',
  ],
  [
    ['cache', 'stale', 'ttl'],
    'Choose the time to live by how wrong an old answer may be. When an entry runs out under load, let one caller load it and the others wait for that load, or serve the old value meanwhile.',
  ],
  [
    ['await', 'loop', 'foreach'],
    '`await` in a `for` loop runs one after the other; `forEach` with an async function waits for nothing. For a few at once, map over the items through a pool with a limit.',
  ],
  [
    ['unhandled', 'rejection', 'crash'],
    'A promise that rejects with nobody listening ends the process. Either await it, or detach it with a handler on purpose, so that the failure is logged under a name.',
  ],
  [
    ['breaker', 'outage', 'circuit'],
    'A circuit breaker stops calling what is down: after enough failures it refuses at once, then lets one trial call through, and closes again when that succeeds. Your users wait for nothing meanwhile.',
  ],
  [
    ['stream', 'streaming', 'sse'],
    'Read the body as an async iterable and pass each part on as it comes. What broke before the first part can be repeated; after that the reader has seen it, so say that it broke.',
  ],
  [
    ['deploy', 'sigterm', 'shutdown'],
    'On SIGTERM take nothing new, finish what you have within a grace period, then abort the rest and log what was lost. Close from the outside in: who asks before whom it asks.',
  ],
  [
    ['event', 'meetup', 'talk', 'tonight'],
    'It starts at 19:00 UTC in the voice channel, and the recording is posted the next morning.',
  ],
  [
    ['node', 'version', 'bun', 'deno'],
    'Node 20.16 or later, Bun and Deno all run it. If something is missing, look at the version first: `node --version`.',
  ],
];

const OPENINGS = ['Short answer:', 'Good question.', 'In brief:', 'That one comes up a lot.'];

/**
 * The "model": rules instead of weights, so that equal questions get equal answers. It greets the one whom the system instruction names
 * ("You talk to NAME."), and counts the messages that it was shown.
 */
export function answerTo(system: string, question: string): string {
  const words = new Set(question.toLowerCase().match(/[a-z0-9]+/g) ?? []);
  const scored = TOPICS.map(([keys, text]) => ({ text, score: keys.filter((key) => words.has(key)).length }));
  const best = scored.reduce((a, b) => (b.score > a.score ? b : a));
  const name = /You talk to ([^.\n]+)\./.exec(system)?.[1];
  const opening = OPENINGS[hash(question) % OPENINGS.length] ?? '';
  const body =
    best.score > 0
      ? best.text
      : 'I have nothing solid on that, so I would rather not guess. Try it with the name of the function or the error message in it.';
  return `${name === undefined ? '' : `${name}: `}${opening} ${body}`;
}

/** About four characters a token, as the service says of its own. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / 4);
}
