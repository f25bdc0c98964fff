import type { Guild, SendableChannels } from 'discord.js';

export interface Question {
  readonly text: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly guild: Guild | null;
  readonly channel: SendableChannels;
  /** Whose view the answer is: of the one who asks, or of all in the server. */
  readonly audience: 'user' | 'server';
}

/** Equal questions have equal keys. It contains whose view the answer is: else one person would read what was said to another. */
export function keyOf({ text, user, guild, audience }: Question): readonly string[] {
  return [text.trim().replace(/\s+/g, ' '), audience === 'user' ? user.id : 'everyone', guild?.id ?? 'dm'];
}

export function textKeyOf(question: Question): string {
  return JSON.stringify(keyOf(question));
}
