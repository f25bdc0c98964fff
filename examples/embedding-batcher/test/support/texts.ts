import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Passage } from '../../src/passages.js';

/** Passages that no two are alike. */
export function passages(count: number): Passage[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    file: `file-${id % 7}.md`,
    line: id + 1,
    text: sentence(id),
  }));
}

export function sentence(i: number): string {
  return `Passage number ${i} is about the ${i * 37}th thing, which no other passage of this collection mentions.`;
}

/** A folder with these files, for one test. */
export async function folder(files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'embedding-batcher-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return path;
}

/** A folder with one file of so many passages. */
export function book(count: number): Promise<string> {
  return folder({ 'book.md': Array.from({ length: count }, (_, i) => `## Chapter\n\n${sentence(i)}\n`).join('\n') });
}
