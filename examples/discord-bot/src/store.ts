import { setTimeout as sleep } from 'node:timers/promises';

export interface StoredAnswer {
  readonly text: string;
  readonly ageMs: number;
}

export interface Profile {
  readonly messages: number;
  /** Of what the person wrote, -1..1. */
  readonly mood: number;
}

/** The bot's database. */
export interface Store {
  /** What the operators want said instead of answers, if anything. */
  notice(): Promise<string | undefined>;
  answer(key: string): Promise<StoredAnswer | undefined>;
  saveAnswer(key: string, text: string): Promise<void>;
  /** Counts a question of this person, and returns how many there were in the last minute. */
  countQuestion(userId: string): Promise<number>;
  profile(userId: string): Promise<Profile>;
  saveMood(userId: string, mood: number): Promise<void>;
  saveExchange(userId: string, question: string, answer: string): Promise<void>;
  addUsage(tokens: number): Promise<void>;
  conversations(): Promise<{ readonly people: number; readonly exchanges: number }>;
  usage(): Promise<{ readonly tokens: number }>;
}

const MOST_ANSWERS = 1_000;

/** In memory. Each call takes as long as it is told, as a database's would. */
export class MemoryStore implements Store {
  noticeText: string | undefined;
  readonly #minute: number;
  readonly #latency: (call: keyof Store) => number;
  readonly #answers = new Map<string, { readonly text: string; readonly at: number }>();
  readonly #questions = new Map<string, readonly number[]>();
  readonly #profiles = new Map<string, Profile>();
  readonly #people = new Set<string>();
  #exchanges = 0;
  #tokens = 0;

  /** @param minute how long it takes, ms. */
  constructor({
    latency = () => 0,
    minute = 60_000,
  }: { latency?: (call: keyof Store) => number; minute?: number } = {}) {
    this.#latency = latency;
    this.#minute = minute;
  }

  async notice(): Promise<string | undefined> {
    await this.#travel('notice');
    return this.noticeText;
  }

  async answer(key: string): Promise<StoredAnswer | undefined> {
    await this.#travel('answer');
    const found = this.#answers.get(key);
    return found && { text: found.text, ageMs: performance.now() - found.at };
  }

  async saveAnswer(key: string, text: string): Promise<void> {
    await this.#travel('saveAnswer');
    this.#answers.delete(key);
    this.#answers.set(key, { text, at: performance.now() });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MOST_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
  }

  async countQuestion(userId: string): Promise<number> {
    await this.#travel('countQuestion');
    const now = performance.now();
    const recent = [...(this.#questions.get(userId) ?? []), now].filter((at) => at > now - this.#minute);
    this.#questions.set(userId, recent);
    return recent.length;
  }

  async profile(userId: string): Promise<Profile> {
    await this.#travel('profile');
    return this.#profiles.get(userId) ?? { messages: 0, mood: 0 };
  }

  async saveMood(userId: string, mood: number): Promise<void> {
    await this.#travel('saveMood');
    const { messages, mood: before } = this.#profiles.get(userId) ?? { messages: 0, mood: 0 };
    this.#profiles.set(userId, { messages: messages + 1, mood: 0.8 * before + 0.2 * mood });
  }

  async saveExchange(userId: string, _question: string, _answer: string): Promise<void> {
    await this.#travel('saveExchange');
    this.#people.add(userId);
    this.#exchanges += 1;
  }

  async addUsage(tokens: number): Promise<void> {
    await this.#travel('addUsage');
    this.#tokens += tokens;
  }

  async conversations(): Promise<{ people: number; exchanges: number }> {
    await this.#travel('conversations');
    return { people: this.#people.size, exchanges: this.#exchanges };
  }

  async usage(): Promise<{ tokens: number }> {
    await this.#travel('usage');
    return { tokens: this.#tokens };
  }

  async #travel(call: keyof Store): Promise<void> {
    const latency = this.#latency(call);
    if (latency > 0) await sleep(latency);
  }
}
