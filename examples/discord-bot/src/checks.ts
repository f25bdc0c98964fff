import { gatherAllSettled } from 'paceline';
import type { BotConfig } from './config.js';
import type { Globals } from './globals.js';
import type { Log } from './log.js';
import { type Question, textKeyOf } from './question.js';
import type { Store, StoredAnswer } from './store.js';

const LONGEST_QUESTION = 1_500;

/** What is known before the model is asked. */
export interface Checked {
  /** To be said at once, instead of asking. */
  readonly say: string | undefined;
  /** From another time. Better than nothing when the model is down. */
  readonly earlier: StoredAnswer | undefined;
}

/** Three checks at once: the slowest sets the pace. Only what forbids an answer may prevent one. */
export class PreGeneration {
  readonly #globals: Globals;
  readonly #store: Store;
  readonly #config: BotConfig;
  readonly #log: Log;

  constructor(globals: Globals, store: Store, config: BotConfig, log: Log) {
    this.#globals = globals;
    this.#store = store;
    this.#config = config;
    this.#log = log;
  }

  async run(question: Question): Promise<Checked> {
    const { timeScale, answerTtl } = this.#config;
    const { values, errors } = await gatherAllSettled(
      {
        degraded: () => this.handleDegradationCheck(),
        cached: () => this.handleCacheLookup(question),
        refusal: () => this.validateInputAndRateLimits(question),
      },
      { pool: this.#globals.globalPools.context, timeout: 1_500 / timeScale },
    );
    for (const [check, error] of Object.entries(errors)) this.#log('warn', 'A check failed', { check, error });
    const { cached, degraded, refusal } = values;
    if (refusal !== undefined) return { say: refusal, earlier: undefined };
    if (degraded?.notice !== undefined) return { say: degraded.notice, earlier: cached };
    if (cached !== undefined && cached.ageMs < answerTtl / timeScale) return { say: cached.text, earlier: cached };
    if (degraded?.isDown === true) return { say: this.whileDown(cached), earlier: cached };
    return { say: undefined, earlier: cached };
  }

  /** The operators' word, and whether the breaker is open. */
  async handleDegradationCheck(): Promise<{ notice: string | undefined; isDown: boolean }> {
    const notice = await this.#store.notice();
    return { notice, isDown: this.#globals.gemini.breaker?.state === 'open' };
  }

  handleCacheLookup(question: Question): Promise<StoredAnswer | undefined> {
    return this.#store.answer(textKeyOf(question));
  }

  /** Returns why not, if so. */
  async validateInputAndRateLimits({ text, user }: Question): Promise<string | undefined> {
    const asked = await this.#store.countQuestion(user.id);
    if (text.trim() === '') return 'What would you like to know?';
    if (text.length > LONGEST_QUESTION) return `That is a long one. I read up to ${LONGEST_QUESTION} characters.`;
    const { perPerson } = this.#config;
    return asked > perPerson
      ? `That makes more than ${perPerson} questions in a minute. Give me a moment, please.`
      : undefined;
  }

  whileDown(earlier: StoredAnswer | undefined): string {
    return earlier === undefined
      ? 'My language model is not reachable just now. I look again every few seconds, so please ask once more in a moment.'
      : `${earlier.text}\n-# From an earlier answer: my language model is not reachable just now.`;
  }
}
