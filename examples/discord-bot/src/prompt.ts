import type { Context } from './context.js';
import type { Question } from './question.js';

export interface Prompt {
  readonly system: string;
  readonly text: string;
  /** About: the service counts them in its own way, at some four characters each. */
  readonly tokens: number;
}

const LONGEST_LINE = 200;

export function promptOf(question: Question, { emojis, pins, user, history }: Context): Prompt {
  const lines = history
    .filter(({ text }) => text !== '')
    .map(({ author, text }) => `${author}: ${text.slice(0, LONGEST_LINE)}`)
    .reverse();
  const system = [
    'You are paceline, a bot in a chat about async programming. Answer briefly, in plain words, at most 1500 characters.',
    user === undefined ? 'You answer for everybody in the server.' : `You talk to ${user.name}. ${moodOf(user.mood)}`,
    emojis.length > 0 ? `Emojis here: ${emojis.join(' ')}` : '',
    ...(pins.length > 0 ? ['Pinned:', ...pins.map((pin) => `- ${pin.slice(0, LONGEST_LINE)}`)] : []),
    ...(lines.length > 0 ? ['The channel so far:', ...lines] : []),
  ]
    .filter((line) => line !== '')
    .join('\n');
  return { system, text: question.text, tokens: tokensOf(system) + tokensOf(question.text) + 1 };
}

export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

function moodOf(mood: number): string {
  if (mood < -0.3) return 'They seem upset: be kind and to the point.';
  return mood > 0.3 ? 'They are in a good mood.' : '';
}
