import type { Message, TextBasedChannel } from 'discord.js';
import type { Globals } from './globals.js';

export interface Line {
  readonly id: string;
  readonly author: string;
  readonly text: string;
}

const PAGE = 100;

/** The last `limit` messages, newest first: shared by all who want them, page by page, each page in a slot and tried again if it fails. */
export function channelHistory(
  { globalCoalescers, globalPools, discordRetry, shared }: Globals,
  channel: TextBasedChannel,
  limit: number,
  before?: string,
): Promise<readonly Line[]> {
  return globalCoalescers.serverContext.execute(shared(['channel', channel.id, limit, before]), async ({ signal }) => {
    const lines: Line[] = [];
    let cursor = before;
    while (lines.length < limit) {
      const page = { limit: Math.min(PAGE, limit - lines.length), cache: false, ...(cursor && { before: cursor }) };
      const found = await discordRetry.execute(
        ({ signal }) => globalPools.discord.execute(() => channel.messages.fetch(page), { signal, group: channel.id }),
        { signal },
      );
      lines.push(...found.map(lineOf));
      cursor = lines.at(-1)?.id;
      if (found.size < page.limit) break;
    }
    return lines;
  });
}

function lineOf({ id, author, cleanContent }: Message): Line {
  return { id, author: author.displayName, text: cleanContent };
}
