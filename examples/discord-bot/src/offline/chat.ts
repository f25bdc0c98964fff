import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadMessage } from 'upstreams';
import { CURSOR } from '../live-message.js';
import type { Stage } from './stage.js';

/** The people, and what they see. */
export class Chat {
  readonly #discord: Stage['discord'];
  readonly #print: (line: string) => void;
  readonly #seen = new Set<string>();

  constructor(discord: Stage['discord'], print: (line: string) => void) {
    this.#discord = discord;
    this.#print = print;
  }

  scene(title: string): void {
    this.#print(`\n── ${title}`);
  }

  note(text: string): void {
    this.#print(`   · ${text}`);
  }

  async say(user: string, text: string, { channel = 'help', print = true } = {}): Promise<void> {
    if (print) this.#line(channel, user, text);
    await this.#discord.control('say', { channel, user, text: `@paceline ${text}` });
  }

  async run(user: string, name: string, options: { question?: string } = {}, channel = 'help'): Promise<void> {
    this.#line(channel, user, ['/', name, options.question && ` ${options.question}`].join(''));
    await this.#discord.control('run', { channel, user, name, options });
  }

  /** Whole texts of the bot that were not seen before, printed as they are complete. */
  async hear(count: number, { channel = 'help', print = true } = {}): Promise<readonly ReadMessage[]> {
    const heard: ReadMessage[] = [];
    while (heard.length < count) {
      for (const message of await this.read(channel)) {
        if (message.text.endsWith(CURSOR) || this.#seen.has(message.id)) continue;
        this.#seen.add(message.id);
        heard.push(message);
        if (!print) continue;
        const edits = message.revisions.length - 1;
        this.#line(channel, 'paceline', message.text, edits > 0 ? ` (${edits} edits)` : '');
      }
      await sleep(50);
    }
    return heard;
  }

  async read(channel: string): Promise<readonly ReadMessage[]> {
    const messages = (await this.#discord.control('read', { channel })) as ReadMessage[];
    return messages.filter(({ author }) => author === 'paceline');
  }

  #line(channel: string, who: string, text: string, after = ''): void {
    const [first = '', ...others] = text.split('\n');
    const short = first.length > 96 ? `${first.slice(0, 95)}…` : first;
    this.#print(`   #${channel.padEnd(7)} ${who.padEnd(9)} ${short}${after}`);
    for (const line of others) this.#print(`   ${' '.repeat(18)} ${line}`);
  }
}
