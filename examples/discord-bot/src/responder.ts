import { isPacelineError, isRefusedError } from 'paceline';
import { AfterWork } from './after.js';
import { PreGeneration } from './checks.js';
import type { BotConfig } from './config.js';
import { ContextBuilder } from './context.js';
import { GeminiService } from './gemini-service.js';
import type { Globals } from './globals.js';
import { type Place, showLive } from './live-message.js';
import type { Log } from './log.js';
import type { Question } from './question.js';
import type { Store } from './store.js';

const OVERLOADED = 'I have more questions than I can answer just now. Please ask again in a minute.';
const RESTARTING = 'I am being restarted. Please ask again in a minute.';

/** One question, from the first check to the last edit. */
export class Responder {
  readonly checks: PreGeneration;
  readonly context: ContextBuilder;
  readonly service: GeminiService;
  readonly after: AfterWork;
  readonly #globals: Globals;
  readonly #config: BotConfig;
  readonly #log: Log;

  constructor(globals: Globals, store: Store, config: BotConfig, log: Log) {
    this.checks = new PreGeneration(globals, store, config, log);
    this.context = new ContextBuilder(globals, store, config, log);
    this.after = new AfterWork(globals, store);
    this.service = new GeminiService(globals, this.context, config);
    this.#globals = globals;
    this.#config = config;
    this.#log = log;
  }

  /**
   * Answers it, in the order in which questions came, or says that there are too many.
   * @param place where it is answered. @param refuse says why it is not.
   */
  async take(question: Question, place: Place, refuse: (why: string) => Promise<unknown>): Promise<void> {
    try {
      await this.#globals.globalPools.handlers.execute(({ signal }) => this.respond(question, place, signal));
    } catch (error) {
      if (!isRefusedError(error)) this.#log('error', 'A question was not answered', { error });
      else await refuse(isPacelineError(error, 'CLOSED') ? RESTARTING : OVERLOADED).catch(this.#missed);
    }
  }

  async respond(question: Question, place: Place, signal: AbortSignal): Promise<void> {
    const checked = await this.checks.run(question);
    if (checked.say !== undefined) return this.#show(place, checked.say);
    const { editEvery, timeScale } = this.#config;
    const careful: Place = { show: (text) => this.#show(place, text) };
    const chunks = this.service.answer(question, signal);
    const shown = await showLive(chunks, careful, { editEvery: editEvery / timeScale, onMiss: this.#missed });
    if (shown.status === 'whole') {
      this.after.generated(question, shown.text);
      return;
    }
    this.#log('warn', 'The model did not answer', { error: shown.error });
    // What there is from earlier, or a word about it.
    if (shown.status === 'nothing')
      await this.#show(place, signal.aborted ? RESTARTING : this.checks.whileDown(checked.earlier));
  }

  /** discord.js waits out rate limits by itself; what else fails is tried again here. */
  #show(place: Place, text: string): Promise<void> {
    return this.#globals.discordRetry.execute(() => place.show(text));
  }

  readonly #missed = (error: unknown): void => this.#log('warn', 'Discord did not take a message', { error });
}
