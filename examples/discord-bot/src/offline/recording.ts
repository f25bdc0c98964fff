import { readFile } from 'node:fs/promises';

export type RecordedEvent = {
  /** ms since the first. */
  readonly at: number;
  readonly channel: string;
  readonly user: string;
} & (
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'run'; readonly name: string; readonly question?: string }
);

export interface Recording {
  readonly title: string;
  readonly events: readonly RecordedEvent[];
}

export async function readRecording(name = 'meetup'): Promise<Recording> {
  const file = new URL(`../../recordings/${name}.json`, import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')) as Recording;
}

/** Whether the bot is asked for an answer by it. */
export function isQuestion(event: RecordedEvent): boolean {
  return event.kind === 'run' ? event.name !== 'status' : event.text.startsWith('@paceline');
}
