import { fireAndForget } from 'paceline';
import type { Globals } from './globals.js';
import { tokensOf } from './prompt.js';
import { type Question, textKeyOf } from './question.js';
import type { Store } from './store.js';

const GLAD = new Set(['thanks', 'thank', 'great', 'nice', 'love', 'cool', 'works', 'perfect']);
const CROSS = new Set(['bug', 'broken', 'crash', 'crashes', 'stuck', 'hate', 'wrong', 'ugh', 'again']);

/** What nobody waits for. Its failures are logged, counted, and told to no one in the chat. */
export class AfterWork {
  readonly #globals: Globals;
  readonly #store: Store;

  constructor(globals: Globals, store: Store) {
    this.#globals = globals;
    this.#store = store;
  }

  /** Of every message that people write. */
  analyze(userId: string, text: string): void {
    const work = () => this.#store.saveMood(userId, moodOf(text));
    fireAndForget(({ signal }) => this.#globals.globalPools.context.execute(work, { signal, priority: 'low' }), {
      name: 'analyze-message',
    });
  }

  /** After an answer. */
  generated(question: Question, answer: string): void {
    for (const [name, work] of Object.entries(this.tasks(question, answer)))
      fireAndForget(work, { name, retry: { maxAttempts: 2 } });
  }

  tasks(question: Question, answer: string): Readonly<Record<string, () => Promise<void>>> {
    const { user, text } = question;
    return {
      'save-answer': () => this.#store.saveAnswer(textKeyOf(question), answer),
      'save-exchange': () => this.#store.saveExchange(user.id, text, answer),
      'count-usage': () => this.#store.addUsage(tokensOf(text) + tokensOf(answer)),
    };
  }
}

/** -1..1. Sets, so that a long message costs one look per word. */
function moodOf(text: string): number {
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  const score = words.reduce((sum, word) => sum + (GLAD.has(word) ? 1 : 0) - (CROSS.has(word) ? 1 : 0), 0);
  return Math.max(-1, Math.min(1, score));
}
